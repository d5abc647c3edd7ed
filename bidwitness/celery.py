"""Celery's part in it: carrying hints. What is to be done is in the rows of jobs.

A message may be lost (the embedded broker loses those of a killed worker) or come twice; beat has
due jobs hinted at again, and a job's row lets only one worker have it.
"""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab
from kombu.exceptions import KombuError

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

# By name: the kernel imports no folder.
TASK_MODULES = (
    "bidwitness.storage.tasks",
    "bidwitness.storage.alarming.deliver",
    "bidwitness.storage.evidence_report.tasks",
    "bidwitness.storage.trail.tasks",
    "bidwitness.retention.tasks",
    "bidwitness.player.tasks",
)
QUEUE = "bidwitness"
RUN_JOB, RESEND = "jobs.run", "jobs.resend"
RESEND_S = 5
# No further hints while so many wait: without a worker they would pile up.
MAX_BACKLOG = 50
DAILY_HOUR_UTC = 18  # two in the morning in China


def make_app(settings: Settings) -> Any:
    """Give the Celery app of these settings, and make the folders of an embedded broker.

    Raises ``ConfigError`` if they cannot be made.
    """
    app = Celery("bidwitness", include=TASK_MODULES)
    app.conf.update(
        **_broker(settings),
        bidwitness=settings,
        beat_schedule=_schedule(settings),
        beat_scheduler=HintScheduler,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        timezone="UTC",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


def _broker(settings: Settings) -> dict[str, object]:
    url = urlsplit(settings.broker_url)
    if url.scheme != "filesystem":
        # Whoever queues a job does not wait for a broker that is away.
        waits = {"socket_connect_timeout": 3, "socket_timeout": 10, "max_retries": 0}
        return {"broker_url": settings.broker_url, "broker_transport_options": waits}
    folder = Path(unquote(url.path))
    if url.netloc or not folder.is_absolute():
        raise ConfigError("BIDWITNESS_BROKER: write filesystem:///folder with an absolute path.")
    try:
        for name in ("messages", "control"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"BIDWITNESS_BROKER: {folder}: {error.strerror}.") from None
    options = {
        # One folder: what one process puts in, another takes out.
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
    }
    return {
        "broker_url": "filesystem://localhost//",
        "broker_transport": "bidwitness.filebroker:Transport",
        "broker_transport_options": options,
    }


def _schedule(settings: Settings) -> dict[str, dict[str, object]]:
    return {
        "resend": {"task": RESEND, "schedule": RESEND_S},
        "sweep": {"task": "retention.sweep", "schedule": settings.sweep_seconds},
        "sweep everything": {
            "task": "retention.sweep",
            "schedule": crontab(hour=DAILY_HOUR_UTC, minute=0),
            "kwargs": {"everything": True},
        },
    }


def hush() -> None:
    """Leave out Celery's lines about every message: there is one every few seconds, for ever."""
    for name in ("celery.app.trace", "celery.beat", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def backlog(app: Any) -> int:
    """Give how many messages wait for a worker. Raises ``Unavailable``."""
    with app.connection_for_write() as connection:
        try:
            found = connection.default_channel.queue_declare(QUEUE, passive=True)
        except connection.channel_errors:
            return 0  # Redis knows a queue only while something is in it
        except (KombuError, *connection.connection_errors) as error:
            raise Unavailable(f"The broker does not answer: {type(error).__name__}.") from error
        return int(found.message_count)


class HintScheduler(Scheduler):  # type: ignore[misc]  # Celery is published without types
    """Celery's scheduler without its file: it says nothing while nobody listens."""

    quiet = False

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one message, unless too many wait already or the broker is away."""
        try:
            waiting = backlog(self.app)
            why = f"{waiting} messages wait for a worker" if waiting >= MAX_BACKLOG else ""
        except Unavailable as error:
            why = error.detail
        if why and not self.quiet:
            log.warning("sending nothing for a while", extra={"facts": {"why": why}})
        self.quiet = bool(why)
        if not why:
            super().apply_entry(entry, producer=producer)


def hint(app: Any, job_id: str) -> bool:
    """Tell some worker of a queued job; say whether the broker took it. Beat hints again anyway."""
    try:
        app.send_task(RUN_JOB, args=[job_id], queue=QUEUE, retry=False)
    except (KombuError, OSError) as error:
        facts = {"job": job_id, "why": type(error).__name__}
        log.warning("the broker does not answer; the job waits for beat", extra={"facts": facts})
        return False
    return True
