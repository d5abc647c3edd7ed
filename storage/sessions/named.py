"""Which records a session's claims point at, which files those name, and whether they are there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound, InvalidInput, NotFound
from bidwitness.intervals import Interval, union
from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.records import (
    GapFacts,
    SegmentFacts,
    StreamRecord,
    check_record,
    leaf_hash,
    utc_day,
)
from bidwitness.storage.evidence.session_records import HeadFacts
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.footage import MAX_SEGMENT_US, gaps_in, segments_in
from bidwitness.storage.index.models import Claim, Record, Segment

# Few enough for one statement on either database.
CHUNK = 500
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a record names; ``segment`` is empty if the index does not know it."""

    stream_id: str
    label: str
    segment: Segment | None
    problem: str | None = None


def heads_of(orm: Orm, claims: Iterable[Claim], until_us: int) -> list[HeadFacts]:
    """Give the stretches of the streams' chains that the claims point at, by stream and day.

    Stretches of different claims are one only where they meet: what the session did not claim in
    between is not spoken of. A record whose file the index has lost is pointed at all the same.
    """
    stretches: dict[tuple[str, int], list[Interval]] = {}
    for claim in claims:
        end = min(claim.to_us or until_us, until_us)
        found = [s.record_id for s in segments_in(orm, claim.stream_id, claim.from_us, end)]
        gaps = gaps_in(orm, claim.stream_id, claim.from_us, end)
        found += [g.record_id for g in gaps if g.record_id is not None]
        days: dict[int, list[int]] = {}
        lost = _lost(orm, claim.stream_id, Interval(claim.from_us, max(end, claim.from_us + 1)))
        for day, seq in [*_places(orm, found), *lost]:
            days.setdefault(day, []).append(seq)
        for day, seqs in days.items():
            stretch = Interval(min(seqs), max(seqs) + 1)
            stretches.setdefault((claim.stream_id, day), []).append(stretch)
    return [
        HeadFacts(
            stream=stream,
            day=f"{day:08d}",
            first=stretch.start,
            last=stretch.end - 1,
            head=_leaf(orm, stream, day, stretch.end - 1).hex(),
        )
        for (stream, day), parts in sorted(stretches.items())
        for stretch in union(parts)
    ]


def _places(orm: Orm, records: list[int]) -> Iterator[tuple[int, int]]:
    for i in range(0, len(records), CHUNK):
        query = select(Record.day, Record.seq).where(Record.id.in_(records[i : i + CHUNK]))
        yield from ((day, seq) for day, seq in orm.execute(query))


def _lost(orm: Orm, stream_id: str, claimed: Interval) -> list[tuple[int, int]]:
    """Give the places of segment records without a row of their file, as far as they concern a
    claim, or do not say."""
    rows = orm.execute(
        select(Record.day, Record.seq, Record.body)
        .outerjoin(Segment, Segment.record_id == Record.id)
        .where(
            Record.stream_id == stream_id,
            # A segment's day is the one it starts in, or a later one.
            Record.day.between(
                int(utc_day(claimed.start - MAX_SEGMENT_US)), int(utc_day(claimed.end + DAY_US))
            ),
            Record.kind == SegmentFacts.T,
            Segment.id.is_(None),
        )
    )
    found: list[tuple[int, int]] = []
    for day, seq, body in rows:
        try:
            facts = check_record(parse((body or "").encode()))
        except BadRecord:
            facts = None
        if not isinstance(facts, SegmentFacts) or claimed.overlaps(
            Interval(facts.start, facts.end)
        ):
            found.append((day, seq))
    return found


def _leaf(orm: Orm, stream_id: str, day: int, seq: int) -> bytes:
    leaf = orm.scalar(
        select(Record.leaf).where(
            Record.stream_id == stream_id, Record.day == day, Record.seq == seq
        )
    )
    assert leaf is not None
    return leaf


