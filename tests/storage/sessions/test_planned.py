"""A planned session of which no record says what became of it is named."""

import pytest
from sqlalchemy import update
from support.factories import HOUR
from support.session_desk import Desk

from bidwitness.storage.check.ledger import check_ledger
from bidwitness.storage.check.problems import Fault
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Session
from bidwitness.storage.sessions.planned import ALARM, GRACE_US, PlanMonitor
from bidwitness.words import SessionState


@pytest.fixture
def desk(index: Database) -> Desk:
    return Desk(index)


def problems(desk: Desk) -> list[tuple[Fault, str]]:
    found = check_ledger(desk.index, desk.settings, desk.now, late_us=365 * 24 * HOUR)
    return [(problem.fault, problem.subject) for problem in found if problem is not None]


def test_opened_cancelled_and_future_sessions_are_no_problem(desk: Desk) -> None:
    monitor = PlanMonitor(desk.index, desk.clock)
    sessions = [desk.started(desk.one), desk.plan(desk.book(desk.two, after=HOUR, hours=2))]
    cancelled = desk.plan(desk.book(desk.two, after=24 * HOUR))
    desk.do(lambda c: c.cancel(cancelled, "the project was withdrawn"))
    monitor.watch()
    desk.tick(3600)
    desk.clock.advance(GRACE_US)
    monitor.watch()
    assert [desk.alarm(ALARM, session) for session in (*sessions, cancelled)] == [None] * 3
    assert problems(desk) == []


def test_one_that_was_to_be_forgotten_is_named(desk: Desk) -> None:
    """Whoever holds the index says that it never was to be, or later; its plan says otherwise."""
    session = desk.plan(desk.book(desk.one, after=HOUR))
    later = desk.now + 365 * 24 * HOUR
    changes = {"planned_from_us": later, "planned_to_us": later, "state": SessionState.CANCELLED}
    with desk.index.write() as orm:
        orm.execute(update(Session).where(Session.id == session).values(changes))
    monitor = PlanMonitor(desk.index, desk.clock)
    desk.clock.advance(HOUR + GRACE_US - 1)
    monitor.watch()
    assert desk.alarm(ALARM, session) is None
    desk.clock.advance(1)
    monitor.watch()
    monitor.watch()
    assert "neither opened nor cancelled" in str(desk.alarm(ALARM, session))
    assert problems(desk) == [(Fault.MISSING, f"session {session}")]
    with desk.index.write() as orm:
        back = {"planned_from_us": desk.now, "planned_to_us": desk.now + HOUR}
        values = {**back, "state": SessionState.SCHEDULED}
        orm.execute(update(Session).where(Session.id == session).values(values))
    desk.do(lambda c: c.cancel(session, "as it should have been"))
    monitor.watch()
    assert desk.alarm(ALARM, session) is None
    assert problems(desk) == []
