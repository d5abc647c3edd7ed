"""The monitor of plans: a session that was planned, and of which no record says what became of it.

By the records alone, not by the session's row: whoever wants a session forgotten can write a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import aliased

from bidwitness.clock import Clock
from bidwitness.storage.evidence.records import read_record, utc_text
from bidwitness.storage.evidence.session_records import (
    AmendFacts,
    CancelFacts,
    OpenFacts,
    PlanFacts,
)
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, SessionRecord

ALARM = "plan_forgotten"
# `keep` starts a session within a second of its time; one that waits for another has its own alarm.
GRACE_US = 900_000_000
_SUBJECT = "session:"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A session whose planned time has come, without a record that it was opened or cancelled."""

    session_id: str
    planned_us: int

    @property
    def why(self) -> str:
        """Say it in a sentence."""
        return f"It was planned for {utc_text(self.planned_us)}, and neither opened nor cancelled."


def forgotten_plans(orm: Orm, now_us: int) -> Sequence[Forgotten]:
    """Give every such session, the oldest first."""
    other = aliased(SessionRecord)
    answered = (
        select(other.id)
        .where(
            other.session_id == SessionRecord.session_id,
            other.kind.in_((OpenFacts.T, CancelFacts.T)),
        )
        .exists()
    )
    query = (
        select(SessionRecord.session_id, SessionRecord.body)
        .where(SessionRecord.kind.in_((PlanFacts.T, AmendFacts.T)), ~answered)
        .order_by(SessionRecord.session_id, SessionRecord.seq)
    )
    planned: dict[str, int] = {}
    for session_id, body in orm.execute(query):
        facts = read_record(body.encode())
        if isinstance(facts, PlanFacts | AmendFacts):
            planned[session_id] = facts.planned[0]
    found = [Forgotten(*item) for item in planned.items() if item[1] <= now_us - GRACE_US]
    return sorted(found, key=lambda item: (item.planned_us, item.session_id))


class PlanMonitor:
    """Raises and clears the alarm about each of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def watch(self) -> None:
        """Look at all plans. Raises ``IndexUnavailable``."""
        now = self._clock.utc_us()
        with self._database.read() as orm:
            found = {item.session_id: item for item in forgotten_plans(orm, now)}
            open_ones = orm.scalars(
                select(Alarm.subject).where(Alarm.kind == ALARM, Alarm.cleared_us.is_(None))
            ).all()
        standing = {subject.removeprefix(_SUBJECT) for subject in open_ones}
        if found.keys() == standing:
            return
        with self._database.write() as orm:
            for session_id in sorted(found.keys() - standing):
                why = found[session_id].why
                raise_alarm(orm, ALARM, _SUBJECT + session_id, now, cause=why)
            for session_id in sorted(standing - found.keys()):
                clear_alarm(orm, ALARM, _SUBJECT + session_id, now)
