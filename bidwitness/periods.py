"""For how long footage has to be kept: the loop of its room, the period of its session's lots. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bidwitness.words import ProjectCategory, RoomKind, SessionKind

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """A row of the policies; an empty field means any."""

    room_kind: RoomKind | None = None
    session_kind: SessionKind | None = None
    category: ProjectCategory | None = None
    loop_days: int | None = None
    keep_years: int | None = None


@dataclass(frozen=True, slots=True)
class LotPeriod:
    """What is known of the period of one lot of a session."""

    category: ProjectCategory
    from_us: int | None = None
    until_us: int | None = None


def loop_days_of(kind: RoomKind, policies: Sequence[Policy], default_days: int) -> int:
    """Give the loop of a kind of room: its own policy, else the one for any, else the default."""
    days = [
        (policy.room_kind is not None, policy.loop_days)
        for policy in policies
        if policy.loop_days is not None and policy.room_kind in (None, kind)
    ]
    # Of two for the same rooms the longer: keeping too long can be made good.
    return max(days)[1] if days else default_days


def kept_until(
    kind: SessionKind, lots: Sequence[LotPeriod], policies: Sequence[Policy]
) -> int | None:
    """Give until when a session's footage is kept: the longest of its lots, empty if any is not
    known."""
    ends = [_lot_until(kind, lot, policies) for lot in lots]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _lot_until(kind: SessionKind, lot: LotPeriod, policies: Sequence[Policy]) -> int | None:
    if lot.until_us is not None:
        return lot.until_us
    years = keep_years_of(kind, lot.category, policies)
    if lot.from_us is None or years is None:
        return None
    return years_after(lot.from_us, years)


def keep_years_of(
    kind: SessionKind, category: ProjectCategory, policies: Sequence[Policy]
) -> int | None:
    """Give how many years a lot's footage is kept; empty: nobody has said, so for ever."""
    years = [
        ((policy.session_kind is not None) + (policy.category is not None), policy.keep_years)
        for policy in policies
        if policy.keep_years is not None
        and policy.session_kind in (None, kind)
        and policy.category in (None, category)
    ]
    return max(years)[1] if years else None


def shortens(
    before: Sequence[Policy], after: Sequence[Policy], default_days: Mapping[RoomKind, int]
) -> bool:
    """Say whether other policies let any footage go sooner."""
    for room, default in default_days.items():
        if loop_days_of(room, after, default) < loop_days_of(room, before, default):
            return True
    for kind in SessionKind:
        for category in ProjectCategory:
            was, now = (keep_years_of(kind, category, policies) for policies in (before, after))
            if now is not None and (was is None or now < was):
                return True
    return False


def years_after(from_us: int, years: int) -> int:
    """Give the same instant so many years later (of 29 February, 1 March where there is none)."""
    start = _EPOCH + timedelta(microseconds=from_us)
    try:
        end = start.replace(year=start.year + years)
    except ValueError:
        end = start.replace(year=start.year + years, month=3, day=1)
    return (end - _EPOCH) // timedelta(microseconds=1)
