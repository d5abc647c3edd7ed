"""Cuts a run that a picture leads into segments and those into fragments.

A fragment is at most half a second of one track, whatever the camera's GOP and whether or not its
sound comes. A segment ends at the first key frame after its length or after an instant that was
asked for; without a key frame it ends all the same, late.
"""

from dataclasses import dataclass

from bidwitness.ids import new_id
from bidwitness.recorder.gaps import Silence
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.picture import PictureLane
from bidwitness.recorder.run import HOLE_US, PICTURE_ID, SOUND_ID, Run
from bidwitness.recorder.sound import AS_FLAC, SoundChunk, SoundLane, sound_track
from bidwitness.recorder.values import Piece, SegmentSink
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import write_init
from bidwitness.storage.spool.blob import US
from bidwitness.words import GapCause, Medium

FRAGMENT_US = US // 2


@dataclass(frozen=True, slots=True)
class _Picture:
    body: bytes
    dts: int
    cts: int
    key: bool

    @property
    def shown(self) -> int:
        """The tick at which it is to be seen."""
        return self.dts + self.cts


class Segmenter(Run):
    """Takes the packets of one connection that has a picture, hands segments to a sink."""

    def __init__(
        self,
        stream: str,
        tracks: tuple[SourceTrack, ...],
        sink: SegmentSink,
        *,
        segment_us: int,
        utc_minus_monotonic: int,
        sound_wanted: bool,
        missing: GapCause | None = None,
    ) -> None:
        self._picture = next(i for i, t in enumerate(tracks) if t.medium is Medium.PICTURE)
        super().__init__(
            *(stream, tracks, sink),
            leading=self._picture,
            segment_us=segment_us,
            utc_minus_monotonic=utc_minus_monotonic,
            missing=missing,
        )
        self.frames = 0
        self._lane = PictureLane(tracks[self._picture])
        found = sound_track(tracks)
        self._sound = SoundLane(*found, self._timer) if found is not None else None
        codec = tracks[self._sound.place].codec if self._sound is not None else None
        self._source_codec = codec if codec in AS_FLAC else None
        self._silence = Silence(wanted=sound_wanted)
        # The picture's description has changed: what comes next needs a segment of its own.
        self._renewed = False
        self._held: _Picture | None = None
        self._samples: list[Sample] = []
        self._fragment_dts = 0
        self._nominal = self._rate // 25

    def push(self, packet: Packet) -> None:
        """Take a packet.

        When the camera changes its picture's parameters, the next key frame begins a segment
        with another init; the run goes on. Raises ``CameraError`` for a picture that it never
        describes.
        """
        if packet.track == self._picture:
            self._push_picture(packet)
        elif self._sound is not None and packet.track == self._sound.place and self.run:
            for chunk in self._sound.push(packet):
                self._emit_sound(chunk)

    def finish(self) -> None:
        """The connection has ended: hand on what is left."""
        held, self._held = self._held, None
        if held is not None and self._open:
            end = held.dts + self._nominal
            self._finish_picture(held, end)
            self._flush_picture()
            self._settle()
            self._end_segment(end + held.cts)

    @property
    def silent(self) -> bool:
        """Say whether sound that is wanted is known to be missing."""
        return self._silence.silent

    def _push_picture(self, packet: Packet) -> None:
        body = self._lane.take(packet)
        if body is None:
            return
        if packet.key and self._lane.is_new:
            self._describe()
        if not self.run:
            return
        cts = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        dts = self._timer.place(self._picture, packet.dts, packet.arrived_us)
        cts = cts if 0 <= cts <= 2 * self._rate else 0
        jump = self._timer.observe(dts + cts, packet.arrived_us, packet.camera_us)
        if jump is not None:
            self._wall_jumped(jump)
        if self.started_us is None and self._timer.wall.settled:
            self._settle()
        self.frames += 1
        self._add(_Picture(body, dts, cts, packet.key))

    def _describe(self) -> None:
        """Make the init of what this key frame or the description has shown."""
        spec = self._lane.describe(PICTURE_ID)
        if spec is None:
            return
        specs = [spec]
        if self._sound is not None:
            specs.append(self._sound.track.spec(SOUND_ID))
        init = write_init(specs)
        self._renewed = bool(self.run) and init != self._init
        self._use_init(init)
        self.run = self.run or new_id()

    def _add(self, picture: _Picture) -> None:
        held, self._held = self._held, picture
        if held is not None and self._open:
            self._finish_picture(held, picture.dts)
        if self._sink.trouble is not None and self.suspended is None:
            self._samples.clear()
            self._suspend(self._sink.trouble)
        if self.suspended is not None:
            if self._may_resume(picture.shown, key=picture.key):
                self._silence.begin(self._wall(picture.shown))
                self._begin(picture)
        elif not self._open:
            self._begin(picture)
        elif self._cut_due(picture.shown, key=picture.key, renewed=self._renewed):
            self._flush_picture()
            self._end_segment(picture.shown)
            self._begin(picture)
        elif self._is_full(picture) or (picture.key and not self._lane.intra):
            self._flush_picture()
        self._renewed = False

    def _finish_picture(self, picture: _Picture, following: int) -> None:
        """Now that the next one's time is known, so is this one's length."""
        length = following - picture.dts
        hole = length * US // self._rate > HOLE_US
        if hole:
            length = self._nominal
        else:
            self._nominal = length
        if not self._samples:
            self._fragment_dts = picture.dts
        self._samples.append(Sample(picture.body, length, picture.key, picture.cts))
        if hole:
            self._flush_picture()
            self._hole(picture.dts + length, following)

    def _is_full(self, picture: _Picture) -> bool:
        if not self._samples:
            return False
        return (picture.dts + self._nominal - self._fragment_dts) * US > FRAGMENT_US * self._rate

    def _begin(self, picture: _Picture) -> None:
        self._begin_segment(picture.shown, self._source_codec)
        if self._segment == 0:
            self._silence.begin(self._segment_start_us)
        if self._sound is not None:
            self._sound.track.restart()

    def _end_segment(self, ticks: int) -> None:
        if not self._open:
            return
        if self._sound is not None:
            for chunk in self._sound.flush():
                self._emit_sound(chunk)
        end = self._anchor(ticks)
        self._gap(self._silence.before(end.recorder_us))
        self._end_at(end)

    def _flush_picture(self) -> None:
        if not self._samples:
            return
        samples, self._samples = self._samples, []
        dts = self._fragment_dts
        duration = sum(sample.duration for sample in samples)
        self._sequence += 1
        data = write_fragment(self._sequence, PICTURE_ID, dts, samples)
        self._handed(
            Piece(
                *(data, PICTURE_ID, dts, duration, len(samples), samples[0].key),
                *(self._wall(dts), self._wall(dts + duration)),
            )
        )

    def _emit_sound(self, chunk: SoundChunk) -> None:
        if not self._open or self._sound is None:
            return
        wall = self._timer.wall
        start = wall.recorder_us(self._sound.file_us(chunk.dts))
        end = wall.recorder_us(self._sound.file_us(chunk.dts + chunk.duration))
        self._gap(self._silence.before(start))
        self._silence.heard(end)
        self._sequence += 1
        data = write_fragment(self._sequence, SOUND_ID, chunk.dts, chunk.samples)
        self._sink.piece(
            Piece(
                *(data, SOUND_ID, chunk.dts, chunk.duration, len(chunk.samples), True),
                *(start, end, chunk.g711, chunk.zeros),
            )
        )
