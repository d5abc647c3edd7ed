"""Celery's tasks for jobs: run the one that is hinted at, and hint at those that are due."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import shared_task

from bidwitness.celery import MAX_BACKLOG, backlog, hint
from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import Unavailable
from bidwitness.ids import new_id
from bidwitness.storage.index.database import Database, open_index
from bidwitness.storage.index.jobs import due_jobs, reap_jobs
from bidwitness.storage.jobs import Runner

log = logging.getLogger(__name__)
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Work:
    """What the tasks of one worker process share."""

    settings: Settings
    database: Database
    clock: Clock


def work_of(app: Any) -> Work:
    """Give the process's own, made at the first task."""
    with _guard:
        found = app.conf.get("bidwitness_work")
        if found is None:
            settings: Settings = app.conf["bidwitness"]
            found = Work(settings, open_index(settings), SystemClock())
            app.conf["bidwitness_work"] = found
        return found  # type: ignore[no-any-return]  # what was put there above


@contextmanager
def outages_said(task: str) -> Iterator[None]:
    """Turn an outage into one line in the log: the task's next turn makes it good."""
    try:
        yield
    except Unavailable as error:
        log.warning("a task met an outage", extra={"facts": {"task": task, "why": error.detail}})


@shared_task(name="jobs.run", bind=True)
def run_job(self: Any, job_id: str) -> None:
    """Run one attempt at a job, if it is still to be run."""
    work = work_of(self.app)
    worker = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"
    lease_s = work.settings.job_lease_seconds
    runner = Runner(work.settings, work.database, work.clock, worker, lease_s=lease_s)
    with outages_said("jobs.run"):
        runner.run_job(job_id)


@shared_task(name="jobs.resend", bind=True)
def resend(self: Any) -> None:
    """Hint at the due jobs again, and give up those that kill every worker."""
    work = work_of(self.app)
    with outages_said("jobs.resend"):
        with work.database.write() as orm:
            reap_jobs(orm, work.clock.utc_us())
            due = [job.id for job in due_jobs(orm, work.clock.utc_us(), limit=MAX_BACKLOG)]
        for job_id in due[: max(0, MAX_BACKLOG - backlog(self.app))]:
            hint(self.app, job_id)
