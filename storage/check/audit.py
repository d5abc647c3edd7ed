"""The audit trail, and what else the log commits to row by row, held against the log."""

from collections.abc import Iterator

from bidwitness.config import Settings
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.index.database import Database
from bidwitness.storage.trail.findings import Finding, detail_of, subject_of
from bidwitness.storage.trail.logged import LoggedCommitments
from bidwitness.storage.trail.walk import Walk
from bidwitness.words import TrailFault

_FAULTS = {
    TrailFault.EDITED: Fault.DIFFERS,
    TrailFault.REMOVED: Fault.MISSING,
    TrailFault.INSERTED: Fault.INSERTED,
    TrailFault.REORDERED: Fault.DIFFERS,
    TrailFault.SET_BACK: Fault.MISSING,
    TrailFault.LOG: Fault.UNREADABLE,
    TrailFault.STATED: Fault.UNKNOWN,
    TrailFault.WAITING: Fault.UNKNOWN,
}


def check_audit(
    database: Database, settings: Settings, now_us: int, *, late_us: int
) -> Iterator[Problem | None]:
    """Walk them. One item for each entry of the log and each row, then what is wrong.

    ``late_us``: how long a row may wait to be logged before that is told; it is no damage.
    """
    log = LoggedCommitments(settings)
    walk = Walk(database, log, settings.site, late_before_us=now_us - late_us)
    for found in walk.run():
        yield None if found is None else _problem(found)


def _problem(found: Finding) -> Problem:
    return Problem(_FAULTS[found.fault], subject_of(found), detail_of(found))
