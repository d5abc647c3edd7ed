"""Nothing is put into a store whose locks do not hold: the lock self-test, at start and daily."""

import logging
import threading
from dataclasses import asdict

from bidwitness.clock import Clock
from bidwitness.errors import StoreError
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LockTest
from bidwitness.storage.store import LockingStore
from bidwitness.storage.store.lock_test import RETAIN_US, Finding, LockTrial
from bidwitness.words import LockLevel

log = logging.getLogger(__name__)

KEEP = Who("keep")
ALARM, SUBJECT = "locks_unproven", "store"
EVERY_US = 86_400_000_000
# One that failed may have been put right.
AGAIN_US = 3_600_000_000
_WAY_OUT = (
    "Give it a bucket made with Object Lock, or accept it with BIDWITNESS_ACCEPT_UNLOCKED_STORE "
    "(docs/keeping.md)."
)


class StoreGate:
    """Prepares the store and tries its locks. ``accept``: use it whatever is found.

    Call it before every use: the first call makes the bucket and the first part of the test.
    ``watch`` is the duty that ends the test and begins the next day's.
    """

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        clock: Clock,
        *,
        accept: bool = False,
        retain_us: int = RETAIN_US,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._accept = accept
        self._retain_us = retain_us
        self._guard = threading.Lock()
        self._trial: LockTrial | None = None
        # What is known of the store: nothing yet, or the last trial, and when it began.
        self._known: LockTrial | None = None
        self._begun_us = 0

    def __call__(self) -> None:
        """Raises ``StoreError`` until the store answers and, if it must, has proved its locks."""
        with self._guard:
            known = self._known or self._begin()
        if not known.passed and not self._accept:
            raise StoreError(
                f"The locks of the store do not hold: {_why(known.findings)}. {_WAY_OUT}"
            )

    def able(self) -> bool:
        """Say whether objects can be locked; false while nothing is known."""
        known = self._known
        return known is not None and known.level is not LockLevel.NONE

    def watch(self) -> None:
        """End the present test if it can be ended, begin the next if it is due.

        Raises ``StoreError`` if the store does not answer.
        """
        with self._guard:
            trial = self._trial
            if trial is not None:
                if trial.ripe() and trial.finish():
                    self._trial = None
                    self._note(trial)
            elif self._known is None or self._is_due(self._known):
                self._begin()

    def _is_due(self, known: LockTrial) -> bool:
        every = EVERY_US if known.passed else AGAIN_US
        return self._clock.monotonic_us() - self._begun_us > every

    def _begin(self) -> LockTrial:
        self._store.prepare()
        trial = LockTrial(self._store, self._clock, self._retain_us)
        trial.begin()
        self._known, self._begun_us = trial, self._clock.monotonic_us()
        if trial.passed:
            self._trial = trial
        else:
            trial.clean()
            self._note(trial)
        return trial

    def _note(self, trial: LockTrial) -> None:
        """Keep what was found: in the index, in the ledger by its audit entry, and as an alarm."""
        now = self._clock.utc_us()
        why = _why(trial.findings)
        used = trial.passed or self._accept
        with self._database.write() as orm:
            orm.add(
                LockTest(
                    at_us=now,
                    level=trial.level,
                    passed=trial.passed,
                    findings=[asdict(finding) for finding in trial.findings],
                )
            )
            facts: dict[str, object] = {
                "level": str(trial.level),
                "passed": trial.passed,
                "steps": [finding.step for finding in trial.findings],
                "failed": [finding.step for finding in trial.findings if not finding.ok],
                "accepted": self._accept and not trial.passed,
            }
            leave_audit_entry(
                orm,
                KEEP,
                "store.lock_test",
                SUBJECT,
                now,
                allowed=used,
                reason=why or None,
                facts=facts,
            )
            if trial.passed:
                clear_alarm(orm, ALARM, SUBJECT, now)
            else:
                raise_alarm(orm, ALARM, SUBJECT, now, cause=f"{why}. {_WAY_OUT}")
        level = logging.INFO if trial.passed else logging.ERROR
        log.log(level, "the locks of the store were tried", extra={"facts": facts})


def _why(findings: list[Finding]) -> str:
    """Say what did not hold."""
    return "; ".join(f"{finding.step}: {finding.said}" for finding in findings if not finding.ok)
