"""What is made of a session: sheets of thumbnails, which must not outlive it, and reports of it."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.intervals import Interval
from bidwitness.storage.index.jobs import enqueue, retry_job
from bidwitness.storage.index.models import Derivative, Job
from bidwitness.words import JobState

THUMBNAILS = "thumbnails"
SNAPSHOT = "snapshot"
WATERMARKED = "watermarked"
EVIDENCE_REPORT = "evidence_report"
AUDIT_REPORT = "audit_report"
VIEWING_RECORD = "viewing_record"
# By then the close is in the log as a rule.
AFTER_SEAL_US = 5_000_000
# So many wait for a worker at most; whoever comes then is told to come again.
MAX_WAITING = 60
# What has failed is tried again when somebody wants it so much later.
TRY_AGAIN_US = 600_000_000


def thumbnails_key(session_id: str, stream_id: str, spans: Iterable[Interval]) -> str:
    """Name the work of making a stream's thumbnails for what a session claims of it now.

    Whoever wants the same names the same; other claims make other work of it.
    """
    claimed = ",".join(f"{span.start}-{span.end}" for span in spans)
    digest = hashlib.sha256(claimed.encode()).hexdigest()[:24]
    return f"{THUMBNAILS}:{session_id}:{stream_id}:{digest}"


def demand_thumbnails(
    orm: Orm, session_id: str, stream_id: str, key: str, *, by: str, now_us: int
) -> Job | None:
    """Give the job that makes or made a stream's thumbnails, queued if there is none.

    Gives nothing while too many wait. What failed long ago is queued anew.
    """
    present = orm.scalars(select(Job).where(Job.key == key)).first()
    if present is None:
        waiting = select(func.count()).where(Job.kind == THUMBNAILS, Job.state == JobState.QUEUED)
        if (orm.scalar(waiting) or 0) >= MAX_WAITING:
            return None
        payload = {"session_id": session_id, "stream_id": stream_id}
        return enqueue(orm, THUMBNAILS, payload, by=by, now_us=now_us, key=key)
    over = present.state in (JobState.FAILED, JobState.CANCELLED)
    if over and now_us - (present.finished_us or now_us) > TRY_AGAIN_US:
        return retry_job(orm, present.id, now_us)
    return present


def demand_report(
    orm: Orm, session_id: str, *, by: str, now_us: int, key: str | None = None
) -> Job:
    """Queue the making of a sealed session's evidence report, with a number of its own.

    ``key`` names what it is made after, so that it is queued once.
    """
    after = now_us + AFTER_SEAL_US if key is not None else now_us
    payload = {"session_id": session_id}
    return enqueue(orm, EVIDENCE_REPORT, payload, by=by, now_us=now_us, key=key, run_after_us=after)


def expire_with_footage(orm: Orm, stream_id: str, from_us: int, to_us: int, now_us: int) -> None:
    """End what shows pictures of a stream's time. Call where that footage is given up."""
    orm.execute(
        update(Derivative)
        .where(
            Derivative.kind == THUMBNAILS,
            Derivative.stream_id == stream_id,
            Derivative.path.is_not(None),
            Derivative.from_us < to_us,
            Derivative.to_us > from_us,
        )
        .values(expires_us=now_us)
    )


def files_of(derivative: Derivative) -> tuple[str, ...]:
    """Name the files of a copy within its folder: its own, and of a record of viewing the facts."""
    path = str(derivative.path)
    if derivative.kind != VIEWING_RECORD:
        return (path,)
    return path, facts_name(path)


def facts_name(path: str) -> str:
    """Name the file of facts beside a document."""
    return f"{path.removesuffix('.pdf')}.json"


def forget_work(orm: Orm, derivative: Derivative) -> None:
    """Let a derivative that has gone be made anew when somebody wants it again."""
    if derivative.kind == THUMBNAILS and derivative.job_id is not None:
        orm.execute(update(Job).where(Job.id == derivative.job_id).values(key=None))
