"""Checking chains of records: nothing changed, removed, inserted or put in another order.

A chain alone does not say who wrote it: whoever can write every record anew can also chain them
anew. That is what the close record, and later the log, its signatures and witnesses, are for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bidwitness.intervals import Interval, union
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.records import (
    GapFacts,
    Record,
    SegmentFacts,
    StreamRecord,
    check_record,
    leaf_hash,
    read_record,
    session_genesis,
    utc_day,
)
from bidwitness.storage.evidence.session_records import (
    ClaimFacts,
    CloseFacts,
    HeadFacts,
    PlanFacts,
    SessionRecord,
    SupplementFacts,
)

# Rounding of a last sample's length, and of clocks: less than this is no hole and no overlap.
RUN_TOLERANCE_US = 500_000
# A hole in every track of a run that no gap record explains: no jitter, and no silence.
UNDECLARED_HOLE_US = 2_000_000


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, in words. ``kind``: modified, removed, inserted, reordered, swapped,
    missing, inconsistent, unreadable."""

    kind: str
    where: str
    detail: str


@dataclass(frozen=True)
class Link:
    """A record of a stream with its leaf hash."""

    facts: StreamRecord
    leaf: str

    @property
    def key(self) -> tuple[str, int]:
        return self.facts.place.day, self.facts.place.seq

    @property
    def name(self) -> str:
        """Where it stands, for people."""
        return record_name(self.facts)


def record_name(facts: StreamRecord) -> str:
    """Name a record of a stream: ``stream/day#seq``."""
    return f"{facts.place.stream}/{facts.place.day}#{facts.place.seq}"


def link_of(record: Mapping[str, JsonValue]) -> Link:
    """Read a stream's record. Raises ``BadRecord`` for anything else."""
    return link_of_line(canonical(dict(record)))


def link_of_line(line: bytes) -> Link:
    """Read a stream's record from its canonical bytes. Raises ``BadRecord`` for anything else."""
    facts = read_record(line)
    if not isinstance(facts, SegmentFacts | GapFacts):
        raise BadRecord("$.t: not a record of a stream")
    return Link(facts, hash_leaf(line).hex())


def verify_chain(
    records: Sequence[Mapping[str, JsonValue]], *, start_prev: str | None = None
) -> list[Problem]:
    """Check a stretch of a stream's chain, over any number of days.

    ``start_prev``: what the first record must point to, if known. Raises ``BadRecord`` for what is
    no record of a stream.
    """
    return verify_links([link_of(record) for record in records], start_prev=start_prev)


def verify_links(links: Sequence[Link], *, start_prev: str | None = None) -> list[Problem]:
    """``verify_chain`` over records that have been read."""
    if not links:
        return []
    ordered = sorted(links, key=lambda link: link.key)
    problems = verify_order(links)
    first = ordered[0]
    if start_prev is not None and first.facts.place.prev != start_prev:
        problems.append(
            Problem("removed", first.name, "does not follow the record it is said to follow")
        )
    for before, after in pairwise(ordered):
        problems += _check_link(before, after)
    return problems


def verify_order(links: Sequence[Link]) -> list[Problem]:
    """Name the first record that does not stand in the order of the chain."""
    ordered = sorted(links, key=lambda link: link.key)
    for given, wanted in zip(links, ordered, strict=True):
        if given is not wanted:
            detail = f"{wanted.name} should stand in this place"
            return [Problem("reordered", given.name, detail)]
    return []


def _check_link(before: Link, after: Link) -> list[Problem]:
    a, b = before.facts.place, after.facts.place
    if (a.site, a.stream) != (b.site, b.stream):
        return [Problem("swapped", after.name, f"stands among the records of {a.stream}")]
    day = max(a.day, utc_day(after.facts.start))
    seq = a.seq + 1 if day == a.day else 0
    if before.key == after.key:
        return [Problem("inserted", after.name, "two records claim this place")]
    if (b.day, b.seq) == (day, seq):
        if b.prev == before.leaf:
            return []
        return [Problem("modified", before.name, f"is not the record that {after.name} points to")]
    if b.prev == before.leaf:
        return [Problem("inconsistent", after.name, f"should be {a.stream}/{day}#{seq}")]
    missing = f"{a.stream}/{day}#{seq}" if b.day == day else f"the end of {a.day}"
    return [Problem("removed", after.name, f"records between it and {before.name}: {missing}")]


def within_heads(links: Iterable[Link], heads: Iterable[HeadFacts]) -> list[Link]:
    """Give the records that some stretches name, in the order of the chain."""
    stretches: dict[tuple[str, str], list[HeadFacts]] = {}
    for head in heads:
        stretches.setdefault((head.stream, head.day), []).append(head)
    found: list[Link] = []
    for link in links:
        place = link.facts.place
        of_day = stretches.get((place.stream, place.day), ())
        if any(head.first <= place.seq <= head.last for head in of_day):
            found.append(link)
    return sorted(found, key=lambda link: link.key)


def verify_runs(facts: Sequence[StreamRecord]) -> list[Problem]:
    """Check that segments of a run follow one another, and that each hole is a declared gap."""
    gaps = [item for item in facts if isinstance(item, GapFacts)]
    problems: list[Problem] = []
    last: dict[str, SegmentFacts] = {}
    for item in facts:
        if not isinstance(item, SegmentFacts):
            continue
        before = last.get(item.run)
        if before is not None:
            problems += _check_run(before, item, gaps)
        last[item.run] = item
    return problems


