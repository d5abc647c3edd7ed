"""What the recorder is told to pull."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support import factories
from support.clock import FakeClock

from bidwitness.config import load_settings
from bidwitness.errors import DamageFound
from bidwitness.secrets import SecretBox
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Camera,
    Claim,
    ClassifiedInterval,
    Room,
    Session,
    Stream,
)
from bidwitness.storage.wanted import about_camera, camera_address
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import ClaimClass, RoomKind, SessionState, StreamRole

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def test_main_and_sub_are_pulled_and_sound_once(index: Database) -> None:
    with index.write() as orm:
        factories.a_room(orm, cameras=2)
        factories.a_room(orm, "rest", RoomKind.OPENING, cameras=1)
        orm.scalars(select(Room).where(Room.name == "rest")).one().kind = RoomKind.REST
    with index.read() as orm:
        wanted = wanted_streams(orm, 0)
    assert len(wanted) == 4 and {w.room for w in wanted} == {"评标室一"}
    assert all(w.record_sound is (w.role is StreamRole.MAIN) for w in wanted)


def test_what_is_off_or_gone_is_not_pulled(index: Database) -> None:
    with index.write() as orm:
        factories.a_room(orm, cameras=3)
        first, second, third = orm.scalars(select(Camera).order_by(Camera.name))
        first.enabled = False
        second.removed_us = 1
        main = orm.scalars(
            select(Stream).where(Stream.camera_id == third.id, Stream.role == StreamRole.MAIN)
        ).one()
        main.enabled = False
    with index.read() as orm:
        (only,) = wanted_streams(orm, 0)
    # A camera whose main is off is heard through its sub-stream.
    assert (only.camera_id, only.role, only.record_sound) == (third.id, StreamRole.SUB, True)


def test_cuts_stand_where_footage_changes_hands(index: Database, tmp_path: Path) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    settings = load_settings(data=tmp_path)
    with index.write() as orm:
        room = factories.a_room(orm)
        soon = factories.booked(room, now + 5 * MINUTE, now + 60 * MINUTE)
        late = factories.booked(room, now + 90 * MINUTE, now + 99 * MINUTE)
        session = factories.a_session(orm, clock, settings, soon).id
        factories.a_session(orm, clock, settings, late)
    with index.read() as orm:
        assert {w.cuts for w in wanted_streams(orm, now)} == {(now + 5 * MINUTE,)}
        assert {w.cuts for w in wanted_streams(orm, now - 60 * MINUTE)} == {()}
    with index.write() as orm:
        orm.get_one(Session, session).state = SessionState.CANCELLED
    with index.read() as orm:
        assert {w.cuts for w in wanted_streams(orm, now)} == {()}


def test_what_was_approved_as_classified_is_told_to_the_rooms_streams(
    index: Database, tmp_path: Path
) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    with index.write() as orm:
        room, other = factories.a_room(orm), factories.a_room(orm, "开标室一", RoomKind.OPENING)
        booked = factories.booked(room, now + MINUTE, now + 60 * MINUTE)
        session = factories.a_session(orm, clock, load_settings(data=tmp_path), booked)
        times = [(now + MINUTE, now + 90 * MINUTE), (now - 25 * HOUR, now - 24 * HOUR)]
        for start, end in [*times, (now + 5 * MINUTE, now + 5 * MINUTE)]:
            orm.add(
                ClassifiedInterval(
                    session_id=session.id,
                    room_id=room.id,
                    from_us=start,
                    to_us=end,
                    register_no="涉密〔2026〕3",
                )
            )
    with index.read() as orm:
        told = {w.room: w.classified for w in wanted_streams(orm, now)}
        before = {w.room: w.classified for w in wanted_streams(orm, now - HOUR)}
    # Beforehand, so that it holds without an index too; what is long over is not told any more.
    assert told == {room.name: (times[0],), other.name: ()}
    assert before[room.name] == (times[1], times[0])


def test_what_a_session_has_or_is_about_to_have_comes_first(
    index: Database, tmp_path: Path
) -> None:
    clock = FakeClock()
    now = clock.utc_us()
    with index.write() as orm:
        room, place = factories.a_room(orm), factories.a_room(orm, "通道", RoomKind.CORRIDOR)
        factories.link(orm, room, place)
        factories.a_room(orm, "开标室一", RoomKind.OPENING)
        booked = factories.booked(room, now + 30 * MINUTE, now + 60 * MINUTE)
        session = factories.a_session(orm, clock, load_settings(data=tmp_path), booked).id

    def first(at_us: int) -> set[str]:
        with index.read() as orm:
            return {w.room for w in wanted_streams(orm, at_us) if w.in_session}

    assert first(now) == first(now + 60 * MINUTE) == set()
    assert first(now + 20 * MINUTE) == {room.name, place.name}
    with index.write() as orm:
        orm.get_one(Session, session).state = SessionState.RECORDING
        stream = factories.streams_of(orm, room)[0]
        claim = Claim(session_id=session, stream_id=stream, from_us=now, klass=ClaimClass.OWN)
        claim.made_us, claim.made_by = now, "test"
        orm.add(claim)
    # Past its planned end a session records on.
    assert first(now + 90 * MINUTE) == {room.name}
    with index.write() as orm:
        orm.get_one(Session, session).state = SessionState.CANCELLED
    assert first(now + 30 * MINUTE) == set()


def test_an_address_with_its_login(index: Database, tmp_path: Path) -> None:
    box = SecretBox(tmp_path / "key")
    with index.write() as orm:
        factories.a_room(orm)
        camera = orm.scalars(select(Camera)).one()
        camera.username = "op"
        camera.secret = box.seal("p@ss", about_camera(camera.id))
        for stream in orm.scalars(select(Stream)):
            stream.address = "rtsp://192.0.2.7:554/x"
    with index.read() as orm:
        wanted = wanted_streams(orm, 0)[0]
    address = camera_address(wanted, box)
    assert (address.username, address.password, address.host) == ("op", "p@ss", "192.0.2.7")
    assert "p@ss" not in repr((wanted, address))
    other = SecretBox(tmp_path / "other")
    other.seal("", "")
    with pytest.raises(DamageFound, match=wanted.camera_id):
        camera_address(wanted, other)
