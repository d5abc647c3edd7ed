"""What time does to sessions: seen at the clock's ticks, with nobody giving commands."""

import pytest
from sqlalchemy import event, func, select
from support.factories import HOUR, MINUTE, SECOND, a_camera, a_room, booked, link, streams_of
from support.session_desk import Desk

from bidwitness.storage.evidence.session_records import OpenFacts
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Camera, Claim, Event, Room, Stream
from bidwitness.words import ClaimClass, Outcome, RoomKind, SessionState, StreamRole


@pytest.fixture
def desk(index: Database) -> Desk:
    return Desk(index)


def test_a_session_starts_by_itself_at_its_planned_instant(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one, after=MINUTE))
    planned = desk.now + MINUTE
    desk.tick(59)
    assert desk.session(session).state == SessionState.SCHEDULED
    desk.tick(1.7)
    row = desk.session(session)
    assert (row.state, row.started_us) == (SessionState.RECORDING, planned)
    assert desk.spans(session) == {(planned, None)}
    opened = [f for f in desk.facts(session) if isinstance(f, OpenFacts)]
    assert [(f.started, f.by, f.place.at) for f in opened] == [(planned, None, desk.now)]
    with desk.index.read() as orm:
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "session.start")).one()
        assert (entry.who, entry.user_id) == ("keep", None)


def test_ticking_again_changes_nothing(desk: Desk) -> None:
    desk.plan(desk.book(desk.one))
    desk.tick()

    def rows() -> tuple[int, ...]:
        with desk.index.read() as orm:
            kinds = (Claim, Event, AuditEntry)
            return tuple(orm.scalar(select(func.count()).select_from(k)) or 0 for k in kinds)

    before = rows()
    for _ in range(3):
        desk.tick(1)
    assert rows() == before


def test_back_to_back_sessions_share_the_instant_exactly(desk: Desk) -> None:
    first = desk.plan(desk.book(desk.one))
    second = desk.plan(desk.book(desk.one, after=HOUR))
    desk.tick()
    desk.tick(3600 + 2.5)
    assert desk.session(second).state == SessionState.SCHEDULED
    assert first in str(desk.alarm("overlap", second)), "it waits and says for whom"
    desk.clock.sleep(0.3)
    desk.do(lambda c: c.end(first, Outcome.COMPLETED))
    ended = desk.now
    desk.tick(0.7)
    assert desk.session(second).started_us == ended
    assert {end for _, end in desk.spans(first)} == {ended}
    assert desk.spans(second) == {(ended, None)}
    assert desk.alarm("overlap", second) is None


def test_who_waits_may_take_over(desk: Desk) -> None:
    first = desk.plan(desk.book(desk.one))
    second = desk.plan(desk.book(desk.one, after=HOUR), desk.book(desk.two, after=HOUR))
    desk.tick()
    desk.tick(3700)
    assert desk.claims(second) == [], "it waits as a whole"
    desk.do(lambda c: c.start(second, takes_over=first))
    assert desk.session(first).state == SessionState.ENDED
    by_room = {s: start for s, start, _, _ in desk.claims(second)}
    assert {by_room[s] for s in desk.streams[desk.one.id]} == {desk.now}
    planned = desk.session(second).planned_from_us
    assert {by_room[s] for s in desk.streams[desk.two.id]} == {planned}, "as nobody was there"


def test_a_session_planned_too_late_claims_back_to_its_due_start(desk: Desk) -> None:
    desk.clock.sleep(600)
    planned = desk.now - 10 * MINUTE
    session = desk.plan(booked(desk.one, planned, planned + HOUR))
    created = desk.now
    desk.tick(1)
    assert desk.session(session).started_us == created
    assert desk.spans(session) == {(planned, None)}


def test_a_clockwork_that_was_away_starts_sessions_when_they_did(desk: Desk) -> None:
    first = desk.plan(desk.book(desk.one))
    began = desk.now
    desk.tick()
    second = desk.plan(desk.book(desk.one, after=HOUR))
    desk.clock.sleep(3600 + 60)
    desk.do(lambda c: c.end(first, Outcome.COMPLETED))
    desk.tick(1800)
    assert desk.session(second).started_us == began + HOUR + MINUTE


