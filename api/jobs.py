"""Jobs: background work, how far it is, and stopping or repeating it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import DEFAULT_LIMIT, Answer, CursorQuery, IdPath, LimitQuery
from bidwitness.errors import NotFound
from bidwitness.storage.index import jobs as business
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Job
from bidwitness.storage.secrecy import secret_job
from bidwitness.words import JobState, Role

router = APIRouter(prefix="/jobs", tags=["jobs"])

RUNS_JOBS = frozenset({Role.SYSTEM_ADMIN, Role.OPERATOR})


class JobAnswer(Answer):
    id: str
    kind: str
    state: JobState
    done: int
    total: int
    attempt: int
    result: dict[str, Any] | None
    error: str | None
    created_at: int
    created_by: str
    finished_at: int | None


class JobPage(Answer):
    items: list[JobAnswer]
    next_cursor: str | None


@router.get("")
def jobs(
    user: Me,
    parts: ThePartsOf,
    state: Annotated[JobState | None, Query()] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> JobPage:
    """Jobs, newest first: all for who runs the platform, one's own for everybody else."""
    query = select(Job)
    if not user.roles & RUNS_JOBS:
        query = query.where(Job.created_by == user.username)
    query = query.where(
        or_(Job.created_by == user.username, ~secret_job(user.username, user.roles))
    )
    if state is not None:
        query = query.where(Job.state == state)
    query = newest_first(query, Job.created_us, Job.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "created_us", "id", limit)
        return JobPage(items=[job_answer(row) for row in rows], next_cursor=more)


@router.get("/{job_id}")
def job(job_id: IdPath, user: Me, parts: ThePartsOf) -> JobAnswer:
    """One job."""
    with parts.database.read() as orm:
        return job_answer(_own(orm, job_id, user))


@router.post("/{job_id}/cancel")
def cancel(job_id: IdPath, user: Me, parts: ThePartsOf) -> JobAnswer:
    """Stop a job; its worker notices within a minute."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        _own(orm, job_id, user)
        row = business.cancel_job(orm, job_id, now)
        leave_audit_entry(orm, user.who, "job.cancel", f"job:{job_id}", now)
        return job_answer(row)


@router.post("/{job_id}/retry")
def retry(job_id: IdPath, user: Me, parts: ThePartsOf) -> JobAnswer:
    """Queue a failed or cancelled job anew."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        _own(orm, job_id, user)
        row = business.retry_job(orm, job_id, now)
        leave_audit_entry(orm, user.who, "job.retry", f"job:{job_id}", now)
        return job_answer(row)


def _own(orm: Orm, job_id: str, user: CurrentUser) -> Job:
    """Other people's jobs do not exist for somebody who is no administrator, nor do confidential
    ones for her. Raises ``NotFound``."""
    secret = ~secret_job(user.username, user.roles)
    query = select(Job).where(Job.id == job_id, or_(Job.created_by == user.username, secret))
    row = orm.scalars(query).first()
    mine = row is not None and row.created_by == user.username
    if row is None or not (mine or user.roles & RUNS_JOBS):
        raise NotFound("There is no such job.")
    return row


def job_answer(row: Job) -> JobAnswer:
    return JobAnswer(
        id=row.id,
        kind=row.kind,
        state=JobState(row.state),
        done=row.done,
        total=row.total,
        attempt=row.attempt,
        result=row.result,
        error=row.error,
        created_at=row.created_us,
        created_by=row.created_by,
        finished_at=row.finished_us,
    )
