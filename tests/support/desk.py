"""A recorder's inner half on a table: segmenter and writer on a fake clock, and what they left."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.clock import START_US as UTC_START
from support.clock import FakeClock
from support.fake_source import START_US as FIRST_ARRIVAL

from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.sound_segmenter import AnySegmenter, segmenter_of
from bidwitness.recorder.writer import StreamSink, VolumeWriter
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.storage.media.boxes import read_fragment, split_pieces
from bidwitness.storage.spool.files import Files, SystemFiles
from bidwitness.storage.spool.journal import JournalEntry, journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path
from bidwitness.storage.spool.volumes import locate
from bidwitness.storage.volumes import VolumeRoom, room_on
from bidwitness.words import GapCause

STREAM = "cam1main"
# The first packet arrives at this UTC.
UTC0 = UTC_START
OFFSET = UTC_START - FIRST_ARRIVAL


@dataclass
class Desk:
    """One stream on one volume."""

    volume: Path
    files: Files
    clock: FakeClock
    writer: VolumeWriter
    sink: StreamSink
    # How much later than ``UTC0`` it begins.
    later_us: int = 0

    @classmethod
    def on(
        cls,
        volume: Path,
        files: Files | None = None,
        limit: int = 64 << 20,
        later_us: int = 0,
        measure: Callable[[Path], VolumeRoom] = room_on,
    ) -> "Desk":
        clock = FakeClock(UTC_START + later_us, FIRST_ARRIVAL)
        seam = files or SystemFiles()
        writer = VolumeWriter(
            volume,
            seam,
            clock,
            site="site-1",
            recorder="recorder-1",
            limit_bytes=limit,
            measure=measure,
        )
        return cls(volume, seam, clock, writer, writer.sink(STREAM), later_us)

    def segmenter(
        self,
        tracks: tuple[SourceTrack, ...],
        segment_s: float = 4,
        sound_wanted: bool = True,
        missing: GapCause | None = None,
    ) -> AnySegmenter:
        return segmenter_of(
            STREAM,
            tracks,
            self.sink,
            segment_us=int(segment_s * 1e6),
            utc_minus_monotonic=OFFSET + self.later_us,
            sound_wanted=sound_wanted,
            missing=missing,
        )

    def play(self, segmenter: AnySegmenter, packets: list[Packet], every_us: int = 200_000) -> None:
        """Push packets at their times; the writer works as often as its thread would."""
        worked = self.clock.monotonic_us()
        for packet in packets:
            self.clock.advance(max(0, packet.arrived_us - self.clock.monotonic_us()))
            segmenter.push(packet)
            if self.clock.monotonic_us() - worked >= every_us:
                worked = self.clock.monotonic_us()
                self.writer.work()

    def finish(self, segmenter: AnySegmenter) -> None:
        segmenter.finish()
        self.writer.work(sync=True)

    def left(self) -> "Left":
        return Left(self.volume)


@dataclass(frozen=True)
class Left:
    """What a volume holds of a stream."""

    volume: Path
    stream: str = STREAM

    @property
    def entries(self) -> list[JournalEntry]:
        return [
            entry
            for day in journal_days(self.volume, self.stream)
            for entry in read_journal(journal_path(self.volume, self.stream, day))
        ]

    @property
    def segments(self) -> list[SegmentFacts]:
        return [r for e in self.entries if isinstance(r := e.read(), SegmentFacts)]

    @property
    def pictured(self) -> list[SegmentFacts]:
        """Segments that hold something of the picture: where it ends, the footage does.

        Sound that came before its segment's first picture is kept, and recorded, if the disk fails
        between the two; it lies in the gap.
        """
        return [s for s in self.segments if s.tracks[0].id in {m.track for m in s.media}]

    @property
    def gaps(self) -> list[GapFacts]:
        return [r for e in self.entries if isinstance(r := e.read(), GapFacts)]

    @property
    def paths(self) -> list[Path]:
        """Files of segments, in the order of the journal."""
        facts = [entry.facts for entry in self.entries if "path" in entry.facts]
        return [locate(self.volume, str(one["path"])) for one in facts]

    @property
    def others(self) -> list[Path]:
        """Files of the stream that are no closed segment and no journal."""
        ends = (".mp4", ".ndjson")
        found = (self.volume / self.stream).rglob("*")
        return [p for p in found if p.is_file() and p.suffix not in ends]

    def joined(self) -> bytes:
        """The init once, then all fragments of all segments."""
        out = b""
        for path in self.paths:
            pieces = list(split_pieces([path.read_bytes()]))
            out += b"".join(piece.data for piece in pieces[1 if out else 0 :])
        return out

    @staticmethod
    def fragments_in(path: Path) -> list[tuple[int, int]]:
        """(decode time, duration) of every fragment of a file, in order."""
        pieces = split_pieces([path.read_bytes()])
        found = [read_fragment(piece.data) for piece in pieces if not piece.is_init]
        return [(f.dts, f.duration) for f in found]

    def fragments_of(self, track: int) -> list[tuple[int, int]]:
        """(decode time, duration) of every fragment of a track, in order."""
        found = [
            read_fragment(piece.data)
            for path in self.paths
            for piece in split_pieces([path.read_bytes()])
            if not piece.is_init
        ]
        return [(f.dts, f.duration) for f in found if f.track == track]
