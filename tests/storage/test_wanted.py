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
from bidwitness.storage.index.models import Camera, Room, Session, Stream
from bidwitness.storage.wanted import about_camera, camera_address
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import RoomKind, SessionState, StreamRole

MINUTE = 60_000_000


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
