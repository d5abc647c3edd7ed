"""From journal to index: the rows of what recorders wrote, each exactly once.

The journal is the queue and (stream, day, seq) the place in it, so this may stop, crash or be
done again by another at any moment. Recording never waits for it; ``rebuild`` is the same work on
an empty index.
"""

import logging
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts, StreamRecord
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    FragmentTable,
    Gap,
    Init,
    Record,
    Run,
    Segment,
    Stream,
    Track,
)
from bidwitness.storage.media.boxes import read_init, split_pieces
from bidwitness.storage.spool.blob import WallPoint, encode_table
from bidwitness.storage.spool.journal import JournalEntry, journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path
from bidwitness.storage.spool.reading import table_from_file
from bidwitness.storage.spool.volumes import locate
from bidwitness.words import ClockQuality, GapCause, Medium

log = logging.getLogger(__name__)

# Lines in one transaction: short enough for SQLite's only writer.
BATCH = 20
_CHUNK = 1 << 20
ALL_MEDIA = "all"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last line of a stream that has its row; ``offset`` is where the next one begins."""

    day: int
    seq: int
    offset: int


class Committer:
    """Commits the journals of one volume. Remembers how far it read, so a quiet journal is cheap."""

    def __init__(self, database: Database, volume: Path) -> None:
        self._database = database
        self._volume = volume
        self._cursors: dict[str, Cursor] = {}

    def commit(self) -> int:
        """Write the rows of all lines that have none yet; give how many.

        Raises ``IndexUnavailable`` if the index does not answer: what is written stays, and the
        rest is committed by a later call. A damaged journal is logged and left; others go on.
        """
        streams = self._streams()
        done = 0
        for stream in streams:
            try:
                done += self._commit_stream(stream)
            except DamageFound as error:
                log.error(
                    "a journal cannot be committed",
                    extra={"facts": {"stream": stream, "error": error.detail}},
                )
        return done

    def _streams(self) -> list[str]:
        """Name the streams with a folder here that the index knows. Others wait for `rebuild`."""
        if not self._volume.is_dir():
            return []
        present = sorted(p.name for p in self._volume.iterdir() if p.is_dir())
        with self._database.read() as orm:
            return list(orm.scalars(select(Stream.id).where(Stream.id.in_(present))))

    def _commit_stream(self, stream: str) -> int:
        done = 0
        batch: list[JournalEntry] = []
        for entry in self._waiting(stream):
            batch.append(entry)
            if len(batch) == BATCH:
                done += self._write(stream, batch)
                batch = []
        return done + (self._write(stream, batch) if batch else 0)

    def _waiting(self, stream: str) -> Iterator[JournalEntry]:
        cursor = self._cursors.get(stream) or self._cursor_from_index(stream)
        for day in journal_days(self._volume, stream):
            if int(day) < cursor.day:
                continue
            same = int(day) == cursor.day
            for entry in read_journal(
                journal_path(self._volume, stream, day), cursor.offset if same else 0
            ):
                if not same or entry.read().place.seq > cursor.seq:
                    yield entry

    def _cursor_from_index(self, stream: str) -> Cursor:
        with self._database.read() as orm:
            last = orm.execute(
                select(Record.day, Record.seq)
                .where(Record.stream_id == stream)
                .order_by(Record.day.desc(), Record.seq.desc())
                .limit(1)
            ).first()
        return Cursor(last.day, last.seq, 0) if last else Cursor(0, -1, 0)

    def _write(self, stream: str, entries: list[JournalEntry]) -> int:
        # Files are read before the transaction: nothing slow happens inside it.
        rows = [_prepare(self._volume, entry) for entry in entries]
        with self._database.write() as orm:
            written = sum(row.add_to(orm) for row in rows)
        last = entries[-1]
        place = last.read().place
        self._cursors[stream] = Cursor(int(place.day), place.seq, last.end)
        return written


@dataclass(frozen=True)
class Prepared:
    """All that the rows of one line need, read from the journal and the segment's file."""

    record: StreamRecord
    leaf: bytes
    body: str
    path: str | None
    init: bytes | None
    table: bytes | None
    run_started_us: int

    def add_to(self, orm: Orm) -> int:
        """Add the rows of this line unless they are there; give 1 or 0."""
        place = self.record.place
        day = int(place.day)
        known = select(Record.id).where(
            Record.stream_id == place.stream, Record.day == day, Record.seq == place.seq
        )
        if orm.scalar(known) is not None:
            return 0
        row = Record(
            stream_id=place.stream,
            day=day,
            seq=place.seq,
            kind=self.record.T,
            leaf=self.leaf,
            body=self.body,
        )
        orm.add(row)
        orm.flush()
        if isinstance(self.record, SegmentFacts):
            self._add_segment(orm, self.record, row.id)
        else:
            _add_gap(orm, self.record, row.id)
        return 1

    def _add_segment(self, orm: Orm, facts: SegmentFacts, record_id: int) -> None:
        if orm.get(Run, facts.run) is None:
            orm.add(
                Run(
                    id=facts.run,
                    stream_id=facts.place.stream,
                    recorder=facts.place.recorder,
                    started_us=self.run_started_us,
                )
            )
        if self.init is not None and orm.get(Init, facts.init) is None:
            orm.add(Init(id=facts.init, body=self.init, tracks=tracks_of(facts, self.init)))
        _note_tracks(orm, facts, self.init)
        segment = Segment(
            stream_id=facts.place.stream,
            record_id=record_id,
            run_id=facts.run,
            run_seq=facts.run_seq,
            init_id=facts.init,
            from_us=facts.start,
            to_us=facts.end,
            quality=ClockQuality(facts.quality),
            bytes=facts.file.bytes,
            pieces=facts.pieces,
            sha256=bytes.fromhex(facts.file.sha256),
            recorder=facts.place.recorder,
            spool_path=self.path,
        )
        orm.add(segment)
        orm.flush()
        if self.table is not None:
            orm.add(FragmentTable(segment_id=segment.id, body=self.table))


