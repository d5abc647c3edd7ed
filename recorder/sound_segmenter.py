"""Cuts a run that has sound alone: a room's microphone, a telephone line's recorder.

Any packet can begin a fragment or a segment, so a segment ends with the packet before the instant
that was asked for. The packet in which that instant lies is a fragment of its own: who is shown one
side of it misses no more than that packet.
"""

from bidwitness.errors import CameraError
from bidwitness.ids import new_id
from bidwitness.recorder.packets import Packet, SourceTrack, picture_of
from bidwitness.recorder.run import HOLE_US, SOUND_ID, Run
from bidwitness.recorder.segmenter import Segmenter
from bidwitness.recorder.sound import AS_FLAC, SoundChunk, sound_track
from bidwitness.recorder.values import Piece, SegmentSink
from bidwitness.storage.media.fragments import write_fragment
from bidwitness.storage.media.init import write_init
from bidwitness.storage.spool.blob import US
from bidwitness.words import GapCause


class SoundSegmenter(Run):
    """Takes the packets of one connection that has no picture, hands segments to a sink."""

    # What is missing is missing altogether, and stated as that.
    silent = False

    def __init__(
        self,
        stream: str,
        tracks: tuple[SourceTrack, ...],
        sink: SegmentSink,
        *,
        segment_us: int,
        utc_minus_monotonic: int,
        missing: GapCause | None = None,
    ) -> None:
        found = sound_track(tracks)
        if found is None:
            raise CameraError("The source has nothing that can be kept.")
        leading, self._sound = found
        super().__init__(
            *(stream, tracks, sink),
            leading=leading,
            segment_us=segment_us,
            utc_minus_monotonic=utc_minus_monotonic,
            missing=missing,
        )
        codec = tracks[leading].codec
        self._source_codec = codec if codec in AS_FLAC else None
        # The tick at which the last packet ended.
        self._until = 0

    def push(self, packet: Packet) -> None:
        """Take a packet."""
        if packet.track != self._leading:
            return
        if not self.run:
            self._use_init(write_init([self._sound.spec(SOUND_ID)]))
            self.run = new_id()
        stamp = packet.pts if packet.dts is None else packet.dts
        dts = self._timer.place(self._leading, stamp, packet.arrived_us)
        length = self._sound.length(packet.data, packet.duration)
        # It could leave the camera when its last sample was taken.
        began_us = packet.arrived_us - length * US // self._rate
        jump = self._timer.observe(dts, began_us, packet.camera_us)
        if jump is not None:
            self._wall_jumped(jump)
        if self.started_us is None and self._timer.wall.settled:
            self._settle()
        self._look_for_hole(dts)
        self._go_on_at(dts)
        if self._open:
            self._keep(packet, dts, length)
        self._until = dts + length

    def finish(self) -> None:
        """The connection has ended: hand on what is left."""
        if self._open:
            self._flush()
            self._settle()
            self._end_at(self._anchor(self._until))

    def _look_for_hole(self, dts: int) -> None:
        if self._open and (dts - self._until) * US > HOLE_US * self._rate:
            self._flush()
            self._hole(self._until, dts)

    def _go_on_at(self, dts: int) -> None:
        """End the open segment before the packet at a tick, or begin one with it, if it is time."""
        if self._sink.trouble is not None and self.suspended is None:
            self._forget()
            self._suspend(self._sink.trouble)
        if self.suspended is not None:
            begins = self._may_resume(dts, key=True)
        elif self._open:
            begins = self._cut_due(dts, key=True)
            if begins:
                self._flush()
                self._end_at(self._anchor(dts))
        else:
            begins = True
        if begins:
            self._begin_segment(dts, self._source_codec)
            self._sound.restart()

    def _keep(self, packet: Packet, dts: int, length: int) -> None:
        start, end = self._wall(dts), self._wall(dts + length)
        alone = any(start < cut < end for cut in self.cuts)
        if alone:
            self._flush()
        for chunk in self._sound.push(packet.data, dts, packet.duration):
            self._emit(chunk)
        if alone:
            self._flush()

    def _flush(self) -> None:
        for chunk in self._sound.flush():
            self._emit(chunk)

    def _forget(self) -> None:
        """Give up what is in hand: there is nobody to take it."""
        for _ in self._sound.flush():
            continue

    def _emit(self, chunk: SoundChunk) -> None:
        self._sequence += 1
        dts, duration = chunk.dts, chunk.duration
        data = write_fragment(self._sequence, SOUND_ID, dts, chunk.samples)
        self._handed(
            Piece(
                *(data, SOUND_ID, dts, duration, len(chunk.samples), True),
                *(self._wall(dts), self._wall(dts + duration), chunk.g711, chunk.zeros),
            )
        )


AnySegmenter = Segmenter | SoundSegmenter


def segmenter_of(
    stream: str,
    tracks: tuple[SourceTrack, ...],
    sink: SegmentSink,
    *,
    segment_us: int,
    utc_minus_monotonic: int,
    sound_wanted: bool,
    missing: GapCause | None = None,
) -> AnySegmenter:
    """Give what cuts a connection with these tracks."""
    if picture_of(tracks) is None:
        return SoundSegmenter(
            *(stream, tracks, sink),
            segment_us=segment_us,
            utc_minus_monotonic=utc_minus_monotonic,
            missing=missing,
        )
    return Segmenter(
        *(stream, tracks, sink),
        segment_us=segment_us,
        utc_minus_monotonic=utc_minus_monotonic,
        sound_wanted=sound_wanted,
        missing=missing,
    )
