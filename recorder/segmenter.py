"""Cuts a run into segments and those into fragments. Knows no disk and no socket.

A fragment is at most half a second of one track, whatever the camera's GOP and whether or not its
sound comes. A segment ends at the first key frame after its length or after an instant that was
asked for; without a key frame it ends all the same, late.
"""

import hashlib
from dataclasses import dataclass

from bidwitness.ids import new_id
from bidwitness.recorder.gaps import Silence
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.picture import PictureLane
from bidwitness.recorder.sound import AS_FLAC, SoundChunk, SoundLane, sound_track
from bidwitness.recorder.ticks import SETTLE_US
from bidwitness.recorder.timing import LONGEST_SETTLE_US, RunTimer, WallJump
from bidwitness.recorder.values import ALL, Begin, End, GapNote, Piece, SegmentSink
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import write_init
from bidwitness.storage.spool.blob import US
from bidwitness.storage.spool.table import AnchorPoint, OpenHeader, in_force
from bidwitness.words import GapCause, Medium

PICTURE_ID, SOUND_ID = 1, 2
FRAGMENT_US = US // 2
# A step of more than this between two pictures is footage that is missing.
HOLE_US = US
ANCHOR_EVERY_US = 10 * US
# How long a segment may wait for a key frame to end at (the index relies on 900 s at most).
FORCED_AFTER_US = 120 * US
LONGEST_US = 840 * US


@dataclass(frozen=True, slots=True)
class _Picture:
    body: bytes
    dts: int
    cts: int
    key: bool


