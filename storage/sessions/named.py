"""Which records a session's claims point at, which files those name, and whether they are there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound, NotFound
from bidwitness.intervals import Interval
from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.records import SegmentFacts, check_record, leaf_hash
from bidwitness.storage.evidence.session_records import HeadFacts
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.footage import gaps_in, segments_in
from bidwitness.storage.index.models import Claim, Record, Segment

# Few enough for one statement on either database.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Head:
    """A stretch of a stream's chain: records ``first`` to ``last`` of a UTC day (YYYYMMDD)."""

    stream_id: str
    day: int
    first: int
    last: int
    leaf: bytes

    def facts(self) -> HeadFacts:
        """Give it as a session's record states it."""
        return HeadFacts(self.stream_id, f"{self.day:08d}", self.first, self.last, self.leaf.hex())


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a record names; ``segment`` is empty if the index does not know it."""

    stream_id: str
    label: str
    segment: Segment | None
    problem: str | None = None


def heads_of(orm: Orm, claims: Iterable[Claim], until_us: int) -> list[Head]:
    """Give the stretches of the streams' chains that the claims point at, by stream and day."""
    edges: dict[tuple[str, int], set[int]] = {}
    for claim in claims:
        end = min(claim.to_us or until_us, until_us)
        found = [s.record_id for s in segments_in(orm, claim.stream_id, claim.from_us, end)]
        gaps = gaps_in(orm, claim.stream_id, claim.from_us, end)
        found += [g.record_id for g in gaps if g.record_id is not None]
        for day, seq in _places(orm, found):
            edges.setdefault((claim.stream_id, day), set()).add(seq)
    return [
        Head(stream, day, min(seqs), max(seqs), _leaf(orm, stream, day, max(seqs)))
        for (stream, day), seqs in sorted(edges.items())
    ]


def _places(orm: Orm, records: list[int]) -> Iterator[tuple[int, int]]:
    for i in range(0, len(records), CHUNK):
        query = select(Record.day, Record.seq).where(Record.id.in_(records[i : i + CHUNK]))
        yield from ((day, seq) for day, seq in orm.execute(query))


def _leaf(orm: Orm, stream_id: str, day: int, seq: int) -> bytes:
    leaf = orm.scalar(
        select(Record.leaf).where(
            Record.stream_id == stream_id, Record.day == day, Record.seq == seq
        )
    )
    assert leaf is not None
    return leaf


def files_of(orm: Orm, head: Head, claimed: Iterable[Interval]) -> list[Named]:
    """Give the files that the records of a stretch name, as far as they lie in ``claimed``.

    Each record is checked against its own leaf and against the one before it. Footage that was
    removed by the book before it was claimed is not named any more: it is a gap.
    """
    rows = orm.execute(
        select(Record, Segment)
        .outerjoin(Segment, Segment.record_id == Record.id)
        .where(
            Record.stream_id == head.stream_id,
            Record.day == head.day,
            Record.seq.between(head.first, head.last),
        )
        .order_by(Record.seq)
    )
    spans = list(claimed)
    named: list[Named] = []
    expected, before = head.first, None
    for record, segment in rows:
        label = f"{head.stream_id}/{head.day:08d}/{record.seq}"
        problem = _wrong(record, segment, expected, before)
        expected, before = record.seq + 1, record
        if problem is not None:
            named.append(Named(head.stream_id, label, segment, problem))
        elif record.kind == SegmentFacts.T and _concerns(record, segment, spans):
            named.append(Named(head.stream_id, label, segment))
    if expected != head.last + 1 or (before is not None and before.leaf != head.leaf):
        label = f"{head.stream_id}/{head.day:08d}/{head.last}"
        problem = "the chain does not end where it did"
        named.append(Named(head.stream_id, label, None, problem))
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
    ``StoreError`` if the store does not answer.
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
    except (DamageFound, NotFound) as error:
        return f"{named.label}: {error.detail}"
    return None
