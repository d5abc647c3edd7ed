"""`keep` walks the audit trail every hour, and when a person asks; what it finds is alarmed."""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.storage.index.alarms import clear_alarm, open_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditRound
from bidwitness.storage.trail.findings import Finding, detail_of, subject_of
from bidwitness.storage.trail.logged import LoggedCommitments
from bidwitness.storage.trail.walk import Walk

log = logging.getLogger(__name__)

KEEP = Who("keep")
ALARM, SUBJECT = "audit_differs", "audit"
EVERY_US = 3_600_000_000
# `keep` logs within a second; it may just be starting.
LATE_US = 600_000_000
# Kept of a round and told in an alarm: more of them say no more.
KEPT, TOLD = 200, 5


def ask_for_round(orm: Orm, who: Who, at_us: int) -> AuditRound:
    """Want a walk now; give the one that is wanted already, if it has not begun.

    Call inside ``Database.write``.
    """
    waiting = select(AuditRound).where(AuditRound.begun_us.is_(None)).order_by(AuditRound.id)
    row = orm.scalars(waiting).first()
    if row is None:
        row = AuditRound(wanted_us=at_us, wanted_by=who.name, looked_at=0, faults=0, findings=[])
        orm.add(row)
        leave_audit_entry(orm, who, "audit.walk", SUBJECT, at_us)
    return row


class TrailKeeper:
    """Walks a little at a time: ``rate`` entries and rows at each turn."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, *, rate: int = 1000
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rate = rate
        self._round = 0
        # None while no round is under way.
        self._steps: Iterator[Finding | None] | None = None
        self._found: list[Finding] = []
        self._looked_at = 0

    def walk_some(self) -> int:
        """Look at the next ones; give how many. None while no round is due.

        Raises ``IndexUnavailable``: then the round begins anew.
        """
        if self._steps is None and not self._begin():
            return 0
        # Of one that an outage ended nothing more comes: what is not put back begins anew.
        going, self._steps = self._steps, None
        steps = list(islice(going or (), self._rate))
        self._found.extend(step for step in steps if step is not None)
        self._looked_at += sum(step is None for step in steps)
        if len(steps) < self._rate:
            self._end()
        else:
            self._steps = going
        return len(steps)

    def _begin(self) -> bool:
        """Begin the round that is due: an unfinished one first, then one that somebody wants."""
        now = self._clock.utc_us()
        newest = select(AuditRound).order_by(AuditRound.begun_us.desc(), AuditRound.id.desc())
        with self._database.read() as orm:
            open_one = orm.scalars(
                select(AuditRound).where(AuditRound.ended_us.is_(None)).order_by(AuditRound.id)
            ).first()
            last = orm.scalars(newest.where(AuditRound.begun_us.is_not(None))).first()
        # A clock that was set back must not put the next one off for long.
        resting = last is not None and 0 <= now - (last.begun_us or 0) < EVERY_US
        if open_one is None and resting:
            return False
        with self._database.write() as orm:
            row = (
                AuditRound(looked_at=0, faults=0, findings=[])
                if open_one is None
                else orm.get_one(AuditRound, open_one.id)
            )
            row.begun_us = now
            orm.add(row)
            orm.flush()
            self._round = row.id
        self._found, self._looked_at = [], 0
        walk = Walk(
            self._database,
            LoggedCommitments(self._settings),
            self._settings.site,
            late_before_us=now - LATE_US,
        )
        self._steps = walk.run()
        return True

    def _end(self) -> None:
        now, attacks = self._clock.utc_us(), [f for f in self._found if f.fault.is_attack]
        with self._database.write() as orm:
            row = orm.get_one(AuditRound, self._round)
            row.ended_us, row.looked_at, row.faults = now, self._looked_at, len(attacks)
            row.findings = [item.to_json() for item in [*attacks, *self._others()][:KEPT]]
            _tell(orm, attacks, now)

    def _others(self) -> list[Finding]:
        return [item for item in self._found if not item.fault.is_attack]


def _tell(orm: Orm, attacks: Sequence[Finding], now_us: int) -> None:
    """Raise the alarm, anew if it is about something else than before; clear it if all is well."""
    present = open_alarm(orm, ALARM, SUBJECT)
    if not attacks:
        if present is not None:
            clear_alarm(orm, ALARM, SUBJECT, now_us)
        return
    said = [f"{subject_of(item)}: {detail_of(item)}" for item in attacks]
    more = f" And {len(said) - TOLD} more." if len(said) > TOLD else ""
    cause = "; ".join(said[:TOLD])[:400] + "." + more
    if present is not None and present.cause == cause:
        return
    if present is not None:
        clear_alarm(orm, ALARM, SUBJECT, now_us)
    log.error("the audit trail is not what was logged", extra={"facts": {"found": said[:TOLD]}})
    raise_alarm(orm, ALARM, SUBJECT, now_us, cause=cause)
    # What was found is committed to as well: whoever removes the finding leaves another.
    facts = {"findings": said[:KEPT], "count": len(said)}
    leave_audit_entry(orm, KEEP, "audit.differs", SUBJECT, now_us, allowed=False, facts=facts)
