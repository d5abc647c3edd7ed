"""When a job is taken, kept, given up or run again: decisions over its row. Pure.

The row is the truth and a broker's message only a hint: a worker takes a job by writing its lease
into the row, and a job whose lease has run out is anybody's, because its worker is dead or stuck.
"""

from dataclasses import dataclass, replace

from bidwitness.errors import Conflict
from bidwitness.words import JobState

SECOND = 1_000_000
MAX_ATTEMPTS = 8
FIRST_DELAY_US = 5 * SECOND
LONGEST_DELAY_US = 3600 * SECOND
_OVER = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobView:
    """What a decision needs of a job's row. ``attempt`` counts the times it was taken."""

    state: JobState
    attempt: int = 0
    run_after_us: int = 0
    lease_until_us: int | None = None
    lease_by: str | None = None
    error: str | None = None
    finished_us: int | None = None

    @property
    def over(self) -> bool:
        return self.state in _OVER


def lease_lost(job: JobView, now_us: int) -> bool:
    """Say whether a running job's worker has not been heard of in time."""
    return job.state == JobState.RUNNING and (
        job.lease_until_us is None or job.lease_until_us <= now_us
    )


def may_take(job: JobView, now_us: int) -> bool:
    """Say whether a worker may take the job now."""
    waiting = job.state == JobState.QUEUED and job.run_after_us <= now_us
    return (waiting or lease_lost(job, now_us)) and job.attempt < MAX_ATTEMPTS


def take(job: JobView, worker: str, now_us: int, lease_us: int) -> JobView:
    """Give the row of a job that ``worker`` takes. Raises ``Conflict`` if it may not."""
    if not may_take(job, now_us):
        raise Conflict(f"The job is {job.state} and cannot be taken now.")
    return replace(
        job,
        state=JobState.RUNNING,
        attempt=job.attempt + 1,
        lease_by=worker,
        lease_until_us=now_us + lease_us,
    )


def holds(job: JobView, worker: str, now_us: int) -> bool:
    """Say whether the job is still this worker's: ask before every lasting effect."""
    return job.state == JobState.RUNNING and job.lease_by == worker and not lease_lost(job, now_us)


def renew(job: JobView, worker: str, now_us: int, lease_us: int) -> JobView:
    """Lengthen a lease. Raises ``Conflict`` if it was lost or the job was cancelled: stop then."""
    _check_held(job, worker, now_us)
    return replace(job, lease_until_us=now_us + lease_us)


def finish(job: JobView, worker: str, now_us: int) -> JobView:
    """End a job well. Raises ``Conflict`` if it is no longer this worker's."""
    _check_held(job, worker, now_us)
    return _end(job, JobState.DONE, now_us, None)


def fail(job: JobView, worker: str, error: str, now_us: int, *, permanent: bool) -> JobView:
    """End an attempt badly: queue the next one after a growing delay, or give up.

    ``permanent``: another attempt would fail in the same way. Raises ``Conflict`` if the job is no
    longer this worker's.
    """
    _check_held(job, worker, now_us)
    if permanent or job.attempt >= MAX_ATTEMPTS:
        return _end(job, JobState.FAILED, now_us, error)
    return replace(
        job,
        state=JobState.QUEUED,
        run_after_us=now_us + delay_us(job.attempt),
        lease_by=None,
        lease_until_us=None,
        error=error,
    )


def reap(job: JobView, now_us: int) -> JobView | None:
    """Give up a job that took its worker with it every time; nothing for any other."""
    if not lease_lost(job, now_us) or job.attempt < MAX_ATTEMPTS:
        return None
    error = f"Given up after {job.attempt} attempts: no worker came back. Last: {job.error or '-'}"
    return _end(job, JobState.FAILED, now_us, error)


def cancel(job: JobView, now_us: int) -> JobView:
    """Cancel a job; its worker finds out when it renews. Raises ``Conflict`` if it is over."""
    if job.over:
        raise Conflict(f"The job is {job.state}. Possible now: retry.")
    return _end(job, JobState.CANCELLED, now_us, job.error)


def retry(job: JobView, now_us: int) -> JobView:
    """Queue a failed or cancelled job anew. Raises ``Conflict`` for any other."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise Conflict(f"The job is {job.state}: only a failed or cancelled job is run again.")
    return JobView(JobState.QUEUED, run_after_us=now_us)


def delay_us(attempt: int) -> int:
    """Give the wait after the ``attempt``-th failure: doubled each time, an hour at most."""
    return min(FIRST_DELAY_US << min(max(attempt, 1) - 1, 40), LONGEST_DELAY_US)


@dataclass(frozen=True, slots=True)
class Every:
    """A schedule: at ``offset_us`` into each period since the epoch (UTC)."""

    period_us: int
    offset_us: int = 0

    def slot(self, now_us: int) -> int:
        """Give the latest instant of the schedule that is not after now."""
        return now_us - (now_us - self.offset_us) % self.period_us


def due_slot(schedule: Every, last_us: int | None, now_us: int) -> int | None:
    """Give the instant a scheduled job is to be queued for now; nothing if it has been.

    After a pause of any length only the latest instant is made up for. The instant belongs in
    the job's key, so that two clockworks queue it once.
    """
    slot = schedule.slot(now_us)
    return slot if last_us is None or last_us < slot else None


def _check_held(job: JobView, worker: str, now_us: int) -> None:
    if not holds(job, worker, now_us):
        raise Conflict(f"The job is no longer held by {worker}: it is {job.state}.")


def _end(job: JobView, state: JobState, now_us: int, error: str | None) -> JobView:
    return replace(
        job, state=state, lease_by=None, lease_until_us=None, error=error, finished_us=now_us
    )
