import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.factories import (
    HOUR,
    MINUTE,
    PERSON,
    a_project,
    a_room,
    a_session,
    booked,
)

from bidwitness.config import load_settings
from bidwitness.errors import Conflict, InvalidInput
from bidwitness.storage.evidence.canonical import parse
from bidwitness.storage.evidence.records import check_record, session_genesis
from bidwitness.storage.evidence.session_records import PlanFacts
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Event, Outbox, Session, SessionRecord
from bidwitness.storage.sessions.create import create_session
from bidwitness.storage.sessions.plan import NewBooking, NewItem, NewSession
from bidwitness.words import BookingRole, RoomKind, SessionKind, SessionState

SETTINGS = load_settings()


def test_a_planned_session_leaves_plan_event_and_audit(index: Database) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    with index.write() as orm:
        room, other = a_room(orm), a_room(orm, "询标室", RoomKind.CLARIFICATION)
        a_project(orm, clock, "P-1", "1", "2")
        session = a_session(
            orm,
            clock,
            SETTINGS,
            booked(room, now + HOUR, now + 3 * HOUR),
            booked(other, now + 2 * HOUR, now + 4 * HOUR, role=BookingRole.SUB),
            lot="2",
        )
    assert session.state == SessionState.SCHEDULED
    assert (session.planned_from_us, session.planned_to_us) == (now + HOUR, now + 4 * HOUR)
    with index.read() as orm:
        record = orm.scalars(select(SessionRecord)).one()
        facts = check_record(parse(record.body.encode()))
        assert isinstance(facts, PlanFacts)
        assert facts.place.prev == session_genesis(session.id)
        assert [(i.project, i.lot) for i in facts.items] == [("P-1", "2")]
        assert [b.room for b in facts.bookings] == [room.id, other.id]
        assert facts.by is None, "a name that is no record name is left out"
        kinds = orm.scalars(select(Outbox.kind)).all()
        assert sorted(kinds) == ["audit", "audit", "session"]
        assert orm.scalars(select(Event.kind)).all() == ["session.planned"]
        assert "session.create" in orm.scalars(select(AuditEntry.action)).all()


def refused(index: Database, new: NewSession) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught, index.write() as orm:
        create_session(orm, FakeClock(), SETTINGS, PERSON, new)
    with index.read() as orm:
        assert orm.scalars(select(Session)).all() == []
    return caught.value.fields


def test_every_wrong_field_is_named(index: Database) -> None:
    now = FakeClock().utc_us()
    with index.write() as orm:
        room = a_room(orm, seats=["1"])
        rest = a_room(orm, "休息室", RoomKind.REST, cameras=0)
        far = a_room(orm, "外地评标室", site="site-2")
        a_project(orm, FakeClock(), "P-1", "1", "2")
    right = booked(room, now, now + HOUR)
    item = NewItem("P-1", "1")

    def fields(*bookings: NewBooking, items: tuple[NewItem, ...] = (item,)) -> dict[str, str]:
        return refused(index, NewSession(items, SessionKind.OPENING, bookings))

    assert set(fields()) == {"bookings"}
    assert set(fields(right, items=())) == {"items"}
    assert set(fields(right, items=(item, item))) == {"items.1.lot_code"}
    assert set(fields(right, items=(NewItem("P-9"),))) == {"items.0.project_code"}
    assert set(fields(right, items=(NewItem("P-1", "1", 9, 9),))) == {"items.0.to"}
    assert set(fields(NewBooking("nowhere", now, now + 1))) == {"bookings.0.room_id"}
    assert set(fields(booked(rest, now, now + HOUR))) == {"bookings.0.room_id"}
    assert set(fields(booked(room, now + HOUR, now + HOUR))) == {"bookings.0.to"}
    assert set(fields(booked(room, now, now + HOUR, seats=["x"]))) == {"bookings.0.seat_ids"}
    assert set(fields(booked(room, -1, 2**60))) == {"bookings.0.from", "bookings.0.to"}
    assert set(fields(booked(room, now - 9000 * HOUR, now + HOUR))) == {"bookings.0.from"}
    assert set(fields(right, right)) == {"bookings.1.from"}
    assert set(fields(right, booked(far, now, now + HOUR))) == {"bookings"}
    assert "passed" in fields(booked(room, now - HOUR, now))["bookings"]
    classified = NewSession((item,), SessionKind.OPENING, (right,), classified=True)
    assert set(refused(index, classified)) == {"classified"}


def test_a_room_is_booked_once_at_a_time(index: Database) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    with index.write() as orm:
        room, other = a_room(orm), a_room(orm, "评标室二")
        first = a_session(orm, clock, SETTINGS, booked(room, now, now + HOUR))
    with pytest.raises(Conflict, match=first.id) as caught, index.write() as orm:
        a_session(
            orm,
            clock,
            SETTINGS,
            booked(other, now, now + HOUR),
            booked(room, now + HOUR - 1, now + 2 * HOUR, role=BookingRole.SUB),
        )
    assert "bookings.1.room_id" in caught.value.fields
    with index.write() as orm:  # back to back, and elsewhere at the same time
        a_session(orm, clock, SETTINGS, booked(room, now + HOUR, now + 2 * HOUR))
        a_session(orm, clock, SETTINGS, booked(other, now, now + HOUR))


def test_disjoint_seats_of_a_room_are_free_for_each_other(index: Database) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    with index.write() as orm:
        room = a_room(orm, seats=["1", "2", "3"])
        orm.refresh(room)
        seats = {c.name[-1]: c.streams[0].seat_id for c in room.cameras if c.streams[0].seat_id}
        one, two, three = (str(seats[n]) for n in "123")
        a_session(orm, clock, SETTINGS, booked(room, now, now + HOUR, seats=[one, two]))
        a_session(orm, clock, SETTINGS, booked(room, now, now + HOUR, seats=[three]))
    for taken in ([two], [], [three, two]):
        with pytest.raises(Conflict), index.write() as orm:
            a_session(orm, clock, SETTINGS, booked(room, now, now + MINUTE, seats=taken))