def _prepare(volume: Path, entry: JournalEntry) -> Prepared:
    record = entry.read()
    body = canonical(entry.record).decode("ascii")
    if not isinstance(record, SegmentFacts):
        return Prepared(record, entry.leaf, body, None, None, None, record.start)
    path = str(entry.facts["path"])
    file = locate(volume, path)
    started = entry.facts.get("run_started_us")
    run_started_us = started if isinstance(started, int) else record.start
    if not file.is_file():
        # Its bytes are in the store by now, and so are the init and the fragments there.
        return Prepared(record, entry.leaf, body, None, None, None, run_started_us)
    given = entry.facts.get("table")
    if isinstance(given, str):
        table = b64decode(given)
    else:
        walls = [WallPoint(anchor.pts, anchor.recorder_us) for anchor in record.anchors]
        table = encode_table(table_from_file(file, walls))
    return Prepared(record, entry.leaf, body, path, _first_piece(file), table, run_started_us)


def _first_piece(file: Path) -> bytes:
    with file.open("rb") as opened:
        for piece in split_pieces(iter(lambda: opened.read(_CHUNK), b"")):
            return piece.data
    raise DamageFound(f"{file.name} is empty.")


def tracks_of(facts: SegmentFacts, init: bytes) -> list[dict[str, object]]:
    """Give how the row of an init describes its tracks, in the order of the file."""
    sizes = {track.id: track for track in read_init(init)}
    return [
        {
            "id": track.id,
            "medium": track.medium,
            "codec": track.codec,
            "timescale": track.timescale,
            "source_codec": track.source_codec or track.codec,
            "width": sizes[track.id].width if track.id in sizes else None,
            "height": sizes[track.id].height if track.id in sizes else None,
        }
        for track in facts.tracks
    ]


def _note_tracks(orm: Orm, facts: SegmentFacts, init: bytes | None) -> None:
    """Say of the stream which tracks it has, as last seen."""
    if init is None:
        return
    for track in tracks_of(facts, init):
        row = orm.get(Track, (facts.place.stream, Medium(str(track["medium"]))))
        if row is None:
            row = Track(stream_id=facts.place.stream, medium=Medium(str(track["medium"])))
            orm.add(row)
        row.codec = str(track["codec"])
        row.source_codec = str(track["source_codec"])
        width, height = track["width"], track["height"]
        row.width = width if isinstance(width, int) and width else None
        row.height = height if isinstance(height, int) and height else None


def _add_gap(orm: Orm, facts: GapFacts, record_id: int) -> None:
    orm.add(
        Gap(
            stream_id=facts.place.stream,
            record_id=record_id,
            medium=None if facts.medium == ALL_MEDIA else facts.medium,
            cause=GapCause(facts.cause),
            from_us=facts.start,
            to_us=facts.end,
            detail=facts.detail,
        )
    )
