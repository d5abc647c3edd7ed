"""The alarm for what the log should have from others and has not: cosignatures, time stamps."""

import logging

from bidwitness.clock import Clock
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database

log = logging.getLogger(__name__)

SUBJECT = "ledger"


class LackAlarm:
    """Says of what is lacking when it has lacked for ``allowed_us``, and when it no longer does.

    It remembers what it said, so that whoever tells it every few seconds does not write every time;
    of the process before it knows nothing, and says it once more.
    """

    def __init__(self, database: Database, clock: Clock, kind: str, allowed_us: int) -> None:
        self._database = database
        self._clock = clock
        self._kind = kind
        self._allowed_us = allowed_us
        self._since: int | None = None
        self._raised: bool | None = None

    def tell(self, cause: str | None) -> None:
        """Take what is lacking now, in words; nothing if nothing is."""
        if cause is None:
            self._since = None
            self._clear()
            return
        now = self._clock.monotonic_us()
        if self._since is None:
            self._since = now
        if now - self._since >= self._allowed_us:
            self.say(cause)

    def say(self, cause: str) -> None:
        """Raise it at once, unless it stands."""
        if self._raised is not True:
            log.error("the log is not signed by others", extra={"facts": {"why": cause}})
            with self._database.write() as orm:
                raise_alarm(orm, self._kind, SUBJECT, self._clock.utc_us(), cause=cause)
            self._raised = True

    def _clear(self) -> None:
        if self._raised is not False:
            with self._database.write() as orm:
                clear_alarm(orm, self._kind, SUBJECT, self._clock.utc_us())
            self._raised = False
