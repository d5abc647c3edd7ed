"""Plan a session."""

from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.session import refuse_classified
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Event, Session
from bidwitness.storage.sessions.chain import append_plan
from bidwitness.storage.sessions.plan import (
    NewSession,
    booking_row,
    check_bookings,
    check_rooms_free,
    planned_items,
    set_planned_times,
)
from bidwitness.words import Condition, SessionState

# What the platform itself reports, as against a door or a trading system.
SOURCE = "bidwitness"


def create_session(
    orm: Orm, clock: Clock, settings: Settings, who: Who, new: NewSession
) -> Session:
    """Plan a session, with its items, bookings and ``plan`` record. Call inside ``Database.write``.

    The planned start may lie in the past: the session then claims back to it when it starts.
    Raises ``InvalidInput`` naming each wrong field, ``Conflict`` naming the session that has
    booked the room in that time.
    """
    refuse_classified(new.classified)
    now = clock.utc_us()
    items = planned_items(orm, new.items)
    check_bookings(orm, new.bookings, now)
    check_rooms_free(orm, new.bookings)
    session = Session(
        kind=new.kind,
        state=SessionState.SCHEDULED,
        condition=Condition.RUNNING,
        created_us=now,
        created_by=who.name,
        items=items,
        bookings=[booking_row(booking) for booking in new.bookings],
        claims=[],
    )
    set_planned_times(session)
    orm.add(session)
    orm.flush()
    append_plan(orm, settings, session, now, who)
    note(orm, session, "planned", now)
    leave_audit_entry(orm, who, "session.create", f"session:{session.id}", now)
    return session


def note(
    orm: Orm,
    session: Session,
    what: str,
    at_us: int,
    *,
    text: str | None = None,
    facts: dict[str, object] | None = None,
) -> None:
    """Add the event ``session.{what}``: what happened to the session itself."""
    orm.add(
        Event(
            session_id=session.id,
            at_us=at_us,
            kind=f"session.{what}",
            text=text,
            facts=facts,
            source=SOURCE,
        )
    )
