"""Which footage lies in an interval: indexed range queries that stay short over ten years of rows.

The index of segments is on (stream, start). No segment is longer than ``MAX_SEGMENT_US``, so one
that reaches into an interval starts at most that long before it: both ends of the search are
known, and footage of other days is never read.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from sqlalchemy import Function, Over, and_, func, not_, or_, select, true
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import Gap, Segment, Stream
from bidwitness.storage.index.reach import USUAL_GAP_US, reaches_into

# The longest segment that may be set (600 s) and the longest wait for a key frame to cut at. The
# recorder cuts before this, key frame or not; a longer segment would be invisible here.
MAX_SEGMENT_US = 900_000_000


def segments_in(orm: Orm, stream_id: str, from_us: int, to_us: int) -> list[Segment]:
    """Give the segments of a stream that share an instant with ``[from, to)`` (µs UTC), in order.

    Those whose bytes have been removed are left out, and the index does not hold them.
    """
    query = select(Segment).where(
        Segment.stream_id == stream_id,
        Segment.from_us > from_us - MAX_SEGMENT_US,
        Segment.from_us < to_us,
        Segment.to_us > from_us,
        Segment.removed_us.is_(None),
    )
    return list(orm.scalars(query.order_by(Segment.from_us, Segment.id)))


T = TypeVar("T")


class Part(NamedTuple):
    """Segments of a stream that follow one another, of one run and init, as one."""

    from_us: int
    to_us: int
    init: str
    run: str


def parts_of(
    orm: Orm, stream_ids: Iterable[str], from_us: int, to_us: int, *, join_us: int
) -> dict[str, list[Part]]:
    """Give the footage of several streams that ``segments_in`` gives for one, in one question.

    Segments no more than ``join_us`` apart are put together: the database sends only those at
    which a part begins or ends. A day is then a few rows, not 1440 for each stream.
    """

    def beside(value: Function[T]) -> Over[T]:
        return value.over(partition_by=Segment.stream_id, order_by=(Segment.from_us, Segment.id))

    begins = not_(
        and_(
            beside(func.lag(Segment.to_us)) >= Segment.from_us - join_us,
            beside(func.lag(Segment.init_id)) == Segment.init_id,
            beside(func.lag(Segment.run_id)) == Segment.run_id,
        )
    )
    ends = not_(
        and_(
            beside(func.lead(Segment.from_us)) <= Segment.to_us + join_us,
            beside(func.lead(Segment.init_id)) == Segment.init_id,
            beside(func.lead(Segment.run_id)) == Segment.run_id,
        )
    )
    one = (
        select(
            *(Segment.stream_id, Segment.id, Segment.from_us, Segment.to_us),
            *(Segment.init_id, Segment.run_id),
            # Before the first and after the last there is nothing to compare with.
            func.coalesce(begins, true()).label("begins"),
            func.coalesce(ends, true()).label("ends"),
        )
        .where(
            Segment.stream_id.in_(list(stream_ids)),
            Segment.from_us > from_us - MAX_SEGMENT_US,
            Segment.from_us < to_us,
            Segment.to_us > from_us,
            Segment.removed_us.is_(None),
        )
        .subquery()
    ).c
    query = (
        select(*(one.stream_id, one.begins, one.from_us, one.to_us, one.init_id, one.run_id))
        .where(or_(one.begins, one.ends))
        .order_by(one.stream_id, one.from_us, one.id)
    )
    found: dict[str, list[Part]] = {}
    for stream_id, opens, start, end, init, run in orm.execute(query):
        parts = found.setdefault(stream_id, [])
        if opens:
            parts.append(Part(start, end, init, run))
        else:
            parts[-1] = parts[-1]._replace(to_us=max(parts[-1].to_us, end))
    return found


def gaps_in(
    orm: Orm, stream_id: str, from_us: int, to_us: int, *, session_id: str | None = None
) -> list[Gap]:
    """Give the gaps of a stream that share an instant with ``[from, to)`` (µs UTC), in order.

    Gaps that belong to a session (``late_start``, ``early_end``) are given for that one only.
    """
    query = select(Gap).where(
        Gap.stream_id == stream_id,
        reaches_into(Gap.from_us, Gap.to_us, from_us, to_us, usual_us=USUAL_GAP_US),
        or_(Gap.session_id.is_(None), Gap.session_id == session_id),
    )
    return list(orm.scalars(query.order_by(Gap.from_us, Gap.id)))


def gaps_of(orm: Orm, stream_ids: Iterable[str], from_us: int, to_us: int) -> dict[str, list[Gap]]:
    """Give the recorders' gaps of several streams in one question; none that belong to a session."""
    query = (
        select(Gap)
        .where(
            Gap.stream_id.in_(list(stream_ids)),
            reaches_into(Gap.from_us, Gap.to_us, from_us, to_us, usual_us=USUAL_GAP_US),
            Gap.session_id.is_(None),
        )
        .order_by(Gap.stream_id, Gap.from_us, Gap.id)
    )
    found: dict[str, list[Gap]] = {}
    for gap in orm.scalars(query):
        found.setdefault(gap.stream_id, []).append(gap)
    return found


def committed_ends(orm: Orm, stream_ids: Iterable[str]) -> dict[str, int]:
    """Give the end (µs UTC) of each stream's newest committed segment or gap; 0 if it has none.

    A recorder commits in order, so that everything before it is there.
    """
    segment = (
        select(Segment.to_us)
        .where(Segment.stream_id == Stream.id, Segment.removed_us.is_(None))
        .order_by(Segment.from_us.desc())
        .limit(1)
        .scalar_subquery()
    )
    # A gap of one medium says nothing of the rest, and one of a session nothing of the recorder.
    gap = (
        select(Gap.to_us)
        .where(Gap.stream_id == Stream.id, Gap.medium.is_(None), Gap.session_id.is_(None))
        .order_by(Gap.from_us.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(Stream.id, segment, gap).where(Stream.id.in_(list(stream_ids)))
    return {
        stream: max(footage or 0, missing or 0) for stream, footage, missing in orm.execute(query)
    }
