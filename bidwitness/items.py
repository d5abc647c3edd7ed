"""What the lots of a session mean for an interval of it: secrecy, retention, whose it is. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bidwitness.intervals import Interval, intersect, subtract
from bidwitness.words import LotPhase

# From the most to the least secret. A failed or terminated lot may be tendered again, so what was
# said about it stays as secret as before a result.
SECRECY = (
    LotPhase.EVALUATING,
    LotPhase.EVALUATED,
    LotPhase.CANDIDATES_PUBLISHED,
    LotPhase.OPENING,
    LotPhase.REGISTERED,
    LotPhase.FAILED,
    LotPhase.TERMINATED,
    LotPhase.RESULT_PUBLISHED,
    LotPhase.CONTRACT_SIGNED,
    LotPhase.ENDED,
)
_OPEN = frozenset({LotPhase.RESULT_PUBLISHED, LotPhase.CONTRACT_SIGNED, LotPhase.ENDED})


@dataclass(frozen=True, slots=True)
class Item:
    """A lot of a session and, if known, when it was dealt with; else the whole session.

    ``keep_until_us``: the end of its legal period, empty while unknown.
    """

    lot_id: str
    phase: LotPhase
    interval: Interval | None = None
    keep_until_us: int | None = None


def items_in(items: Sequence[Item], interval: Interval) -> list[Item]:
    """Give the items that overlap an interval.

    Between items with times every item counts: nobody said that the time was nobody's.
    """
    timed = [item.interval for item in items if item.interval is not None]
    whole = any(item.interval is None for item in items)
    if not whole and subtract([interval], timed):
        return list(items)
    return [item for item in items if item.interval is None or item.interval.overlaps(interval)]


def strictest_phase(phases: Iterable[LotPhase]) -> LotPhase:
    """Give the most secret of the phases; of none: ``evaluating``, for want of knowledge."""
    return min(phases, key=SECRECY.index, default=LotPhase.EVALUATING)


def is_secret(phase: LotPhase) -> bool:
    """Say whether what was said about the lot is secret still: until its result is published."""
    return phase not in _OPEN


def longest_keep(items: Iterable[Item]) -> int | None:
    """Give the latest end of the items' legal periods; unknown is the longest of all."""
    ends = [item.keep_until_us for item in items]
    known = [end for end in ends if end is not None]
    return None if not ends or len(known) < len(ends) else max(known)


def intervals_of_lot(items: Sequence[Item], lot_id: str, session: Interval) -> list[Interval]:
    """Give the parts of a session all of whose items are this lot's: what its party may have."""
    mine = [item.interval or session for item in items if item.lot_id == lot_id]
    others = [item.interval or session for item in items if item.lot_id != lot_id]
    return subtract(intersect([session], mine), others)
