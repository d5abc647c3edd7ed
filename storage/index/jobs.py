"""Jobs as rows: queue, take, keep, end. The decisions are ``bidwitness.jobs``; here they are kept.

Call each inside ``Database.write``. A row is locked while it is decided on, so that of two workers
one takes a job.
"""

from collections.abc import Mapping

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Orm

from bidwitness import jobs
from bidwitness.errors import Conflict, NotFound
from bidwitness.jobs import JobView
from bidwitness.log import redact
from bidwitness.storage.index.models import Job
from bidwitness.words import JobState

MAX_ERROR = 4000


def enqueue(
    orm: Orm,
    kind: str,
    payload: Mapping[str, object],
    *,
    by: str,
    now_us: int,
    key: str | None = None,
    run_after_us: int | None = None,
) -> Job:
    """Queue a job of ``kind`` for ``by``, to be run from ``run_after_us`` (µs UTC) on.

    ``key`` names the work: queueing it again gives the job that is there, whatever became of it.
    """
    job = Job(
        kind=kind,
        payload=dict(payload),
        state=JobState.QUEUED,
        key=key,
        run_after_us=now_us if run_after_us is None else run_after_us,
        created_us=now_us,
        created_by=by,
    )
    try:
        with orm.begin_nested():
            orm.add(job)
    except IntegrityError:
        present = orm.scalars(select(Job).where(Job.key == key)).first()
        if key is None or present is None:
            raise
        return present
    return job


def due_jobs(orm: Orm, now_us: int, limit: int = 100) -> list[Job]:
    """Give the jobs that some worker should take now, oldest first."""
    query = (
        select(Job)
        .where(
            or_(
                and_(Job.state == JobState.QUEUED, Job.run_after_us <= now_us),
                and_(Job.state == JobState.RUNNING, Job.lease_until_us <= now_us),
            )
        )
        .order_by(Job.run_after_us, Job.id)
        .limit(limit)
    )
    return list(orm.scalars(query))


def take_job(orm: Orm, job_id: str, worker: str, now_us: int, lease_us: int) -> Job | None:
    """Give the job to ``worker`` until the lease ends, or nothing if it cannot be taken now."""
    row = _locked(orm, job_id)
    if not jobs.may_take(view_of(row), now_us):
        return None
    return _kept(orm, row, jobs.take(view_of(row), worker, now_us, lease_us))


def renew_job(orm: Orm, job_id: str, worker: str, now_us: int, lease_us: int) -> Job:
    """Lengthen the lease. Raises ``Conflict`` if the job was cancelled or is another's by now."""
    row = _locked(orm, job_id)
    return _kept(orm, row, jobs.renew(view_of(row), worker, now_us, lease_us))


def note_progress(orm: Orm, job_id: str, worker: str, now_us: int, *, done: int, total: int) -> Job:
    """Say how much is done. Raises ``Conflict`` if the job is no longer the worker's."""
    row = _locked(orm, job_id)
    if not jobs.holds(view_of(row), worker, now_us):
        raise Conflict(f"The job is no longer held by {worker}: it is {row.state}.")
    row.done, row.total = done, total
    orm.flush()
    return row


def finish_job(
    orm: Orm, job_id: str, worker: str, now_us: int, result: Mapping[str, object] | None
) -> Job:
    """End a job well. Raises ``Conflict`` if it is no longer the worker's."""
    row = _locked(orm, job_id)
    row.result = dict(result) if result else None
    return _kept(orm, row, jobs.finish(view_of(row), worker, now_us))


def fail_job(
    orm: Orm, job_id: str, worker: str, error: str, now_us: int, *, permanent: bool
) -> Job:
    """End an attempt badly. Raises ``Conflict`` if the job is no longer the worker's."""
    row = _locked(orm, job_id)
    text = redact(error)[:MAX_ERROR]
    return _kept(orm, row, jobs.fail(view_of(row), worker, text, now_us, permanent=permanent))


def cancel_job(orm: Orm, job_id: str, now_us: int) -> Job:
    """Cancel a job. Raises ``Conflict`` if it is over, ``NotFound``."""
    row = _locked(orm, job_id)
    return _kept(orm, row, jobs.cancel(view_of(row), now_us))


def retry_job(orm: Orm, job_id: str, now_us: int) -> Job:
    """Queue a failed or cancelled job anew. Raises ``Conflict`` for any other, ``NotFound``."""
    row = _locked(orm, job_id)
    row.result, row.done, row.total = None, 0, 0
    return _kept(orm, row, jobs.retry(view_of(row), now_us))


def reap_jobs(orm: Orm, now_us: int) -> list[Job]:
    """Give up the jobs that took every worker with them; give those."""
    lost = select(Job).where(Job.state == JobState.RUNNING, Job.lease_until_us <= now_us)
    given_up = []
    for row in orm.scalars(lost.with_for_update()):
        after = jobs.reap(view_of(row), now_us)
        if after is not None:
            given_up.append(_kept(orm, row, after))
    return given_up


def view_of(row: Job) -> JobView:
    """Give what decisions need of a row."""
    return JobView(
        state=JobState(row.state),
        attempt=row.attempt,
        run_after_us=row.run_after_us,
        lease_until_us=row.lease_until_us,
        lease_by=row.lease_by,
        error=row.error,
        finished_us=row.finished_us,
    )


def _locked(orm: Orm, job_id: str) -> Job:
    row = orm.get(Job, job_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such job.")
    return row


def _kept(orm: Orm, row: Job, view: JobView) -> Job:
    row.state = view.state
    row.attempt = view.attempt
    row.run_after_us = view.run_after_us
    row.lease_until_us = view.lease_until_us
    row.lease_by = view.lease_by
    row.error = view.error
    row.finished_us = view.finished_us
    orm.flush()
    return row
