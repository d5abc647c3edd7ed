"""One attempt at a job: how it may end, and what a handler may rely on."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.wait import wait_until

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import Conflict, DamageFound, StoreError
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.jobs import cancel_job, due_jobs, enqueue
from bidwitness.storage.index.models import Job
from bidwitness.storage.jobs import Handler, JobRun, Runner
from bidwitness.words import JobState


def runner(
    index: Database, handler: Handler, clock: Clock | None = None, lease_s: int = 60
) -> Runner:
    settings = load_settings(data=Path("/nonexistent"))
    handlers = {"k": handler}
    return Runner(settings, index, clock or FakeClock(), "w1", handlers, lease_s)


def queued(index: Database, kind: str = "k", now_us: int | None = None) -> str:
    now = FakeClock().utc_us() if now_us is None else now_us
    with index.write() as orm:
        return enqueue(orm, kind, {"a": 1}, by="ann", now_us=now).id


def row(index: Database, job: str) -> Job:
    with index.read() as orm:
        found = orm.get(Job, job)
        assert found is not None
        return found


def test_a_job_that_ends_well(index: Database) -> None:
    def handler(run: JobRun) -> Mapping[str, object]:
        assert (run.payload, run.by) == ({"a": 1}, "ann")
        run.progress(1, 2)
        return {"made": "it"}

    job = queued(index)
    assert runner(index, handler).run_job(job) == JobState.DONE
    after = row(index, job)
    assert (after.result, after.done, after.total) == ({"made": "it"}, 1, 2)
    assert runner(index, handler).run_job(job) is None


@pytest.mark.parametrize(
    ("error", "state"),
    [(StoreError("down"), JobState.QUEUED), (DamageFound("rotten"), JobState.FAILED)],
)
def test_an_error_for_people_ends_the_attempt(
    sqlite_index: Database, error: Exception, state: JobState
) -> None:
    def handler(_: JobRun) -> None:
        raise error

    job = queued(sqlite_index)
    assert runner(sqlite_index, handler).run_job(job) == state
    assert row(sqlite_index, job).error == str(error)


def test_a_mistake_of_ours_ends_the_attempt_and_is_not_hidden(sqlite_index: Database) -> None:
    def handler(_: JobRun) -> None:
        raise KeyError("a mistake")

    job = queued(sqlite_index)
    with pytest.raises(KeyError):
        runner(sqlite_index, handler).run_job(job)
    assert row(sqlite_index, job).state == JobState.QUEUED
    assert "log" in str(row(sqlite_index, job).error)


def test_an_unknown_kind_waits_for_a_worker_that_knows_it(sqlite_index: Database) -> None:
    job = queued(sqlite_index, "unknown")
    assert runner(sqlite_index, lambda _: None).run_job(job) == JobState.QUEUED
    assert "unknown" in str(row(sqlite_index, job).error)


def test_a_cancelled_job_is_told_and_its_end_is_not_written(sqlite_index: Database) -> None:
    seen: list[str] = []
    clock = SystemClock()

    def handler(run: JobRun) -> None:
        with sqlite_index.write() as orm:
            cancel_job(orm, run.id, clock.utc_us())
        wait_until(lambda: told(run), 20, "the handler to be told")
        seen.append("told")
        run.check()

    def told(run: JobRun) -> bool:
        try:
            run.check()
        except Conflict:
            return True
        return False

    job = queued(sqlite_index, now_us=clock.utc_us())
    assert runner(sqlite_index, handler, clock, lease_s=1).run_job(job) is None
    assert seen == ["told"]
    assert row(sqlite_index, job).state == JobState.CANCELLED


def test_the_lease_is_renewed_while_the_work_goes_on(sqlite_index: Database) -> None:
    clock = SystemClock()
    leases: list[int | None] = []

    def handler(run: JobRun) -> None:
        first = row(sqlite_index, run.id).lease_until_us
        wait_until(lambda: row(sqlite_index, run.id).lease_until_us != first, 20, "a renewal")
        leases.extend([first, row(sqlite_index, run.id).lease_until_us])
        with sqlite_index.read() as orm:
            assert due_jobs(orm, clock.utc_us()) == []

    job = queued(sqlite_index, now_us=clock.utc_us())
    assert runner(sqlite_index, handler, clock, lease_s=2).run_job(job) == JobState.DONE
    assert leases[1] is not None and leases[0] is not None and leases[1] > leases[0]
