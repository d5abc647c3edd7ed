"""Celery's task of this folder."""

from typing import Any

from celery import shared_task

from bidwitness.retention.copies import remove_abandoned_work, remove_expired_copies
from bidwitness.retention.sweep import Sweep
from bidwitness.storage.tasks import outages_said, work_of


@shared_task(name="retention.sweep", bind=True)
def sweep(self: Any, everything: bool = False) -> None:
    """Have footage removed that is past its loop, and remove copies that have expired."""
    work = work_of(self.app)
    with outages_said("retention.sweep"):
        Sweep(work.database, work.clock, work.settings, everything=everything).sweep()
        remove_expired_copies(work.database, work.clock, work.settings)
        remove_abandoned_work(work.database, work.settings)
