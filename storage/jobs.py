"""Run jobs: take the row, renew its lease while the work goes on, write how it ended.

A folder offers a kind of job with ``@job_kind("export")`` in its ``tasks`` module. A handler may
be run twice, after its worker was killed: it must end in the same state.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import (
    BidWitnessError,
    Conflict,
    IndexUnavailable,
    StorageFull,
    Unavailable,
)
from bidwitness.storage.index import jobs
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Job
from bidwitness.words import JobState

log = logging.getLogger(__name__)

LEASE_S = 60
SECOND = 1_000_000

Handler = Callable[["JobRun"], Mapping[str, object] | None]
HANDLERS: dict[str, Handler] = {}


def job_kind(kind: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of a kind of job."""

    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = handler
        return handler

    return register


@dataclass
class JobRun:
    """One attempt at a job, as its handler sees it."""

    id: str
    kind: str
    payload: Mapping[str, object]
    by: str
    worker: str
    settings: Settings
    database: Database
    clock: Clock
    _lost: threading.Event = field(default_factory=threading.Event, repr=False)

    def check(self) -> None:
        """Ask before every lasting effect. Raises ``Conflict`` if the job is no longer ours."""
        if self._lost.is_set():
            raise Conflict("The job was cancelled, or another worker has it by now.")

    def progress(self, done: int, total: int) -> None:
        """Say how much is done. Raises as ``check`` does."""
        self.check()
        with self.database.write() as orm:
            jobs.note_progress(
                orm, self.id, self.worker, self.clock.utc_us(), done=done, total=total
            )

    def lose(self) -> None:
        self._lost.set()


class Runner:
    """Runs jobs by their id for one worker. ``worker`` must be unlike any other's name."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        worker: str,
        handlers: Mapping[str, Handler] | None = None,
        lease_s: int = LEASE_S,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._worker = worker
        self._handlers = HANDLERS if handlers is None else handlers
        self._lease_s = lease_s

    def run_job(self, job_id: str) -> JobState | None:
        """Run a job to the end of one attempt; give its state, or nothing if it is not ours to run.

        An error that is no ``BidWitnessError`` ends the attempt and goes on up.
        """
        with self._database.write() as orm:
            job = jobs.take_job(
                orm, job_id, self._worker, self._clock.utc_us(), self._lease_s * SECOND
            )
        if job is None:
            return None
        run = self._run_of(job)
        ended = False
        try:
            with self._leased(run):
                state: JobState | None = self._finished(run, self._handler(job.kind)(run))
            ended = True
        except BidWitnessError as error:
            ended = True
            state = self._failed(run, error.detail, permanent=is_permanent(error))
        finally:
            if not ended:
                self._failed(run, "The program failed; its log says how.", permanent=False)
        return state

    def _run_of(self, job: Job) -> JobRun:
        return JobRun(
            id=job.id,
            kind=job.kind,
            payload=job.payload,
            by=job.created_by,
            worker=self._worker,
            settings=self._settings,
            database=self._database,
            clock=self._clock,
        )

    def _handler(self, kind: str) -> Handler:
        handler = self._handlers.get(kind)
        if handler is None:
            raise Unavailable(f"This worker knows no jobs of the kind {kind}.")
        return handler

    def _finished(self, run: JobRun, result: Mapping[str, object] | None) -> JobState:
        with self._database.write() as orm:
            done = jobs.finish_job(orm, run.id, run.worker, self._clock.utc_us(), result)
            return JobState(done.state)

    def _failed(self, run: JobRun, why: str, *, permanent: bool) -> JobState | None:
        facts = {"job": run.id, "kind": run.kind, "why": why}
        try:
            with self._database.write() as orm:
                row = jobs.fail_job(
                    orm, run.id, run.worker, why, self._clock.utc_us(), permanent=permanent
                )
        except Conflict:
            log.info("a job was taken from us", extra={"facts": facts})
            return None
        except IndexUnavailable:
            log.warning("a job's end was not written: its lease runs out", extra={"facts": facts})
            return None
        log.warning("a job failed", extra={"facts": {**facts, "state": row.state}})
        return JobState(row.state)

    @contextmanager
    def _leased(self, run: JobRun) -> Iterator[None]:
        """Renew the lease from a thread of its own until the block ends."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(self._lease_s / 4):
                if not self._renewed(run):
                    return

        thread = threading.Thread(target=keep, name=f"lease-{run.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _renewed(self, run: JobRun) -> bool:
        try:
            with self._database.write() as orm:
                now = self._clock.utc_us()
                jobs.renew_job(orm, run.id, run.worker, now, self._lease_s * SECOND)
        except Conflict:
            run.lose()
            return False
        except IndexUnavailable as error:
            # The lease is longer than the waits: there is time to try again.
            log.warning("a lease was not renewed", extra={"facts": {"why": error.detail}})
        return True


def is_permanent(error: BidWitnessError) -> bool:
    """Say whether another attempt at the job would end in the same way."""
    return not isinstance(error, Unavailable | StorageFull)
