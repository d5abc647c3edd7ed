"""How long footage is kept, and whether it may go. Pure: values in, a decision with its reason out.

Of all that applies to a segment the longest counts. A hold wins over everything; a period whose
end nobody knows yet never ends; footage of a session is never deleted by the loop, not even when
its period is over: that takes an approved disposal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.intervals import Interval
from bidwitness.periods import DAY_US


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session's claim, and until when its footage is kept; empty: not known yet."""

    session_id: str
    interval: Interval
    until_us: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """What a hold covers of the stream."""

    case_no: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class Keep:
    """It stays; ``until_us`` (µs UTC) is empty where no end is known."""

    reason: str
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """It may go now, and why."""

    reason: str


def decide(
    segment: Interval,
    claims: Sequence[Claimed],
    holds: Sequence[Held],
    loop_days: int,
    now_us: int,
) -> Keep | Delete:
    """Decide on a segment by the claims and holds of its stream and its room's loop."""
    held = next((hold for hold in holds if hold.interval.overlaps(segment)), None)
    if held is not None:
        return Keep(f"held for case {held.case_no}")
    loop_ends = segment.end + loop_days * DAY_US
    of_session = [claim for claim in claims if claim.interval.overlaps(segment)]
    if of_session:
        return _decide_claimed(of_session, loop_ends, now_us)
    if loop_ends > now_us:
        return Keep(f"in the loop of {loop_days} days", loop_ends)
    return Delete(f"the loop of {loop_days} days is over")


def _decide_claimed(claims: Sequence[Claimed], loop_ends: int, now_us: int) -> Keep:
    unknown = next((claim for claim in claims if claim.until_us is None), None)
    if unknown is not None:
        return Keep(f"of session {unknown.session_id}, the end of whose period is not known")
    longest = max(claims, key=lambda claim: claim.until_us or 0)
    until = max(loop_ends, longest.until_us or 0)
    if until > now_us:
        return Keep(f"of session {longest.session_id}, within its period", until)
    return Keep(f"of session {longest.session_id}, awaits its disposal")
