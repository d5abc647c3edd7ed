"""Decisions on footage, for everything that can be true of it at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.intervals import Interval
from bidwitness.periods import (
    DAY_US,
    LotPeriod,
    Policy,
    kept_until,
    loop_days_of,
    years_after,
)
from bidwitness.retention.policy import Claimed, Delete, Held, Keep, decide
from bidwitness.words import ProjectCategory, RoomKind, SessionKind

NOW = 1_700_000_000_000_000
SEGMENT = Interval(NOW - 40 * DAY_US, NOW - 40 * DAY_US + 60_000_000)
OLD = Claimed("s1", SEGMENT, NOW - 1)
OPEN = Claimed("s2", SEGMENT, None)
LONG = Claimed("s3", SEGMENT, NOW + 100 * DAY_US)
BESIDE = Claimed("s4", Interval(SEGMENT.end, SEGMENT.end + 1), None)
HELD = Held("case 7", Interval(SEGMENT.end - 1, SEGMENT.end + DAY_US))


@pytest.mark.parametrize(
    ("claims", "holds", "loop_days", "expected"),
    [
        ((), (), 30, Delete("the loop of 30 days is over")),
        ((), (), 40, Keep("in the loop of 40 days", SEGMENT.end + 40 * DAY_US)),
        ((BESIDE,), (), 30, Delete("the loop of 30 days is over")),
        ((OPEN,), (), 30, Keep("of session s2, the end of whose period is not known")),
        ((LONG,), (), 30, Keep("of session s3, within its period", LONG.until_us)),
        ((LONG, OLD), (), 30, Keep("of session s3, within its period", LONG.until_us)),
        ((LONG, OPEN), (), 30, Keep("of session s2, the end of whose period is not known")),
        ((OLD,), (), 30, Keep("of session s1, awaits its disposal")),
        ((OLD,), (), 90, Keep("of session s1, within its period", SEGMENT.end + 90 * DAY_US)),
        ((), (HELD,), 30, Keep("held for case case 7")),
        ((OLD,), (HELD,), 30, Keep("held for case case 7")),
    ],
)
def test_the_table(
    claims: tuple[Claimed, ...],
    holds: tuple[Held, ...],
    loop_days: int,
    expected: Keep | Delete,
) -> None:
    assert decide(SEGMENT, claims, holds, loop_days, NOW) == expected


times = st.integers(0, 200).map(lambda n: n * DAY_US)
spans = st.tuples(times, st.integers(1, 50)).map(lambda t: Interval(t[0], t[0] + t[1] * DAY_US))


@given(
    segment=spans,
    claims=st.lists(st.builds(Claimed, st.just("s"), spans, st.none() | times), max_size=4),
    holds=st.lists(st.builds(Held, st.just("c"), spans), max_size=3),
    loop_days=st.integers(1, 120),
    now=times,
)
def test_nothing_claimed_held_or_in_its_loop_is_ever_deleted(
    segment: Interval, claims: list[Claimed], holds: list[Held], loop_days: int, now: int
) -> None:
    decision = decide(segment, claims, holds, loop_days, now)
    wanted = (
        any(claim.interval.overlaps(segment) for claim in claims)
        or any(hold.interval.overlaps(segment) for hold in holds)
        or segment.end + loop_days * DAY_US > now
    )
    assert isinstance(decision, Delete) == (not wanted)


@given(
    segment=spans,
    claims=st.lists(st.builds(Claimed, st.just("s"), spans, st.none() | times), max_size=4),
    more=st.builds(Claimed, st.just("s"), spans, st.none() | times),
    loop_days=st.integers(1, 120),
    now=times,
)
def test_a_further_claim_never_shortens_anything(
    segment: Interval, claims: list[Claimed], more: Claimed, loop_days: int, now: int
) -> None:
    before = decide(segment, claims, (), loop_days, now)
    after = decide(segment, [*claims, more], (), loop_days, now)
    if isinstance(before, Keep):
        assert isinstance(after, Keep)
        if before.until_us is not None and after.until_us is not None:
            assert after.until_us >= before.until_us


def test_the_loop_of_a_room_is_the_most_particular_policys() -> None:
    policies = [
        Policy(loop_days=45),
        Policy(room_kind=RoomKind.EVALUATION, loop_days=90),
        Policy(room_kind=RoomKind.PUBLIC, loop_days=31),
        Policy(session_kind=SessionKind.OPENING, keep_years=15),
    ]
    assert loop_days_of(RoomKind.EVALUATION, policies, 30) == 90
    assert loop_days_of(RoomKind.PUBLIC, policies, 30) == 31
    assert loop_days_of(RoomKind.OPENING, policies, 30) == 45
    assert loop_days_of(RoomKind.OPENING, policies[1:], 30) == 30


PROCUREMENT = ProjectCategory.PROCUREMENT
YEARS = [
    Policy(category=PROCUREMENT, keep_years=15),
    Policy(session_kind=SessionKind.AUCTION, category=PROCUREMENT, keep_years=5),
    Policy(session_kind=SessionKind.AUCTION, keep_years=10),
]


@pytest.mark.parametrize(
    ("kind", "lots", "expected"),
    [
        (SessionKind.OPENING, [LotPeriod(PROCUREMENT, NOW)], years_after(NOW, 15)),
        (SessionKind.AUCTION, [LotPeriod(PROCUREMENT, NOW)], years_after(NOW, 5)),
        (SessionKind.AUCTION, [LotPeriod(ProjectCategory.LAND, NOW)], years_after(NOW, 10)),
        (SessionKind.OPENING, [LotPeriod(ProjectCategory.LAND, NOW)], None),
        (SessionKind.OPENING, [LotPeriod(PROCUREMENT)], None),
        (SessionKind.OPENING, [LotPeriod(PROCUREMENT, NOW), LotPeriod(PROCUREMENT)], None),
        (SessionKind.OPENING, [LotPeriod(PROCUREMENT, NOW, NOW + 5)], NOW + 5),
        (SessionKind.OPENING, [], None),
    ],
)
def test_a_session_is_kept_as_long_as_the_longest_of_its_lots(
    kind: SessionKind, lots: list[LotPeriod], expected: int | None
) -> None:
    assert kept_until(kind, lots, YEARS) == expected


def test_years_are_of_the_calendar() -> None:
    leap_day = 1_709_164_800_000_000  # 2024-02-29 00:00 UTC
    assert years_after(leap_day, 15) == 2_182_550_400_000_000  # 2039-03-01
    assert years_after(leap_day, 4) == 1_835_395_200_000_000  # 2028-02-29
