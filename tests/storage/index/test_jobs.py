"""Jobs as rows, on both databases."""

import threading

import pytest

from bidwitness.errors import Conflict, NotFound
from bidwitness.jobs import MAX_ATTEMPTS
from bidwitness.storage.index import jobs
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Job
from bidwitness.words import JobState

NOW = 1_700_000_000_000_000
LEASE = 60_000_000


def queued(index: Database, **more: object) -> str:
    with index.write() as orm:
        settings = {"by": "ann", "now_us": NOW, **more}
        return jobs.enqueue(orm, "export", {"session": "s"}, **settings).id


def taken(index: Database, job: str, worker: str = "w1", at: int = NOW) -> Job | None:
    with index.write() as orm:
        return jobs.take_job(orm, job, worker, at, LEASE)


def row(index: Database, job: str) -> Job:
    with index.read() as orm:
        found = orm.get(Job, job)
        assert found is not None
        return found


def test_a_key_queues_the_same_work_once(index: Database) -> None:
    first = queued(index, key="export:s")
    assert queued(index, key="export:s") == first
    assert queued(index) != queued(index)
    taken(index, first)
    with index.write() as orm:
        jobs.finish_job(orm, first, "w1", NOW, {"path": "p"})
    assert queued(index, key="export:s") == first
    assert row(index, first).state == JobState.DONE
    assert row(index, first).result == {"path": "p"}


def test_of_many_workers_one_takes_it(index: Database) -> None:
    job = queued(index)
    got: list[str] = []
    barrier = threading.Barrier(5)

    def work(name: str) -> None:
        barrier.wait()
        if taken(index, job, name) is not None:
            got.append(name)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert (row(index, job).lease_by, row(index, job).attempt) == (got[0], 1)


def test_a_lost_lease_makes_the_job_due_again(index: Database) -> None:
    job = queued(index)
    taken(index, job)
    with index.write() as orm:
        assert jobs.due_jobs(orm, NOW + LEASE - 1) == []
        assert [j.id for j in jobs.due_jobs(orm, NOW + LEASE)] == [job]
    assert taken(index, job, "w2", NOW + LEASE) is not None
    for act in (
        lambda orm: jobs.finish_job(orm, job, "w1", NOW + LEASE, None),
        lambda orm: jobs.renew_job(orm, job, "w1", NOW + LEASE, LEASE),
        lambda orm: jobs.note_progress(orm, job, "w1", NOW + LEASE, done=1, total=2),
        lambda orm: jobs.fail_job(orm, job, "w1", "why", NOW + LEASE, permanent=False),
    ):
        with pytest.raises(Conflict), index.write() as orm:
            act(orm)


def test_renewing_keeps_it(index: Database) -> None:
    job = queued(index)
    taken(index, job)
    with index.write() as orm:
        jobs.renew_job(orm, job, "w1", NOW + LEASE - 1, LEASE)
        jobs.note_progress(orm, job, "w1", NOW + LEASE, done=3, total=7)
        assert jobs.due_jobs(orm, NOW + LEASE) == []
    assert (row(index, job).done, row(index, job).total) == (3, 7)


def test_a_failed_attempt_waits_and_a_permanent_one_ends(index: Database) -> None:
    job = queued(index)
    taken(index, job)
    with index.write() as orm:
        jobs.fail_job(orm, job, "w1", "rtsp://user:secret@host down", NOW, permanent=False)
        assert jobs.due_jobs(orm, NOW) == []
    after = row(index, job)
    assert after.state == JobState.QUEUED and after.run_after_us > NOW
    assert "secret" not in str(after.error)
    taken(index, job, at=after.run_after_us)
    with index.write() as orm:
        jobs.fail_job(orm, job, "w1", "never", after.run_after_us, permanent=True)
    assert row(index, job).state == JobState.FAILED


def test_a_job_that_kills_its_workers_is_given_up(index: Database) -> None:
    job, at = queued(index), NOW
    for _ in range(MAX_ATTEMPTS):
        assert taken(index, job, "w1", at) is not None
        at += LEASE
    assert taken(index, job, "w1", at) is None
    with index.write() as orm:
        assert [j.id for j in jobs.reap_jobs(orm, at)] == [job]
        assert jobs.reap_jobs(orm, at) == []
    assert row(index, job).state == JobState.FAILED


def test_cancel_and_retry(index: Database) -> None:
    job = queued(index)
    taken(index, job)
    with index.write() as orm:
        jobs.cancel_job(orm, job, NOW)
    with pytest.raises(Conflict), index.write() as orm:
        jobs.finish_job(orm, job, "w1", NOW, None)
    with pytest.raises(Conflict), index.write() as orm:
        jobs.cancel_job(orm, job, NOW)
    with index.write() as orm:
        jobs.retry_job(orm, job, NOW)
    assert row(index, job).state == JobState.QUEUED
    assert taken(index, job) is not None
    with pytest.raises(NotFound), index.write() as orm:
        jobs.cancel_job(orm, "no-such-job", NOW)
