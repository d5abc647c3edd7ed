"""What a decision about a sight is told, read from both databases."""

import pytest
from support.clock import START_US, FakeClock
from support.factories import HOUR, MINUTE, PERSON, a_room, a_session, booked, streams_of

from bidwitness.config import load_settings
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Grant, Item, Lot, Session, User, UserRole
from bidwitness.storage.sessions.commands import SessionCommands
from bidwitness.storage.sights import StreamView, person_of, stream_view
from bidwitness.words import (
    Action,
    ClaimClass,
    GrantKind,
    LotPhase,
    Medium,
    Role,
    RoomKind,
    SessionState,
)

VENUE = frozenset({Role.VENUE})


class Place:
    """A room in which one session records from the start, and another is planned."""

    def __init__(self, index: Database) -> None:
        self.index = index
        self.clock = FakeClock()
        settings = load_settings()
        with index.write() as orm:
            room = a_room(orm, kind=RoomKind.CLARIFICATION)
            self.stream = streams_of(orm, room)[0]
            now = self.clock.utc_us()
            self.running = a_session(
                orm, self.clock, settings, booked(room, now, now + HOUR), project="P-1"
            ).id
            self.planned = a_session(
                orm, self.clock, settings, booked(room, now + HOUR, now + 2 * HOUR), project="P-2"
            ).id
            SessionCommands(orm, self.clock, settings, PERSON, VENUE).start(self.running)

    def view(self, from_us: int, to_us: int | None) -> StreamView:
        with self.index.read() as orm:
            return stream_view(orm, self.stream, START_US + from_us, to_us and START_US + to_us)


def test_claims_and_bookings_that_share_an_instant(index: Database) -> None:
    place = Place(index)
    view = place.view(0, HOUR)
    assert (view.room, view.room_kind) == ("评标室一", RoomKind.CLARIFICATION)
    assert view.media == (Medium.PICTURE, Medium.SOUND)
    found = {(c.session_id, c.klass) for c in view.concerns}
    assert found == {(place.running, ClaimClass.OWN), (place.running, None)}
    later = place.view(HOUR + MINUTE, None)
    assert {(c.session_id, c.klass) for c in later.concerns} == {
        (place.running, ClaimClass.OWN),
        (place.planned, None),
    }
    before = place.view(-HOUR, 0)
    assert before.concerns == ()


def test_a_cancelled_or_ended_booking_counts_no_more(index: Database) -> None:
    place = Place(index)
    with index.write() as orm:
        orm.get_one(Session, place.planned).state = SessionState.CANCELLED
        orm.get_one(Session, place.running).ended_us = START_US + 10 * MINUTE
    assert {c.session_id for c in place.view(HOUR, None).concerns} == {place.running}
    bookings = [c for c in place.view(0, None).concerns if c.klass is None]
    assert [c.interval.end for c in bookings] == [START_US + 10 * MINUTE]


def test_the_phase_is_that_of_the_lots_dealt_with_then(index: Database) -> None:
    place = Place(index)
    with index.write() as orm:
        item = orm.query(Item).filter_by(session_id=place.running).one()
        orm.get_one(Lot, item.lot_id).phase = LotPhase.EVALUATED
    view = place.view(0, MINUTE)
    context = view.context(Interval(START_US, START_US + MINUTE))
    assert {phase for p in context.presences for phase in p.phases} == {LotPhase.EVALUATED}


def test_a_person_with_her_grants(index: Database) -> None:
    place = Place(index)
    with index.write() as orm:
        user = User(
            username="u",
            name="u",
            password_hash="x",
            created_us=0,
            roles=[UserRole(role=Role.AUDITOR)],
        )
        orm.add(user)
        orm.flush()
        for session, revoked in ((place.running, None), (place.planned, 5), (None, None)):
            orm.add(
                Grant(
                    kind=GrantKind.REQUEST,
                    user_id=user.id,
                    session_id=session,
                    from_us=START_US if session == place.running else None,
                    media=["picture"],
                    actions=["replay", "copy"],
                    reason="r",
                    made_us=0,
                    made_by="t",
                    revoked_us=revoked,
                )
            )
    with index.read() as orm:
        person = person_of(orm, user.id, START_US)
    assert person.roles == {Role.AUDITOR}
    grants = {grant.session_id: grant for grant in person.grants}
    assert set(grants) == {place.running, place.planned}
    assert grants[place.running].actions == {Action.REPLAY, Action.COPY}
    assert grants[place.running].interval is not None
    assert grants[place.running].interval.start == START_US
    assert grants[place.planned].revoked
    with index.write() as orm:
        orm.get_one(User, user.id).disabled = True
    with index.read() as orm:
        assert person_of(orm, user.id, START_US).roles == frozenset()


def test_what_is_not_there(index: Database) -> None:
    with index.read() as orm:
        with pytest.raises(NotFound):
            stream_view(orm, "nosuch", 0, None)
        with pytest.raises(NotFound):
            person_of(orm, "nosuch", START_US)
