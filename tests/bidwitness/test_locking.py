"""The lock an object must have, for everything that can be true of it at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.locking import (
    NEAR_US,
    RENEW_US,
    ROLLING_US,
    UNLOCKED,
    Lock,
    Needed,
    Plan,
    plan_lock,
)
from bidwitness.periods import DAY_US

NOW = 1_700_000_000_000_000
LOOP = NOW + 30 * DAY_US
YEARS = NOW + 5000 * DAY_US
RECORDING = Needed(None, settled=False)
EARLY = Needed(YEARS, settled=False)
OPEN = Needed(None, settled=True)
FINAL = Needed(YEARS, settled=True)
OVER = Needed(NOW - 1, settled=True)
ROLLED = Lock(NOW + ROLLING_US, True)


@pytest.mark.parametrize(
    ("present", "needs", "held", "expected"),
    [
        (UNLOCKED, [], False, Plan(Lock(LOOP), None)),
        (UNLOCKED, [], True, Plan(Lock(LOOP, True), NOW + RENEW_US)),
        # Before the seal nothing is set that could not be taken back.
        (UNLOCKED, [RECORDING], False, Plan(Lock(LOOP, True), NOW + DAY_US)),
        (UNLOCKED, [EARLY], False, Plan(Lock(LOOP, True), NOW + DAY_US)),
        (UNLOCKED, [OPEN], False, Plan(ROLLED, NOW + RENEW_US)),
        (ROLLED, [OPEN], False, Plan(ROLLED, NOW + RENEW_US)),
        (Lock(NOW + 83 * DAY_US, True), [OPEN], False, Plan(ROLLED, NOW + RENEW_US)),
        (
            Lock(NOW + 84 * DAY_US, True),
            [OPEN],
            False,
            Plan(Lock(NOW + 84 * DAY_US, True), NOW + DAY_US),
        ),
        (ROLLED, [FINAL], False, Plan(Lock(YEARS), NOW + 30 * DAY_US)),
        (ROLLED, [FINAL, OPEN], False, Plan(Lock(YEARS, True), NOW + 4917 * DAY_US)),
        (ROLLED, [FINAL, RECORDING], False, Plan(Lock(YEARS, True), NOW + DAY_US)),
        (ROLLED, [FINAL], True, Plan(Lock(YEARS, True), NOW + RENEW_US)),
        # The period is over: what stands runs out, and the footage waits for its disposal.
        (ROLLED, [OVER], False, Plan(Lock(ROLLED.until_us), NOW + 30 * DAY_US)),
        # The claim is gone: the date stays, as it must.
        (ROLLED, [], False, Plan(Lock(ROLLED.until_us), None)),
        (Lock(YEARS, True), [], False, Plan(Lock(YEARS), None)),
    ],
)
def test_the_table(present: Lock, needs: list[Needed], held: bool, expected: Plan) -> None:
    assert plan_lock(present, LOOP, needs, held, NOW) == expected


def test_a_loop_that_is_over_is_not_locked() -> None:
    assert plan_lock(UNLOCKED, NOW - 1, [], False, NOW) == Plan(UNLOCKED, None)
    assert plan_lock(UNLOCKED, NOW + NEAR_US, [], False, NOW) == Plan(UNLOCKED, None)
    assert plan_lock(UNLOCKED, NOW - 1, [RECORDING], False, NOW).lock == Lock(None, True)


times = st.integers(0, 400).map(lambda days: days * DAY_US)
locks = st.builds(Lock, st.none() | times, st.booleans())
needed = st.builds(Needed, st.none() | times, st.booleans())
facts = {
    "present": locks,
    "loop": times,
    "needs": st.lists(needed, max_size=4),
    "held": st.booleans(),
    "now": times,
}


@given(**facts)
def test_a_date_never_becomes_earlier_and_is_never_past_unless_it_was(
    present: Lock, loop: int, needs: list[Needed], held: bool, now: int
) -> None:
    lock = plan_lock(present, loop, needs, held, now).lock
    assert (lock.until_us or 0) >= (present.until_us or 0)
    assert lock.until_us == present.until_us or (lock.until_us or 0) > now


@given(**facts)
def test_no_date_beyond_the_loop_before_a_session_is_settled(
    present: Lock, loop: int, needs: list[Needed], held: bool, now: int
) -> None:
    unsettled = [Needed(need.until_us, settled=False) for need in needs]
    lock = plan_lock(present, loop, unsettled, held, now).lock
    assert (lock.until_us or 0) <= max(loop, present.until_us or 0)
    assert lock.held == (held or bool(needs))


@given(**facts)
def test_what_is_needed_is_always_locked(
    present: Lock, loop: int, needs: list[Needed], held: bool, now: int
) -> None:
    plan = plan_lock(present, loop, needs, held, now)
    needed_still = any(
        not need.settled or need.until_us is None or need.until_us > now + NEAR_US for need in needs
    )
    if held or needed_still:
        assert plan.lock.forbids(now)
    if held:
        assert plan.lock.held
    for need in needs:
        if need.settled and need.until_us is not None and need.until_us > now + NEAR_US:
            assert (plan.lock.until_us or 0) >= need.until_us


@given(**facts)
def test_doing_it_again_changes_nothing_and_a_further_need_takes_nothing_away(
    present: Lock, loop: int, needs: list[Needed], held: bool, now: int
) -> None:
    plan = plan_lock(present, loop, needs, held, now)
    assert plan_lock(plan.lock, loop, needs, held, now).lock == plan.lock
    assert plan.look_us is None or plan.look_us > now
    more = plan_lock(present, loop, [*needs, OPEN], held, now)
    assert more.lock.covers(plan.lock)


@given(
    loop=times, known_after=st.integers(0, 300), years=st.integers(1, 20), late=st.integers(0, 5)
)
def test_followed_through_its_life_it_is_never_less_than_weeks_from_free(
    loop: int, known_after: int, years: int, late: int
) -> None:
    """A look is at most ``late`` days late; the end becomes known after so many days."""
    now, lock = 0, UNLOCKED
    ends = years * 365 * DAY_US
    final = Needed(ends, settled=True)
    for _ in range(200):
        need = final if now >= known_after * DAY_US else OPEN
        plan = plan_lock(lock, loop, [need], False, now)
        lock = plan.lock
        if need is final and now < ends - NEAR_US:
            assert lock == Lock(max(lock.until_us or 0, ends))
        elif need is OPEN:
            assert lock.held and (lock.until_us or 0) >= now + ROLLING_US - RENEW_US
        if plan.look_us is None:
            break
        now = plan.look_us + late * DAY_US
        assert lock.forbids(min(now, ends - 1))
    assert now >= known_after * DAY_US
