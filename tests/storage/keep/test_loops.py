"""Cameras that are recorded for sessions only: what nobody wants goes, everything else stays."""

import random
from pathlib import Path

import pytest
from sqlalchemy import select
from support import factories
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import Shelf

from bidwitness.config import Settings, load_settings
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    AuditEntry,
    Camera,
    Claim,
    Garbage,
    Hold,
    Segment,
    Session,
    Stream,
)
from bidwitness.storage.keep.loops import REASON, ShortLoops
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.modes import SHORTEST_LOOP_US
from bidwitness.words import ClaimClass, RecordMode, RoomKind, SessionState

MINUTE = 60_000_000
NOW = 1_700_000_000_000_000
LOOP = SHORTEST_LOOP_US


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", lead_in_seconds=60, pre_roll_seconds=120)


@pytest.fixture
def shelf(index: Database, tmp_path: Path) -> Shelf:
    return Shelf(index, tmp_path / "spool")


def a_stream(shelf: Shelf, mode: RecordMode = RecordMode.SESSION, name: str = "评标室一") -> str:
    with shelf.index.write() as orm:
        room = factories.a_room(orm, name, sub=False)
        for camera in orm.scalars(select(Camera).where(Camera.room_id == room.id)):
            camera.mode, camera.mode_reason = mode, "业主单位书面要求"
        return factories.streams_of(orm, room)[0]


def marked(
    shelf: Shelf, settings: Settings, at_us: int, loops: ShortLoops | None = None
) -> set[int]:
    (loops or ShortLoops(shelf.index, FakeClock(at_us), settings)).mark()
    with shelf.index.read() as orm:
        gone = set(orm.scalars(select(Segment.id).where(Segment.removed_us.is_not(None))))
        assert gone == {row.segment_id for row in orm.scalars(select(Garbage))}
    return gone


def test_what_is_older_than_the_loop_goes_and_only_of_such_cameras(
    shelf: Shelf, settings: Settings
) -> None:
    mine, other = a_stream(shelf), a_stream(shelf, RecordMode.CONTINUOUS, "开标室一")
    old = shelf.segment(mine, NOW - LOOP - 2 * MINUTE)
    for stream, start in ((mine, NOW - LOOP - MINUTE + 1), (other, NOW - 9 * LOOP)):
        shelf.segment(stream, start)
    assert marked(shelf, settings, NOW) == {old.id}
    with shelf.index.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "footage.remove"))
        assert (entry.subject, entry.reason) == (f"stream:{mine}", REASON)


@pytest.mark.parametrize("seed", range(2))
def test_claims_and_holds_protect_whatever_they_touch(
    shelf: Shelf, settings: Settings, seed: int
) -> None:
    chance = random.Random(seed)
    stream = a_stream(shelf)
    rows = [shelf.segment(stream, NOW - LOOP - (300 - n) * MINUTE) for n in range(230)]
    covered: list[tuple[int, int]] = []
    with shelf.index.write() as orm:
        for number in range(5):
            start = NOW - LOOP - chance.randrange(300) * MINUTE + chance.randrange(MINUTE)
            end = start + chance.randrange(1, 40 * MINUTE)
            withdrawn = number == 4
            session = Session(kind="evaluation", state=SessionState.SEALED, condition="running")
            session.planned_from_us, session.planned_to_us = start, end
            session.created_us, session.created_by = 0, "test"
            orm.add(session)
            orm.flush()
            claim = Claim(session_id=session.id, stream_id=stream, from_us=start, to_us=end)
            # Linked ones may overlap.
            claim.klass, claim.made_us, claim.made_by = ClaimClass.LINKED, 0, "test"
            claim.withdrawn_us = 1 if withdrawn else None
            orm.add(claim)
            if not withdrawn:
                covered.append((start, end))
        start = NOW - LOOP - chance.randrange(300) * MINUTE
        hold = Hold(case_no="纪〔2026〕7", stream_id=stream, from_us=start, to_us=start + MINUTE)
        hold.reason, hold.placed_us, hold.placed_by = "test", 0, "test"
        orm.add(hold)
        covered.append((start, start + MINUTE))
    expected = {
        row.id for row in rows if not any(a < row.to_us and row.from_us < b for a, b in covered)
    }
    loops = ShortLoops(shelf.index, FakeClock(NOW), settings)
    assert marked(shelf, settings, NOW, loops) == expected
    assert loops.mark() == 0


def test_footage_waits_for_a_session_that_could_not_begin_yet(
    shelf: Shelf, settings: Settings
) -> None:
    stream = a_stream(shelf)
    clock = FakeClock(NOW)
    with shelf.index.write() as orm:
        camera = orm.get_one(Camera, orm.get_one(Stream, stream).camera_id)
        evaluation = factories.a_room(orm, "评标室二", RoomKind.EVALUATION)
        # The camera is of a place that is linked to the session's room.
        place = camera.room
        factories.link(orm, evaluation, place)
        booked = factories.booked(evaluation, NOW - 20 * MINUTE, NOW + 60 * MINUTE)
        session = factories.a_session(orm, clock, settings, booked).id
    # A minute of lead-in and two of pre-roll before its planned start.
    early = shelf.segment(stream, NOW - 24 * MINUTE)
    wanted = shelf.segment(stream, NOW - 23 * MINUTE + 1)
    assert marked(shelf, settings, NOW) == {early.id}
    with shelf.index.write() as orm:
        orm.get_one(Session, session).state = SessionState.CANCELLED
    assert marked(shelf, settings, NOW) == {early.id, wanted.id}


def test_nothing_is_stored_that_is_on_its_way_out(shelf: Shelf, settings: Settings) -> None:
    mine, other = a_stream(shelf), a_stream(shelf, RecordMode.CONTINUOUS, "开标室一")
    fresh, claimed, late = (shelf.segment(mine, NOW - n * MINUTE) for n in (4, 3, 400))
    usual = shelf.segment(other, NOW - 4 * MINUTE)
    with shelf.index.write() as orm:
        session = Session(kind="evaluation", state=SessionState.SEALED, condition="running")
        # Planned long ago: a claim of a session of late would go first anyway.
        session.planned_from_us = session.planned_to_us = session.created_us = 0
        session.created_by = "test"
        orm.add(session)
        orm.flush()
        claim = Claim(session_id=session.id, stream_id=mine, from_us=claimed.from_us + 1)
        claim.to_us, claim.klass = claimed.to_us, ClaimClass.OWN
        claim.made_us, claim.made_by = 0, "test"
        orm.add(claim)
    uploader = Uploader(shelf.index, MemoryStore(), shelf.spool, FakeClock(NOW), lambda: None)
    while uploader.upload_some():
        pass
    with shelf.index.read() as orm:
        stored = set(orm.scalars(select(Segment.id).where(Segment.stored_us.is_not(None))))
    assert stored == {claimed.id, late.id, usual.id}
    assert fresh.id not in stored