class Segmenter:
    """Takes one connection's packets, hands segments to a sink.

    ``cuts`` may be set at any time: instants (µs UTC) to end a segment after.
    """

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
        self.cuts: tuple[int, ...] = ()
        self.frames = 0
        self.run = ""
        # The first instant of the run, once it will not change any more.
        self.started_us: int | None = None
        self._stream = stream
        self._tracks = tracks
        self._sink = sink
        self._missing = missing
        self._segment_us = segment_us
        self._forced_us = min(segment_us + FORCED_AFTER_US, LONGEST_US)
        self._picture = next(i for i, t in enumerate(tracks) if t.medium is Medium.PICTURE)
        self._rate = tracks[self._picture].rate
        self._lane = PictureLane(tracks[self._picture])
        # No segment ends before its beginning is known for good.
        settle_us = max(SETTLE_US, min(LONGEST_SETTLE_US, segment_us))
        self._timer = RunTimer(
            tuple(track.rate for track in tracks), self._picture, utc_minus_monotonic, settle_us
        )
        found = sound_track(tracks)
        self._sound = SoundLane(*found, self._timer) if found is not None else None
        self._silence = Silence(wanted=sound_wanted)
        self._init = b""
        # The picture's description has changed: what comes next needs a segment of its own.
        self._renewed = False
        self._init_id = ""
        self._run_started_us = 0
        self._sequence = 0
        self._segment = -1
        self._held: _Picture | None = None
        self._samples: list[Sample] = []
        self._fragment_dts = 0
        self._nominal = self._rate // 25
        self._open = False
        # Why nothing is handed on at present, if so.
        self.suspended: GapCause | None = None
        self._handed_ticks = 0
        self._anchors: list[AnchorPoint] = []
        self._segment_start_us = 0

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
    def corrected_stamps(self) -> int:
        """Count stamps that could not be true."""
        return self._timer.corrected

    @property
    def camera_offset_us(self) -> int | None:
        """Give how far the camera's clock is ahead of ours, if it says what it is."""
        return self._timer.wall.camera_offset_us

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
        self._init = init
        self._init_id = hashlib.sha256(init).hexdigest()
        self.run = self.run or new_id()

    def _add(self, picture: _Picture) -> None:
        held, self._held = self._held, picture
        if held is not None and self._open:
            self._finish_picture(held, picture.dts)
        if self._sink.trouble is not None and self.suspended is None:
            self._suspend(self._sink.trouble)
        if self.suspended is not None:
            self._resume_at(picture)
        elif not self._open:
            self._begin_segment(picture)
        elif self._cut_due(picture):
            self._flush_picture()
            self._end_segment(picture.dts + picture.cts)
            self._begin_segment(picture)
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
            start, end = self._wall(picture.dts + length), self._wall(following)
            self._sink.gap(GapNote(GapCause.STALL, ALL, start, end))

    def _is_full(self, picture: _Picture) -> bool:
        if not self._samples:
            return False
        return (picture.dts + self._nominal - self._fragment_dts) * US > FRAGMENT_US * self._rate

    def _settle(self) -> None:
        """The first pictures came in a burst; now it is known when they were sent."""
        if self._open and self._segment == 0 and self.started_us is None:
            first = self._anchor(self._anchors[0].ticks)
            self._anchors = in_force([first])
            self._sink.anchor(first)
            self._segment_start_us = self._run_started_us = first.recorder_us
            self.started_us = first.recorder_us

    def _cut_due(self, picture: _Picture) -> bool:
        wall = self._timer.wall
        if self.started_us is None and not (wall.may_settle or self._renewed):
            return False
        start, now = self._segment_start_us, self._wall(picture.dts + picture.cts)
        asked = any(start < cut <= now for cut in self.cuts)
        length = now - start
        asked = asked or length >= self._segment_us
        if length < self._forced_us and not self._renewed and not (picture.key and asked):
            return False
        if self.started_us is None:
            wall.settle()
            self._settle()
        return True

    def _wall(self, ticks: int) -> int:
        """Give the recorder's UTC of a tick of the picture."""
        return self._timer.wall.recorder_us(ticks * US // self._rate)

    def _anchor(self, ticks: int) -> AnchorPoint:
        file_us = ticks * US // self._rate
        wall = self._timer.wall
        return AnchorPoint(
            *(ticks, wall.monotonic_us(file_us), wall.recorder_us(file_us)),
            wall.camera_us(file_us),
        )

    def _begin_segment(self, picture: _Picture) -> None:
        ticks = picture.dts + picture.cts
        anchor = self._anchor(ticks)
        self._segment += 1
        self._segment_start_us = anchor.recorder_us
        if self._segment == 0:
            self._run_started_us = anchor.recorder_us
            self._silence.begin(anchor.recorder_us)
        elif self.started_us is None:
            self.started_us = anchor.recorder_us  # the first segment could not be written
        source = self._tracks[self._sound.place].codec if self._sound is not None else None
        header = OpenHeader(
            *(self._stream, self.run, self._segment, self._run_started_us),
            *(self._init_id, len(self._init)),
            tuple((t.id, t.medium.value, t.codec, t.timescale) for t in read_init(self._init)),
            source if source in AS_FLAC else None,
            self._missing.value if self._missing is not None and self._segment == 0 else None,
        )
        self._anchors = [anchor]
        self._open = True
        if self._sound is not None:
            self._sound.track.restart()
        self._sink.begin(Begin(anchor.recorder_us, self._init, header, anchor))

    def _end_segment(self, ticks: int) -> None:
        if not self._open:
            return
        if self._sound is not None:
            for chunk in self._sound.flush():
                self._emit_sound(chunk)
        end = self._anchor(ticks)
        self._gap(self._silence.before(end.recorder_us))
        self._open = False
        self._sink.end(self._end_facts(end))

    def _end_facts(self, end: AnchorPoint) -> End:
        # What was not known of the camera's clock at the time is known now.
        anchors = tuple(
            anchor if anchor.camera_us is not None else self._with_camera(anchor)
            for anchor in self._anchors
        )
        start = anchors[0].ticks * US // self._rate
        return End(end, anchors, self._timer.wall.quality(start))

    def _with_camera(self, anchor: AnchorPoint) -> AnchorPoint:
        camera_us = self._timer.wall.camera_us(anchor.ticks * US // self._rate)
        return AnchorPoint(anchor.ticks, anchor.monotonic_us, anchor.recorder_us, camera_us)

    def _flush_picture(self) -> None:
        if not self._samples:
            return
        samples, self._samples = self._samples, []
        dts = self._fragment_dts
        duration = sum(sample.duration for sample in samples)
        self._sequence += 1
        data = write_fragment(self._sequence, PICTURE_ID, dts, samples)
        self._sink.piece(
            Piece(
                *(data, PICTURE_ID, dts, duration, len(samples), samples[0].key),
                *(self._wall(dts), self._wall(dts + duration)),
            )
        )
        if self._sink.trouble is None:
            # What the sink did not take is not where the footage ends.
            self._handed_ticks = dts + duration
        anchor = self._anchor(dts)
        if anchor.recorder_us - self._anchors[-1].recorder_us > ANCHOR_EVERY_US:
            self._anchors.append(anchor)
            self._sink.anchor(anchor)

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

    def _gap(self, gap: GapNote | None) -> None:
        if gap is not None:
            self._sink.gap(gap)

    def _wall_jumped(self, jump: WallJump) -> None:
        ticks = jump.file_us * self._rate // US
        file_us = ticks * US // self._rate
        monotonic = self._timer.wall.monotonic_us(file_us)
        for anchor in (
            AnchorPoint(ticks - 1, monotonic, jump.before_us, None),
            AnchorPoint(ticks, monotonic, jump.after_us, self._timer.wall.camera_us(file_us)),
        ):
            if self._open and anchor.ticks > self._anchors[0].ticks:
                self._anchors = in_force([*self._anchors, anchor])
                self._sink.anchor(anchor)
        self._sink.gap(GapNote(GapCause.STALL, ALL, jump.before_us, jump.after_us))

    def _suspend(self, cause: GapCause) -> None:
        """Nothing can be written: give up what is in hand, and wait."""
        self.suspended = cause
        self._samples.clear()
        if self._open:
            self._open = False
            end = self._anchor(max(self._handed_ticks, self._anchors[0].ticks + 1))
            self._sink.end(self._end_facts(end))

    def _resume_at(self, picture: _Picture) -> None:
        if self._sink.trouble is not None:
            self._sink.trouble_seen()
            return
        if not picture.key:
            return
        start = self._wall(picture.dts + picture.cts)
        since = self._sink.kept_until_us or start
        # Before the first segment, whoever connected knows since when footage is missing.
        if self.suspended is not None and self._segment >= 0 and since < start:
            self._sink.gap(GapNote(self.suspended, ALL, since, start))
        self.suspended = None
        self._silence.begin(start)
        self._begin_segment(picture)