def test_an_overrun_is_said_once_and_never_ends_a_session(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one))
    desk.tick()
    desk.tick(3600)
    assert "planned end" in str(desk.alarm("overrun", session))
    desk.tick(12 * 3600)
    assert desk.session(session).state == SessionState.RECORDING
    desk.do(lambda c: c.extend(session, desk.now + HOUR))
    assert desk.alarm("overrun", session) is None
    desk.tick(1)
    assert desk.alarm("overrun", session) is None
    desk.tick(3600)
    assert desk.alarm("overrun", session) is not None


def test_a_room_booked_for_later_is_claimed_when_its_time_comes(desk: Desk) -> None:
    later = desk.now + HOUR
    session = desk.plan(desk.book(desk.one), desk.book(desk.two, after=HOUR))
    desk.tick()
    assert {s for s, *_ in desk.claims(session)} == set(desk.streams[desk.one.id])
    desk.tick(3599)
    assert len(desk.claims(session)) == 4
    desk.tick(2)
    starts = {s: start for s, start, _, _ in desk.claims(session)}
    assert {starts[s] for s in desk.streams[desk.two.id]} == {later}


def test_a_later_room_that_is_taken_is_claimed_once_it_is_free(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one), desk.book(desk.two, after=2 * HOUR))
    other = desk.plan(desk.book(desk.two))
    desk.tick()
    desk.tick(2 * 3600 + 60)
    assert other in str(desk.alarm("overlap", session))
    desk.do(lambda c: c.end(other, Outcome.COMPLETED))
    ended = desk.now
    desk.tick(5)
    starts = {s: start for s, start, _, _ in desk.claims(session)}
    assert {starts[s] for s in desk.streams[desk.two.id]} == {ended}
    assert desk.alarm("overlap", session) is None


def test_a_camera_that_comes_later_is_claimed_from_then(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one))
    began = desk.now
    desk.tick()
    desk.clock.sleep(600)
    with desk.index.write() as orm:
        room = orm.get_one(Room, desk.one.id)
        a_camera(orm, room, "新装", created_us=desk.now)
    came = desk.now
    desk.tick(0.8)
    assert len(desk.claims(session)) == 6
    assert desk.spans(session) == {(began, None), (came, None)}
    with desk.index.write() as orm:
        old = orm.scalars(select(Camera).where(Camera.name == "评标室一-1")).one()
        gate = a_room(orm, "入口", RoomKind.CORRIDOR)
        link(orm, desk.one, gate)
        gates = streams_of(orm, gate)
        old.enabled = False
    desk.tick(30)
    linked = [c for c in desk.claims(session) if c[3] == ClaimClass.LINKED]
    assert sorted(c[0] for c in linked) == sorted(gates)
    assert len(desk.claims(session)) == 8, "a camera that is switched off keeps its claim"


def test_one_session_that_cannot_start_does_not_hold_up_the_others(desk: Desk) -> None:
    bad = desk.plan(desk.book(desk.one))
    good = desk.plan(desk.book(desk.two, after=SECOND))
    with desk.index.write() as orm:
        # A stream that no record can name, as after a hand in the database.
        camera = a_camera(orm, orm.get_one(Room, desk.one.id), "坏机", sub=False)
        orm.add(Stream(id="坏", camera_id=camera.id, role=StreamRole.SUB, address="rtsp://x/y"))
    desk.tick(1)
    assert desk.session(bad).state == SessionState.SCHEDULED
    assert desk.session(good).state == SessionState.RECORDING


def test_a_quiet_tick_asks_little_and_writes_nothing(desk: Desk) -> None:
    for room in (desk.one, desk.two):
        desk.plan(desk.book(room), desk.book(room, after=HOUR))
    desk.plan(desk.book(desk.one, after=30 * HOUR))
    desk.tick()
    asked: list[str] = []
    engine = desk.index.engine
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    desk.tick(1)
    statements = [text for text in asked if not text.startswith("BEGIN")]
    assert len(statements) <= 4
    assert all(text.startswith("SELECT") for text in statements)