def _check_run(a: SegmentFacts, b: SegmentFacts, gaps: Iterable[GapFacts]) -> list[Problem]:
    where = record_name(b)
    if b.run_seq <= a.run_seq:
        return [Problem("reordered", where, f"part {b.run_seq} of its run follows {a.run_seq}")]
    declared = [gap for gap in gaps if gap.start < b.end and a.start < gap.end]
    if b.run_seq != a.run_seq + 1 and not declared:
        return [Problem("removed", where, f"part {b.run_seq} of its run follows {a.run_seq}")]
    scales = {track.id: (track.timescale, track.medium) for track in b.tracks}
    before = {media.track: media for media in a.media}
    holes = {
        scales[media.track][1]: (media.dts - old.dts - old.dur)
        * 1_000_000
        // scales[media.track][0]
        for media in b.media
        if (old := before.get(media.track)) is not None
    }
    overlapping = sorted(medium for medium, hole in holes.items() if hole < -RUN_TOLERANCE_US)
    if overlapping:
        detail = f"its {', '.join(overlapping)} overlaps the part before"
        return [Problem("inserted", where, detail)]
    if holes and not declared and min(holes.values()) > UNDECLARED_HOLE_US:
        detail = f"{min(holes.values()) // 1000} ms before it are neither there nor declared"
        return [Problem("removed", where, detail)]
    return []


def day_root(records: Iterable[Mapping[str, JsonValue]], hash_name: str = "sha256") -> bytes:
    """Give the root of the tree over a day's records, in the order of the chain."""
    return root((leaf_hash(record) for record in records), hash_name)


def verify_session_chain(
    records: Sequence[Mapping[str, JsonValue]],
) -> tuple[list[SessionRecord], list[Problem]]:
    """Check a session's own records; give their facts too, as far as they can be read."""
    facts: list[SessionRecord] = []
    problems: list[Problem] = []
    prev: str | None = None
    for index, record in enumerate(records):
        item: Record = check_record(dict(record))
        if isinstance(item, SegmentFacts | GapFacts):
            raise BadRecord("$.t: not a record of a session")
        if prev is None:
            prev = session_genesis(item.place.session)
        place, where = item.place, f"session {item.place.session}#{item.place.seq}"
        if facts and place.session != facts[0].place.session:
            problems.append(Problem("swapped", where, "belongs to another session"))
        elif place.seq != index:
            kind = "removed" if place.seq > index else "reordered"
            problems.append(Problem(kind, where, f"stands in the place of #{index}"))
        elif place.prev != prev:
            problems.append(Problem("modified", where, "does not point to the record before it"))
        prev = leaf_hash(record).hex()
        facts.append(item)
    return facts, problems + _check_course(facts)


def _check_course(facts: Sequence[SessionRecord]) -> list[Problem]:
    """A session is planned once, first, and closed once; only supplements follow the close."""
    if not facts:
        return [Problem("missing", "session", "no record of the session")]
    problems = []
    closes = [index for index, item in enumerate(facts) if isinstance(item, CloseFacts)]
    name = f"session {facts[0].place.session}"
    if type(facts[0]) is not PlanFacts or any(type(item) is PlanFacts for item in facts[1:]):
        problems.append(Problem("inconsistent", name, "must begin with its one plan"))
    if len(closes) > 1:
        problems.append(Problem("inserted", name, "is closed more than once"))
    if closes and not all(isinstance(f, SupplementFacts) for f in facts[closes[0] + 1 :]):
        problems.append(Problem("inserted", name, "has records after its close"))
    for close in (item for item in facts if isinstance(item, CloseFacts)):
        problems += _check_claims(close, facts, name)
    return problems


def standing_claims(facts: Iterable[SessionRecord]) -> dict[str, ClaimFacts]:
    """Give the last record of each claim that was not withdrawn or moved, by its id."""
    last = {item.claim: item for item in facts if isinstance(item, ClaimFacts)}
    return {
        claim: item
        for claim, item in last.items()
        if item.withdrawn is None and item.moved_to is None
    }


def _check_claims(close: CloseFacts, facts: Iterable[SessionRecord], name: str) -> list[Problem]:
    """The close holds exactly the claims that stood, as they were last recorded."""
    told = {
        claim: (item.stream, item.klass, item.start, item.end)
        for claim, item in standing_claims(facts).items()
    }
    closed = {c.claim: (c.stream, c.klass, c.start, c.end) for c in close.claims}
    return [
        Problem("inconsistent", name, f"{claim} is not closed as it was last recorded")
        for claim in sorted(told.keys() | closed.keys())
        if told.get(claim) != closed.get(claim)
    ]


def follows(before: Link, after: Link) -> bool:
    """Say whether a stretch begins where the one before it ended."""
    a, b = before.facts.place, after.facts.place
    next_in_day = a.day == b.day and b.seq == a.seq + 1
    return next_in_day or (a.day < b.day and b.seq == 0 and b.prev == before.leaf)


def claimed_spans(session: Sequence[SessionRecord]) -> dict[str, list[Interval]]:
    """Give what a session claims of each stream: as its close says, else by its claim records."""
    spans: dict[str, list[Interval]] = {}
    for item in session:
        if isinstance(item, CloseFacts):
            for claim in item.claims:
                if claim.end > claim.start:
                    span = Interval(claim.start, claim.end)
                    spans.setdefault(claim.stream, []).append(span)
            return {stream: union(parts) for stream, parts in spans.items()}
    for standing in standing_claims(session).values():
        end = standing.end if standing.end is not None else 2**53
        if end > standing.start:
            spans.setdefault(standing.stream, []).append(Interval(standing.start, end))
    return {stream: union(parts) for stream, parts in spans.items()}
