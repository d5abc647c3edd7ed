"""Leases, attempts, delays and schedules of jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.errors import Conflict
from bidwitness.jobs import (
    FIRST_DELAY_US,
    LONGEST_DELAY_US,
    MAX_ATTEMPTS,
    Every,
    JobView,
    cancel,
    delay_us,
    due_slot,
    fail,
    finish,
    holds,
    lease_lost,
    may_take,
    reap,
    renew,
    retry,
    take,
)
from bidwitness.words import JobState

LEASE = 100
NEW = JobView(JobState.QUEUED, run_after_us=10)


def test_a_job_is_taken_once() -> None:
    assert not may_take(NEW, 9)
    taken = take(NEW, "w1", 10, LEASE)
    assert (taken.state, taken.attempt, taken.lease_until_us) == (JobState.RUNNING, 1, 110)
    assert holds(taken, "w1", 109)
    assert not holds(taken, "w2", 109)
    with pytest.raises(Conflict):
        take(taken, "w2", 109, LEASE)


def test_a_lost_lease_is_anybodys_and_the_first_worker_learns_it() -> None:
    taken = take(NEW, "w1", 10, LEASE)
    assert lease_lost(taken, 110)
    second = take(taken, "w2", 110, LEASE)
    assert second.attempt == 2
    for late in (
        lambda: renew(second, "w1", 111, LEASE),
        lambda: finish(second, "w1", 111),
        lambda: fail(second, "w1", "x", 111, permanent=False),
    ):
        with pytest.raises(Conflict, match="no longer held"):
            late()
    assert renew(second, "w2", 150, LEASE).lease_until_us == 250


def test_an_expired_lease_cannot_be_finished_even_if_nobody_took_it() -> None:
    taken = take(NEW, "w1", 10, LEASE)
    with pytest.raises(Conflict):
        finish(taken, "w1", 110)


def test_failures_wait_longer_each_time_and_end() -> None:
    job, now, waits = NEW, 10, []
    for _ in range(MAX_ATTEMPTS):
        job = fail(take(job, "w", now, LEASE), "w", "no route", now, permanent=False)
        waits.append(job.run_after_us - now)
        now = max(now, job.run_after_us)
    assert job.state == JobState.FAILED
    assert job.error == "no route"
    assert job.finished_us == now
    assert waits[:3] == [FIRST_DELAY_US, 2 * FIRST_DELAY_US, 4 * FIRST_DELAY_US]
    assert not may_take(job, now + LONGEST_DELAY_US)


def test_a_permanent_failure_is_not_tried_again() -> None:
    job = fail(take(NEW, "w", 10, LEASE), "w", "not a video", 20, permanent=True)
    assert (job.state, job.attempt) == (JobState.FAILED, 1)


def test_a_job_that_kills_its_workers_is_given_up() -> None:
    job, now = NEW, 10
    for _ in range(MAX_ATTEMPTS):
        assert reap(job, now) is None
        job = take(job, "w", now, LEASE)
        now += LEASE
    assert not may_take(job, now)
    given_up = reap(job, now)
    assert given_up is not None
    assert given_up.state == JobState.FAILED
    assert given_up.error is not None
    assert given_up.error.startswith(f"Given up after {MAX_ATTEMPTS}")


def test_cancel_and_retry() -> None:
    running = take(NEW, "w", 10, LEASE)
    gone = cancel(running, 20)
    with pytest.raises(Conflict):
        renew(gone, "w", 21, LEASE)
    with pytest.raises(Conflict, match="retry"):
        cancel(gone, 22)
    again = retry(gone, 30)
    assert (again.state, again.attempt, again.run_after_us) == (JobState.QUEUED, 0, 30)
    done = finish(take(again, "w", 30, LEASE), "w", 40)
    assert (done.state, done.finished_us, done.over) == (JobState.DONE, 40, True)
    with pytest.raises(Conflict):
        retry(done, 50)


@given(st.integers(-5, 10_000))
def test_delays_are_bounded(attempt: int) -> None:
    assert FIRST_DELAY_US <= delay_us(attempt) <= LONGEST_DELAY_US
    assert delay_us(attempt) <= delay_us(attempt + 1)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**16))
def test_each_slot_is_queued_once(period: int, offset: int, now: int) -> None:
    schedule = Every(period, offset)
    slot = due_slot(schedule, None, now)
    assert slot is not None
    assert now - period < slot <= now
    assert (slot - offset) % period == 0
    assert due_slot(schedule, slot, now) is None
    assert due_slot(schedule, slot, slot + period - 1) is None
    # However long the pause, one run makes up for it.
    later = now + 10 * period
    assert due_slot(schedule, slot, later) == schedule.slot(later)
