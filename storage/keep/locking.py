"""What lock the objects of a stream must have, decided from the index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.intervals import Interval
from bidwitness.locking import UNLOCKED, Lock, Needed, Plan, plan_lock
from bidwitness.periods import DAY_US
from bidwitness.storage.index.claims import FOREVER
from bidwitness.storage.index.models import Hold, Session
from bidwitness.storage.index.models.footage import Locked
from bidwitness.storage.index.protection import claims_of, holds_of
from bidwitness.storage.periods import loop_us_of, periods_of, policies_of
from bidwitness.words import Outcome, SessionState

_SETTLED = frozenset({SessionState.SEALED, SessionState.ARCHIVED, SessionState.TRANSFERRED})
_KEPT = frozenset(SessionState) - {SessionState.DISPOSED}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = Plan(UNLOCKED, None)


@dataclass(frozen=True, slots=True)
class Thing:
    """What a stored object shows, and the lock it has."""

    span: Interval
    lock: Lock = UNLOCKED


class LockPlanner:
    """Plans locks. ``able`` says whether the store has any; if not, nothing is planned."""

    def __init__(self, settings: Settings, able: Callable[[], bool]) -> None:
        self._settings = settings
        self.able = able

    def plan(self, orm: Orm, stream_id: str, things: Sequence[Thing], now_us: int) -> list[Plan]:
        """Give the plan of each, in order."""
        if not things or not self.able():
            return [NOTHING for _ in things]
        start = min(thing.span.start for thing in things)
        end = max(thing.span.end for thing in things)
        policies = policies_of(orm)
        loop_us = loop_us_of(orm, stream_id, policies, self._settings)
        claims = [claim for claim, _ in claims_of(orm, stream_id, start, end)]
        sessions = {claim.session_id for claim in claims}
        periods = periods_of(orm, sessions, policies)
        settled = _settled(orm, sessions)
        needs = [
            (
                _span(claim.from_us, claim.to_us),
                Needed(periods[claim.session_id], claim.session_id in settled),
            )
            for claim in claims
        ]
        holds = [_span(first, last) for _, first, last in holds_of(orm, stream_id, start, end)]
        return [
            plan_lock(
                thing.lock,
                thing.span.end + loop_us,
                [need for span, need in needs if span.overlaps(thing.span)],
                any(span.overlaps(thing.span) for span in holds),
                now_us,
            )
            for thing in things
        ]

    def plan_session(
        self, orm: Orm, session_id: str, present: Sequence[Lock], now_us: int
    ) -> list[Plan]:
        """Give the plan of each file about a session: it stays as long as what the session claims."""
        if not present or not self.able():
            return [NOTHING for _ in present]
        needs: list[Needed] = []
        if orm.scalar(select(Session.state).where(Session.id == session_id)) in _KEPT:
            period = periods_of(orm, {session_id}, policies_of(orm))[session_id]
            needs.append(Needed(period, session_id in _settled(orm, {session_id})))
        held = orm.scalar(
            select(Hold.id)
            .where(Hold.session_id == session_id, Hold.released_us.is_(None))
            .limit(1)
        )
        return [plan_lock(lock, 0, needs, held is not None, now_us) for lock in present]


def note_lock(row: Locked, plan: Plan, now_us: int) -> None:
    """Say in a row what lock its new version began with, and when it must be looked at again."""
    if plan.lock == UNLOCKED and plan.look_us is None:
        return
    row.lock_until_us = plan.lock.until_us
    row.lock_hold_us = now_us if plan.lock.held else None
    row.lock_checked_us = now_us
    if row.lock_due_us is None:  # else what it hangs on has changed since
        row.lock_due_us = plan.look_us


def day_span(day: int) -> Interval:
    """Give a UTC day, written as ``20261122``."""
    begins = datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC)
    start = (begins - _EPOCH) // timedelta(microseconds=1)
    return Interval(start, start + DAY_US)


def _settled(orm: Orm, sessions: set[str]) -> set[str]:
    """Give the sessions whose footage is certainly theirs: sealed, and not made by mistake."""
    query = select(Session.id, Session.state, Session.outcome).where(Session.id.in_(sessions))
    return {
        session
        for session, state, outcome in orm.execute(query)
        if state in _SETTLED and outcome is not Outcome.MISTAKEN
    }


def _span(from_us: int, to_us: int | None) -> Interval:
    return Interval(from_us, max(FOREVER if to_us is None else to_us, from_us + 1))
