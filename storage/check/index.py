"""Rows, files and records agree: chains without a hole, rows that say what their records say,
files where the rows say."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.records import (
    GapFacts,
    SegmentFacts,
    check_record,
    leaf_hash,
)
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import FragmentTable, Garbage, Record, Segment, Stream
from bidwitness.storage.spool.blob import decode_table
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import CLOSED, day_dir, journal_path, parse_name
from bidwitness.storage.spool.volumes import locate, volumes_of

BATCH = 500
# A segment's name states its first instant as the recorder saw it; its record may know better.
NEAR_US = 86_400_000_000


def check_index(database: Database, spool: Path, recorder: str) -> Iterator[Problem | None]:
    """Go through every stream. Gives one item for each record and file, nothing or what is wrong.

    ``recorder``: whose spool this is; what lies on others is not looked for.
    """
    with database.read() as orm:
        streams = list(orm.scalars(select(Stream.id).order_by(Stream.id)))
    for stream in streams:
        yield from _check_chain(database, spool, recorder, stream)
        for volume in volumes_of(spool):
            yield from _check_spool(database, spool, volume, stream)


def _check_chain(
    database: Database, spool: Path, recorder: str, stream: str
) -> Iterator[Problem | None]:
    """Check the records of a stream in order, each with its segment."""
    at: tuple[int, int] = (0, -1)
    before: Record | None = None
    while True:
        with database.read() as orm:
            batch = _records(orm, stream, at)
        for record, segment, table in batch:
            place = f"{stream}/{record.day}#{record.seq}"
            yield _check_record(record, before, place)
            if segment is not None and segment.removed_us is None:
                yield _check_segment(record, segment, table, place, spool, recorder)
            elif segment is None and record.kind == SegmentFacts.T:
                yield Problem(Fault.MISSING, place, "its segment has no row")
            before = record
        if len(batch) < BATCH:
            return
        at = (batch[-1][0].day, batch[-1][0].seq)


def _records(
    orm: Orm, stream: str, after: tuple[int, int]
) -> list[tuple[Record, Segment | None, bytes | None]]:
    day, seq = after
    query = (
        select(Record, Segment, FragmentTable.body)
        .outerjoin(Segment, Segment.record_id == Record.id)
        .outerjoin(FragmentTable, FragmentTable.segment_id == Segment.id)
        .where(
            Record.stream_id == stream,
            Record.day >= day,
            (Record.day > day) | (Record.seq > seq),
        )
        .order_by(Record.day, Record.seq)
        .limit(BATCH)
    )
    return [(record, segment, body) for record, segment, body in orm.execute(query)]


def _check_record(record: Record, before: Record | None, place: str) -> Problem | None:
    follows = before is not None and before.day == record.day
    expected = before.seq + 1 if follows and before is not None else 0
    if record.seq != expected:
        return Problem(Fault.CHAIN, place, f"record {expected} of the day is missing")
    if record.body is None:
        return None
    try:
        body = parse(record.body.encode())
        facts = check_record(body)
    except BadRecord as error:
        return Problem(Fault.UNREADABLE, place, str(error))
    if leaf_hash(body) != record.leaf:
        return Problem(Fault.DIFFERS, place, "the record is not the one that was made")
    if not isinstance(facts, SegmentFacts | GapFacts):
        return Problem(Fault.UNREADABLE, place, "it is not a record of a stream")
    stated = (facts.place.stream, int(facts.place.day), facts.place.seq)
    if stated != (record.stream_id, record.day, record.seq):
        return Problem(Fault.DIFFERS, place, "the record stands in another place than it says")
    if before is not None and facts.place.prev != before.leaf.hex():
        return Problem(Fault.CHAIN, place, "the record does not follow the one before it")
    return None


def _check_segment(
    record: Record,
    segment: Segment,
    table: bytes | None,
    place: str,
    spool: Path,
    recorder: str,
) -> Problem | None:
    facts = _facts(record)
    if facts is not None and not _agree(facts, segment):
        return Problem(Fault.DIFFERS, place, "the row of the segment says another than the record")
    if table is not None:
        try:
            decode_table(table)
        except DamageFound as error:
            return Problem(Fault.UNREADABLE, place, error.detail)
    if segment.spool_path is None:
        if segment.stored_us is None:
            return Problem(Fault.MISSING, place, "its segment is neither stored nor in a spool")
        return None
    if segment.recorder != recorder:
        return None
    path = locate(spool, segment.spool_path)
    size = path.stat().st_size if path.is_file() else None
    if size == segment.bytes or (size is None and segment.stored_us is not None):
        return None  # an eviction unlinks before it says so
    what = "is not there" if size is None else f"has {size} bytes, not {segment.bytes}"
    return Problem(Fault.MISSING if size is None else Fault.DIFFERS, place, f"{path} {what}")


def _facts(record: Record) -> SegmentFacts | None:
    try:
        facts = check_record(parse(record.body.encode())) if record.body else None
    except BadRecord:
        return None
    return facts if isinstance(facts, SegmentFacts) else None


def _agree(facts: SegmentFacts, segment: Segment) -> bool:
    said = (facts.file.sha256, facts.file.bytes, facts.start, facts.end, facts.run, facts.run_seq)
    return facts.init == segment.init_id and said == (
        segment.sha256.hex(),
        segment.bytes,
        segment.from_us,
        segment.to_us,
        segment.run_id,
        segment.run_seq,
    )


def _check_spool(
    database: Database, spool: Path, volume: Path, stream: str
) -> Iterator[Problem | None]:
    """Find closed segments on a volume that neither the index nor a journal knows."""
    for day in _days(volume, stream):
        unknown: dict[str, Path] = {}
        starts: list[int] = []
        for path in sorted(day_dir(volume, stream, day).glob(f"*{CLOSED}")):
            name = parse_name(path.stem)
            if name is not None:
                unknown[path.name] = path
                starts.append(name.start_us)
        if not unknown:
            continue
        for known in _known_paths(database, stream, min(starts), max(starts)):
            unknown.pop(known.rpartition("/")[2], None)
        for awaited in _awaited(spool, stream, day) if unknown else ():
            unknown.pop(awaited, None)
        for path in unknown.values():
            if path.exists():
                yield Problem(Fault.UNKNOWN, str(path), "no row and no record speaks of it")


def _known_paths(database: Database, stream: str, from_us: int, to_us: int) -> list[str]:
    """Give the spool paths of a stream that rows speak of, as kept or waiting for removal."""
    kept = select(Segment.spool_path).where(
        Segment.stream_id == stream,
        Segment.from_us.between(from_us - NEAR_US, to_us + NEAR_US),
        Segment.removed_us.is_(None),
    )
    rubbish = select(Garbage.spool_path).where(
        Garbage.spool_path.startswith(f"{stream}/", autoescape=True)
    )
    with database.read() as orm:
        return [str(path) for path in (*orm.scalars(kept), *orm.scalars(rubbish)) if path]


def _days(spool: Path, stream: str) -> list[str]:
    folder = spool / stream
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name.isdigit())


def _awaited(spool: Path, stream: str, day: str) -> Iterator[str]:
    """Give the files that a journal names: their rows may be on their way."""
    for known in journal_days(spool, stream):
        if known < day:
            continue
        try:
            for entry in read_journal(journal_path(spool, stream, known)):
                yield _name_of(entry.facts)
        except DamageFound:
            return  # the recorder says so itself


def _name_of(facts: Mapping[str, object]) -> str:
    return str(facts.get("path", "")).rpartition("/")[2]
