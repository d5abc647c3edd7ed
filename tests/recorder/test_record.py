"""``record`` beside its workers: what it writes down when index, disk or clock misbehave."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.clock import FakeClock
from support.database import PostgresServer, open_postgres
from support.desk import STREAM, Desk, Left
from support.factories import a_camera, a_room
from support.fake_source import START_US, FakeCamera

from bidwitness.config import Settings
from bidwitness.recorder.packets import Packet
from bidwitness.recorder.record import Bookkeeper
from bidwitness.recorder.status import STATUS_FILE, StreamState
from bidwitness.recorder.supervisor import RecorderSupervisor
from bidwitness.recorder.wanted_copy import load_wanted, save_wanted
from bidwitness.storage.check.index import check_index
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.models import (
    Alarm,
    Event,
    Record,
    Segment,
    Stream,
    StreamStatus,
    Track,
)
from bidwitness.words import Health

SECOND = 1_000_000
HOUR_S = 3600
# Few pictures, so that an hour of them is made in seconds.
FPS = 2
STATE = StreamState(STREAM, Health.OK, None, 0)


class _Supervised(RecorderSupervisor):
    """Says how its one stream is; has no workers."""

    def states(self) -> list[StreamState]:
        return [STATE]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def settings_on(data: Path) -> Settings:
    return Settings(data=data, epoch_seconds=60)


def with_stream(database: Database) -> Database:
    """Give the index, made and with the stream of the desk in it."""
    upgrade(database)
    with database.write() as orm:
        camera = a_camera(orm, a_room(orm, cameras=0), "cam1", sub=False)
        (row,) = orm.scalars(select(Stream).where(Stream.camera_id == camera.id))
        for track in orm.scalars(select(Track)):
            orm.delete(track)
        orm.flush()
        row.id = STREAM
    return database


def bookkeeper(settings: Settings, database: Database, clock: FakeClock) -> Bookkeeper:
    supervisor = _Supervised(lambda: (), (), settings.data / "wanted.json", clock)
    return Bookkeeper(settings, database, supervisor, clock)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/index.db")
    try:
        yield with_stream(database)
    finally:
        database.close()


def an_hour() -> Iterator[list[Packet]]:
    """An hour of pictures, minute by minute."""
    clip = FakeCamera(seconds=10, sound=None).packets()[: 10 * FPS]
    step = 90_000 // FPS
    for minute in range(HOUR_S // 60):
        packets = []
        for number in range(minute * 60 * FPS, (minute + 1) * 60 * FPS):
            stamp = 1_000_000 + number * step
            arrived = START_US + number * SECOND // FPS
            seen = clip[number % len(clip)]
            packets.append(replace(seen, pts=stamp, dts=stamp, duration=step, arrived_us=arrived))
        yield packets


def test_an_hour_without_the_index_is_made_up_for(tmp_path: Path) -> None:
    settings = settings_on(tmp_path)
    with open_postgres() as server:
        database = open_database(server.url)
        try:
            with_stream(database)
            _an_hour_without(server, database, settings)
        finally:
            database.close()


def _an_hour_without(server: PostgresServer, database: Database, settings: Settings) -> None:
    desk = Desk.on(settings.spool)
    books = bookkeeper(settings, database, desk.clock)
    segmenter = desk.segmenter(FakeCamera(sound=None).tracks, segment_s=60, sound_wanted=False)
    assert books._once()
    server.stop()
    for packets in an_hour():
        desk.play(segmenter, packets, every_us=10 * SECOND)
        assert not books._once()
    desk.finish(segmenter)
    # Meanwhile nothing was lost, and this host's others could read how things are.
    assert (settings.run_dir / STATUS_FILE).is_file()
    left = Left(settings.spool)
    assert len(left.segments) >= 59 and left.gaps == []
    server.start()
    begun = time.monotonic()
    assert books._once()
    assert time.monotonic() - begun < 30
    with database.read() as orm:
        rows = orm.scalars(select(Record.leaf).order_by(Record.day, Record.seq)).all()
        spans = orm.execute(select(Segment.from_us, Segment.to_us).order_by(Segment.from_us)).all()
        status = orm.get(StreamStatus, STREAM)
    assert list(rows) == [line.leaf for line in left.entries]
    assert all(before.to_us == after.from_us for before, after in pairwise(spans))
    assert spans[-1].to_us - spans[0].from_us == HOUR_S * SECOND
    assert status is not None and status.at_us == desk.clock.utc_us()
    assert [found for found in check_index(database, settings.spool, "recorder-1") if found] == []
    # Once more, and by somebody who remembers nothing: no line has two rows.
    assert books._once() and bookkeeper(settings, database, desk.clock)._once()
    with database.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Record)) == len(rows)


def test_a_recorder_that_cannot_sign_is_alarmed_until_it_can(
    tmp_path: Path, sqlite: Database, clock: FakeClock
) -> None:
    settings = settings_on(tmp_path)
    assert bookkeeper(settings, sqlite, clock)._once()
    settings.recorder_key_file.chmod(0o644)
    books = bookkeeper(settings, sqlite, clock)
    for _ in range(3):
        assert books._once()
    with sqlite.read() as orm:
        alarm = orm.scalars(select(Alarm).where(Alarm.kind == "no_epochs")).one()
    assert (alarm.subject, alarm.cleared_us) == ("recorder:recorder-1", None)
    assert "chmod 600" in alarm.cause
    settings.recorder_key_file.chmod(0o600)
    # Also by another process than the one that raised it.
    assert bookkeeper(settings, sqlite, clock)._once()
    with sqlite.read() as orm:
        assert orm.get_one(type(alarm), alarm.id).cleared_us == clock.utc_us()


def test_a_status_file_that_cannot_be_written_stops_no_commit(
    tmp_path: Path, sqlite: Database, clock: FakeClock
) -> None:
    settings = settings_on(tmp_path)
    # A file where the folder should be: nobody, not even root, can write into it.
    settings.run_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.run_dir.write_text("")
    desk = Desk.on(settings.spool)
    camera = FakeCamera(seconds=2)
    segmenter = desk.segmenter(camera.tracks)
    desk.play(segmenter, camera.packets())
    desk.finish(segmenter)
    books = bookkeeper(settings, sqlite, clock)
    assert books._once()
    with sqlite.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Segment)) == 1
    settings.run_dir.unlink()
    assert books._once() and (settings.run_dir / STATUS_FILE).is_file()


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_step_of_the_clock_is_an_event(
    tmp_path: Path, sqlite: Database, clock: FakeClock, by_s: int
) -> None:
    settings = settings_on(tmp_path)
    books = bookkeeper(settings, sqlite, clock)
    assert books._once()
    clock.step(by_s * SECOND)
    assert books._once()
    clock.advance(SECOND)
    assert books._once()
    with sqlite.read() as orm:
        (event,) = orm.scalars(select(Event))
        assert (event.kind, event.source) == ("clock_step", "recorder-1")
        assert event.facts == {"by_us": by_s * SECOND} and event.at_us == clock.utc_us() - SECOND


def test_a_wanted_state_that_cannot_be_copied_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "recorder").write_text("")
    copy = tmp_path / "recorder" / "wanted.json"
    save_wanted(copy, [])
    (tmp_path / "recorder").unlink()
    save_wanted(copy, [])
    assert load_wanted(copy) == ()
