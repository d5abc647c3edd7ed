"""Evidence reports into the store: put, proved, locked, and named by the index."""

import logging
from collections.abc import Callable

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.evidence_report.registered import (
    SUFFIXES,
    objects_of,
    report_path,
    reports_to_store,
)
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Derivative, SessionObject
from bidwitness.storage.keep.locking import LockPlanner
from bidwitness.storage.keep.objects import ObjectKeeper
from bidwitness.storage.store import LockingStore
from bidwitness.storage.surplus import REPORTS

log = logging.getLogger(__name__)

BATCH = 16
ALARM = "report_missing"


class ReportKeeper(ObjectKeeper):
    """Stores what reports there are."""

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        clock: Clock,
        settings: Settings,
        ready: Callable[[], None],
        planner: LockPlanner | None = None,
    ) -> None:
        super().__init__(database, store, clock, ready, planner)
        self._settings = settings

    def store_some(self) -> int:
        """Store the reports that wait; give how many. Raises ``StoreError``, ``StorageFull``.

        One whose files are not what was made raises an alarm, and the others go on.
        """
        with self._database.read() as orm:
            waiting = reports_to_store(orm, self._clock.utc_us() + 1, BATCH)
        if waiting:
            self._ready()
        return sum(self._store_report(report) for report in waiting)

    def _store_report(self, report: Derivative) -> bool:
        subject = f"session:{report.session_id}"
        with self._database.read() as orm:
            present = objects_of(orm, report.id)
        digests = dict(zip(SUFFIXES, (report.sha256, report.recipe["digest"]), strict=True))
        try:
            for suffix in SUFFIXES:
                if suffix not in present:
                    self._put(report, suffix, bytes.fromhex(str(digests[suffix])))
        except (NotFound, DamageFound) as error:
            facts = {"report": report.id, "why": error.detail}
            log.error("a report cannot be stored", extra={"facts": facts})
            with self._database.write() as orm:
                raise_alarm(orm, ALARM, subject, self._clock.utc_us(), cause=error.detail)
            return False
        with self._database.write() as orm:
            clear_alarm(orm, ALARM, subject, self._clock.utc_us())
        return True

    def _put(self, report: Derivative, suffix: str, sha256: bytes) -> None:
        path = report_path(self._settings.reports, report.id, suffix)
        number = report.recipe["number"]
        if not path.is_file():
            raise NotFound(f"The report {number} is not on this machine.")
        session = str(report.session_id)
        row = SessionObject(
            session_id=session, derivative_id=report.id, suffix=suffix, sha256=sha256
        )
        # Opened, not named: a store in a folder would make it one file under two names.
        self._keep(row, f"{REPORTS}{session}/{number}.{suffix}", lambda: path.open("rb"))
