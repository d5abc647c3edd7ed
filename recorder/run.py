"""What all runs have in common, whatever track leads them: segments begin, are tied to the clocks,
and end. Knows no disk and no socket.

The leading track is the picture, or, where there is none, the sound: its ticks are what a segment's
instants are tied to.
"""

import hashlib

from bidwitness.recorder.packets import SourceTrack
from bidwitness.recorder.ticks import SETTLE_US
from bidwitness.recorder.timing import LONGEST_SETTLE_US, RunTimer, WallJump
from bidwitness.recorder.values import ALL, Begin, End, GapNote, Piece, SegmentSink
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.spool.blob import US
from bidwitness.storage.spool.table import AnchorPoint, OpenHeader, in_force
from bidwitness.words import GapCause

PICTURE_ID, SOUND_ID = 1, 2
# A step of more than this between two pictures (or two packets of a sound that leads) is footage
# that is missing.
HOLE_US = US
ANCHOR_EVERY_US = 10 * US
# How long a segment may wait for a key frame to end at (the index relies on 900 s at most).
FORCED_AFTER_US = 120 * US
LONGEST_US = 840 * US


class Run:
    """One connection's segments.

    ``cuts`` may be set at any time: instants (µs UTC) to end a segment after.
    """

    def __init__(
        self,
        stream: str,
        tracks: tuple[SourceTrack, ...],
        sink: SegmentSink,
        *,
        leading: int,
        segment_us: int,
        utc_minus_monotonic: int,
        missing: GapCause | None = None,
    ) -> None:
        self.cuts: tuple[int, ...] = ()
        self.run = ""
        # The first instant of the run, once it will not change any more.
        self.started_us: int | None = None
        # Why nothing is handed on at present, if so.
        self.suspended: GapCause | None = None
        self._stream = stream
        self._tracks = tracks
        self._sink = sink
        self._missing = missing
        self._segment_us = segment_us
        self._forced_us = min(segment_us + FORCED_AFTER_US, LONGEST_US)
        self._leading = leading
        self._rate = tracks[leading].rate
        # No segment ends before its beginning is known for good.
        settle_us = max(SETTLE_US, min(LONGEST_SETTLE_US, segment_us))
        self._timer = RunTimer(
            tuple(track.rate for track in tracks), leading, utc_minus_monotonic, settle_us
        )
        self._init = b""
        self._init_id = ""
        self._run_started_us = 0
        self._sequence = 0
        self._segment = -1
        self._open = False
        self._handed_ticks = 0
        self._anchors: list[AnchorPoint] = []
        # What the picture had been moved by at the newest of them.
        self._anchored_at_us = 0
        self._segment_start_us = 0

    @property
    def corrected_stamps(self) -> int:
        """Count stamps that could not be true."""
        return self._timer.corrected

    @property
    def camera_offset_us(self) -> int | None:
        """Give how far the camera's clock is ahead of ours, if it says what it is."""
        return self._timer.wall.camera_offset_us

    def _use_init(self, init: bytes) -> None:
        self._init = init
        self._init_id = hashlib.sha256(init).hexdigest()

    def _settle(self) -> None:
        """The first packets came in a burst; now it is known when they were sent."""
        if self._open and self._segment == 0 and self.started_us is None:
            first = self._anchor(self._anchors[0].ticks)
            self._anchors = in_force([first])
            self._sink.anchor(first)
            self._segment_start_us = self._run_started_us = first.recorder_us
            self.started_us = first.recorder_us

    def _cut_due(self, ticks: int, *, key: bool, renewed: bool = False) -> bool:
        """Say whether the open segment ends where a packet of the leading track begins."""
        wall = self._timer.wall
        if self.started_us is None and not (wall.may_settle or renewed):
            return False
        start, now = self._segment_start_us, self._wall(ticks)
        asked = any(start < cut <= now for cut in self.cuts)
        length = now - start
        asked = asked or length >= self._segment_us
        if length < self._forced_us and not renewed and not (key and asked):
            return False
        if self.started_us is None:
            wall.settle()
            self._settle()
        return True

    def _wall(self, ticks: int) -> int:
        """Give the recorder's UTC of a tick of the leading track."""
        return self._timer.wall.recorder_us(ticks * US // self._rate)

    def _anchor(self, ticks: int) -> AnchorPoint:
        file_us = ticks * US // self._rate
        wall = self._timer.wall
        return AnchorPoint(
            *(ticks, wall.monotonic_us(file_us), wall.recorder_us(file_us)),
            wall.camera_us(file_us),
        )

    def _begin_segment(self, ticks: int, source_codec: str | None) -> None:
        """Begin one at a tick of the leading track; ``source_codec`` as in the header."""
        anchor = self._anchor(ticks)
        self._segment += 1
        self._segment_start_us = anchor.recorder_us
        if self._segment == 0:
            self._run_started_us = anchor.recorder_us
        elif self.started_us is None:
            self.started_us = anchor.recorder_us  # the first segment could not be written
        header = OpenHeader(
            *(self._stream, self.run, self._segment, self._run_started_us),
            *(self._init_id, len(self._init)),
            tuple((t.id, t.medium.value, t.codec, t.timescale) for t in read_init(self._init)),
            source_codec,
            self._missing.value if self._missing is not None and self._segment == 0 else None,
        )
        self._anchors, self._anchored_at_us = [anchor], self._timer.moved_us
        self._open = True
        self._sink.begin(Begin(anchor.recorder_us, self._init, header, anchor))

    def _end_at(self, end: AnchorPoint) -> None:
        self._open = False
        # What was not known of the camera's clock at the time is known now.
        anchors = tuple(
            anchor if anchor.camera_us is not None else self._with_camera(anchor)
            for anchor in self._anchors
        )
        start = anchors[0].ticks * US // self._rate
        self._sink.end(End(end, anchors, self._timer.wall.quality(start)))

    def _with_camera(self, anchor: AnchorPoint) -> AnchorPoint:
        camera_us = self._timer.wall.camera_us(anchor.ticks * US // self._rate)
        return AnchorPoint(anchor.ticks, anchor.monotonic_us, anchor.recorder_us, camera_us)

    def _handed(self, piece: Piece) -> None:
        """Hand on a fragment of the leading track, and tie it to the clocks now and then."""
        self._sink.piece(piece)
        if self._sink.trouble is None:
            # What the sink did not take is not where the footage ends.
            self._handed_ticks = piece.dts + piece.duration
        anchor, moved_us = self._anchor(piece.dts), self._timer.moved_us
        is_due = anchor.recorder_us - self._anchors[-1].recorder_us > ANCHOR_EVERY_US
        # A picture on the move keeps its instants only if each fragment has its own.
        if (is_due or moved_us != self._anchored_at_us) and piece.dts > self._anchors[-1].ticks:
            self._anchors.append(anchor)
            self._anchored_at_us = moved_us
            self._sink.anchor(anchor)

    def _hole(self, from_ticks: int, to_ticks: int) -> None:
        """State that nothing of the leading track came for a while."""
        start, end = self._wall(from_ticks), self._wall(to_ticks)
        self._sink.gap(GapNote(GapCause.STALL, ALL, start, end))

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
        if self._open:
            self._end_at(self._anchor(max(self._handed_ticks, self._anchors[0].ticks + 1)))

    def _may_resume(self, ticks: int, *, key: bool) -> bool:
        """Say whether to go on with the packet at a tick; state what is missing before it."""
        if self._sink.trouble is not None:
            self._sink.trouble_seen()
            return False
        if not key:
            return False
        start = self._wall(ticks)
        since = self._sink.accounted_us or start
        # Before the first segment, whoever connected knows since when footage is missing.
        if self.suspended is not None and self._segment >= 0 and since < start:
            self._sink.gap(GapNote(self.suspended, ALL, since, start))
        self.suspended = None
        return True
