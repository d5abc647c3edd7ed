"""One stream's files on a volume, step by step. Runs in the volume writer's thread."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bidwitness.recorder.chain import Chain
from bidwitness.recorder.closing import (
    SegmentDigest,
    index_facts,
    segment_facts,
    segment_table,
)
from bidwitness.recorder.recovery import recover_stream
from bidwitness.recorder.values import Begin, End, GapNote, Piece
from bidwitness.storage.evidence.records import GapFacts, utc_day
from bidwitness.storage.spool.blob import Fragment
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.layout import (
    CLOSED,
    PART,
    TABLE,
    SegmentName,
    day_dir,
    segment_path,
)
from bidwitness.storage.spool.table import (
    AnchorPoint,
    OpenFragment,
    encode_anchor,
    encode_fragment,
    encode_header,
)


@dataclass
class _OpenFile:
    """A segment being written."""

    begin: Begin
    stem: Path
    path: PurePosixPath
    table: int
    part: int
    digest: SegmentDigest = field(default_factory=SegmentDigest)
    fragments: list[OpenFragment] = field(default_factory=list)
    dirty: bool = True
    is_new: bool = True

    def ending(self, ending: str) -> Path:
        return Path(f"{self.stem}{ending}")


class StreamFiles:
    """The life of a stream's segments on disk. Every method raises ``OSError`` as the disk does;
    after that only ``recover`` helps."""

    def __init__(
        self, volume: Path, stream: str, files: Files, chain: Chain, spool: Path | None = None
    ) -> None:
        self.stream = stream
        self._volume = volume
        # Where the stream's journal lies, which its chain writes.
        self._spool = spool or volume
        self._files = files
        self._chain = chain
        self._file: _OpenFile | None = None
        self.written_until_us: int | None = None
        # The end of what would survive a power cut.
        self.durable_until_us: int | None = None

    def recover(self) -> None:
        """Bring in order what a crash or a failing disk has left.

        Raises ``OSError``, or ``DamageFound`` if the journal is broken before its end.
        """
        self.let_go()
        recover_stream(self._spool, self.stream, self._files, self._chain, self._volume)
        self.written_until_us = self.durable_until_us = self._chain.until_us

    def let_go(self) -> None:
        """Close the files as they are."""
        file, self._file = self._file, None
        if file is not None:
            for handle in (file.part, file.table):
                self._files.close(handle)

    def begin(self, begin: Begin) -> None:
        """Create a segment's file and table; their names are durable with the next sync."""
        day = utc_day(begin.start_us)
        name = SegmentName(begin.start_us, begin.header.run, begin.header.run_seq)
        folder = day_dir(self._volume, self.stream, day)
        stem = folder / str(name)
        self._files.make_dirs(folder)
        table = self._files.create(Path(f"{stem}{TABLE}"))
        try:
            self._files.append(table, encode_header(begin.header) + encode_anchor(begin.anchor))
            # Before there is any footage, what it is of: bytes alone could not be placed.
            self._files.sync(table)
            part = self._files.create(Path(f"{stem}{PART}"))
        except OSError:
            self._files.close(table)
            raise
        path = PurePosixPath(segment_path(self.stream, day, name))
        file = self._file = _OpenFile(begin, stem, path, table, part)
        self._files.append(part, begin.init)
        file.digest.add(begin.init)

    def piece(self, piece: Piece) -> None:
        """Append a fragment, then its entry: what the table lists is in the file."""
        file = self._file
        if file is None:
            return
        offset = file.digest.size
        self._files.append(file.part, piece.data)
        place = Fragment(
            *(piece.track, offset, len(piece.data)), *(piece.dts, piece.duration, piece.key)
        )
        leaf = file.digest.add(piece.data)
        item = OpenFragment(place, piece.samples, piece.wall_us, leaf, piece.g711, piece.zeros)
        self._files.append(file.table, encode_fragment(item))
        file.fragments.append(item)
        file.dirty = True
        # Sound may run on a little; where the picture ends, the footage does.
        if piece.track == file.begin.header.tracks[0][0]:
            self.written_until_us = piece.end_us

    def anchor(self, anchor: AnchorPoint) -> None:
        if self._file is not None:
            self._files.append(self._file.table, encode_anchor(anchor))
            self._file.dirty = True

    def end(self, end: End) -> None:
        """Close a segment; each step is durable before the next (``recovery`` knows them all)."""
        file = self._file
        if file is None:
            return
        if file.fragments:
            self.sync()
            self._files.rename(file.ending(PART), file.ending(CLOSED))
            self._files.sync_dir(file.stem.parent)
            self._journal(file, end)
        else:
            self._files.unlink(file.ending(PART))
        self.let_go()
        self._files.unlink(file.ending(TABLE))

    def _journal(self, file: _OpenFile, end: End) -> None:
        header = file.begin.header
        anchors = [*end.anchors, end.anchor]
        self._chain.append(
            anchors[0].recorder_us,
            lambda place: segment_facts(
                place, header, file.fragments, anchors, end.quality, file.digest
            ),
            index_facts(file.path, header, segment_table(header, file.fragments, anchors)),
        )

    def gap(self, gap: GapNote) -> None:
        """Journal a gap."""
        self._chain.append(
            gap.start_us,
            lambda place: GapFacts(
                place, gap.cause.value, gap.medium, gap.start_us, gap.end_us, gap.detail
            ),
            {},
        )
        if self._file is None:
            # What was missing is stated up to here: the next gap begins where this one ends.
            self.written_until_us = self._chain.until_us

    def start_sync(self) -> None:
        """Let the system begin with what ``sync`` will wait for."""
        if self._file is not None and self._file.dirty:
            self._files.start_sync(self._file.table)
            self._files.start_sync(self._file.part)

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        file = self._file
        if file is None or not file.dirty:
            return
        # The table first: a fragment that it lists in vain is left out, one that it lacks would
        # be footage of which nothing is known.
        self._files.sync(file.table)
        self._files.sync(file.part)
        if file.is_new:
            self._files.sync_dir(file.stem.parent)
            file.is_new = False
        file.dirty = False
        self.durable_until_us = self.written_until_us