def facts_of(orm: Orm, heads: Iterable[HeadFacts]) -> dict[str, list[StreamRecord]]:
    """Give what the records of some stretches say, by stream, in the order of the chain.

    Raises ``BadRecord`` for one that is not readable.
    """
    found: dict[str, list[StreamRecord]] = {}
    for head in heads:
        query = select(Record.body).where(_within(head)).order_by(Record.seq)
        for body in orm.scalars(query):
            facts = check_record(parse(body.encode())) if body is not None else None
            if isinstance(facts, SegmentFacts | GapFacts):
                found.setdefault(head.stream, []).append(facts)
    return found


def _within(head: HeadFacts) -> ColumnElement[bool]:
    """Ask for the records of a stretch."""
    return and_(
        Record.stream_id == head.stream,
        Record.day == int(head.day),
        Record.seq.between(head.first, head.last),
    )


def files_of(orm: Orm, head: HeadFacts, claimed: Iterable[Interval]) -> list[Named]:
    """Give the files that the records of a stretch name, as far as they lie in ``claimed``.

    Each record is checked against its own leaf and against the one before it. Footage that was
    removed by the book before it was claimed is not named any more: it is a gap.
    """
    query = (
        select(Record, Segment)
        .outerjoin(Segment, Segment.record_id == Record.id)
        .where(_within(head))
        .order_by(Record.seq)
    )
    spans = list(claimed)
    named: list[Named] = []
    expected, before = head.first, None
    for record, segment in orm.execute(query):
        label = f"{head.stream}/{head.day}#{record.seq}"
        problem = _wrong(record, segment, expected, before)
        expected, before = record.seq + 1, record
        if problem is not None:
            named.append(Named(head.stream, label, segment, problem))
        elif record.kind == SegmentFacts.T and _concerns(record, segment, spans):
            named.append(Named(head.stream, label, segment))
    if expected != head.last + 1 or (before is not None and before.leaf.hex() != head.head):
        label = f"{head.stream}/{head.day}#{head.last}"
        problem = "the chain does not end where it did"
        named.append(Named(head.stream, label, None, problem))
    return named


def _wrong(
    record: Record, segment: Segment | None, expected: int, before: Record | None
) -> str | None:
    if record.seq != expected:
        return f"record {expected} is missing"
    if record.body is None:
        # Its body has gone into an object of its own; the leaf still stands in the chain.
        return None
    try:
        body = parse(record.body.encode())
        facts = check_record(body)
    except BadRecord as error:
        return f"the record is not readable: {error}"
    if leaf_hash(body) != record.leaf:
        return "the record is not the one that was made"
    if before is not None and facts.place.prev != before.leaf.hex():
        return "the record does not follow the one before it"
    if (
        isinstance(facts, SegmentFacts)
        and segment is not None
        and (facts.file.sha256, facts.file.bytes) != (segment.sha256.hex(), segment.bytes)
    ):
        return "the index names another digest than the record"
    return None


def _concerns(record: Record, segment: Segment | None, claimed: list[Interval]) -> bool:
    if segment is not None:
        if segment.removed_us is not None:
            return False
        span = Interval(segment.from_us, segment.to_us)
    elif record.body is not None:
        facts = check_record(parse(record.body.encode()))
        assert isinstance(facts, SegmentFacts)
        span = Interval(facts.start, facts.end)
    else:
        return True
    return any(span.overlaps(claim) for claim in claimed)


def damage_of(footage: Footage, named: Named, *, stored: bool = False) -> str | None:
    """Read a named file and say what is wrong with it, or nothing.

    ``stored``: read the store's copy, if there is one, whatever the spool has. Raises
    ``StoreError`` if the store does not answer: that says nothing of the bytes.
    """
    if named.problem is not None:
        return f"{named.label}: {named.problem}"
    if named.segment is None:
        return f"{named.label}: no file is known for it"
    try:
        if stored and named.segment.stored_us is not None:
            footage.verify_stored(named.segment)
        else:
            footage.verify(named.segment)
    except (DamageFound, NotFound, InvalidInput) as error:
        return f"{named.label}: {error.detail}"
    return None
