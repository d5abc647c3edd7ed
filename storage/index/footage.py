"""Which footage lies in an interval: indexed range queries that stay short over ten years of rows.

The index of segments is on (stream, start). No segment is longer than ``MAX_SEGMENT_US``, so one
that reaches into an interval starts at most that long before it: both ends of the search are
known, and footage of other days is never read.
"""

from collections.abc import Iterable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import Gap, Segment

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


def spans_of(
    orm: Orm, stream_ids: Iterable[str], from_us: int, to_us: int
) -> dict[str, list[tuple[int, int, str]]]:
    """Give (from, to, init) of the segments of several streams, as ``segments_in`` gives them for
    one: all that a sum over a session needs, in one question."""
    query = (
        select(Segment.stream_id, Segment.from_us, Segment.to_us, Segment.init_id)
        .where(
            Segment.stream_id.in_(list(stream_ids)),
            Segment.from_us > from_us - MAX_SEGMENT_US,
            Segment.from_us < to_us,
            Segment.to_us > from_us,
            Segment.removed_us.is_(None),
        )
        .order_by(Segment.stream_id, Segment.from_us, Segment.id)
    )
    found: dict[str, list[tuple[int, int, str]]] = {}
    for stream_id, start, end, init in orm.execute(query):
        found.setdefault(stream_id, []).append((start, end, init))
    return found


def gaps_in(
    orm: Orm, stream_id: str, from_us: int, to_us: int, *, session_id: str | None = None
) -> list[Gap]:
    """Give the gaps of a stream that share an instant with ``[from, to)`` (µs UTC), in order.

    Gaps that belong to a session (``late_start``, ``early_end``) are given for that one only.
    """
    query = select(Gap).where(
        Gap.stream_id == stream_id,
        Gap.from_us < to_us,
        Gap.to_us > from_us,
        or_(Gap.session_id.is_(None), Gap.session_id == session_id),
    )
    return list(orm.scalars(query.order_by(Gap.from_us, Gap.id)))


def gaps_of(orm: Orm, stream_ids: Iterable[str], from_us: int, to_us: int) -> dict[str, list[Gap]]:
    """Give the recorders' gaps of several streams in one question; none that belong to a session."""
    query = (
        select(Gap)
        .where(
            Gap.stream_id.in_(list(stream_ids)),
            Gap.from_us < to_us,
            Gap.to_us > from_us,
            Gap.session_id.is_(None),
        )
        .order_by(Gap.stream_id, Gap.from_us, Gap.id)
    )
    found: dict[str, list[Gap]] = {}
    for gap in orm.scalars(query):
        found.setdefault(gap.stream_id, []).append(gap)
    return found


def committed_until(orm: Orm, stream_id: str) -> int:
    """Give the end (µs UTC) of a stream's newest committed segment or gap; 0 if it has none.

    A recorder commits in order, so that everything before it is there.
    """
    segment = (
        select(Segment.to_us)
        .where(Segment.stream_id == stream_id, Segment.removed_us.is_(None))
        .order_by(Segment.from_us.desc())
        .limit(1)
    )
    # A gap of one medium says nothing of the rest, and one of a session nothing of the recorder.
    gap = (
        select(Gap.to_us)
        .where(Gap.stream_id == stream_id, Gap.medium.is_(None), Gap.session_id.is_(None))
        .order_by(Gap.from_us.desc())
        .limit(1)
    )
    return max(orm.scalar(segment) or 0, orm.scalar(gap) or 0)
