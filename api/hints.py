"""Hints from a route to the workers: a job that was just queued need not wait for beat."""

import threading
from typing import Any

from bidwitness.celery import hint, make_app
from bidwitness.config import Settings


class Hints:
    """Tells workers of jobs. Connects to the broker at the first one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Any = None
        self._guard = threading.Lock()

    def tell(self, job_id: str) -> None:
        """Tell some worker of a job whose row is committed. A broker that is away is logged."""
        with self._guard:
            if self._app is None:
                self._app = make_app(self._settings)
        hint(self._app, job_id)
