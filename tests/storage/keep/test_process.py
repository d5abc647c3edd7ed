"""`bidwitness keep` as a process: it keeps, stands by, ends cleanly, and outlives the database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.database import PostgresServer, postgres_programs
from support.memory_store import sha256_of
from support.places import START, Shelf, a_stream
from support.processes import Command, running_command
from support.seaweed import ACCESS, SECRET, Seaweed
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.models import RetentionPolicy, Segment
from bidwitness.storage.store import open_store

WAIT_S = 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def index(data: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{data}/index.db")
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def shelf(index: Database, data: Path) -> Shelf:
    return Shelf(index, data / "spool")


def is_stored(index: Database, segment: Segment) -> bool:
    with index.read() as orm:
        return orm.scalar(select(Segment.stored_us).where(Segment.id == segment.id)) is not None


def keep(data: Path, **more: str) -> AbstractContextManager[Command]:
    environment = {"BIDWITNESS_DATA": str(data), **more}
    return running_command("keep", environment=environment, log=data.parent / "keep.log")


def test_it_stores_seeds_the_policies_and_ends_when_asked(
    index: Database, shelf: Shelf, data: Path
) -> None:
    segment = shelf.segment(a_stream(index), SystemClock().utc_us())
    with keep(data) as process:
        wait_until(lambda: is_stored(index, segment), WAIT_S, "the segment to be stored")
        assert process.terminate() == 0, process.said()
    with index.read() as orm:
        assert (orm.scalar(select(func.count()).select_from(RetentionPolicy)) or 0) > 10
    assert len(list((data / "store").rglob("*.mp4"))) == 1


def test_a_second_one_stands_by_and_takes_over(index: Database, shelf: Shelf, data: Path) -> None:
    stream = a_stream(index)
    with keep(data) as first, keep(data) as second:
        one = shelf.segment(stream)
        wait_until(lambda: is_stored(index, one), WAIT_S, "the segment to be stored")
        wait_until(lambda: "waiting for it to end" in second.said(), WAIT_S, "the stand-by")
        first.kill()
        two = shelf.segment(stream, START + 60_000_000)
        wait_until(lambda: is_stored(index, two), WAIT_S, "the other to take over")
        assert second.terminate() == 0


def test_it_keeps_in_an_s3_store(
    index: Database, shelf: Shelf, data: Path, seaweed: Seaweed
) -> None:
    segment = shelf.segment(a_stream(index), SystemClock().utc_us())
    settings = {
        "BIDWITNESS_STORE": seaweed.store_url("kept"),
        "BIDWITNESS_S3_ACCESS_KEY": ACCESS,
        "BIDWITNESS_S3_SECRET_KEY": SECRET,
    }
    with keep(data, **settings) as process:
        wait_until(lambda: is_stored(index, segment), WAIT_S, "the segment to be stored")
        assert process.terminate() == 0, process.said()
    with index.read() as orm:
        row = orm.get_one(Segment, segment.id)
    store = open_store(seaweed.settings("kept"))
    assert sha256_of(store.read(str(row.store_key), str(row.store_version))) == segment.sha256
    assert not (data / "store").exists()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer(*postgres_programs()) as server:
        yield server


def test_it_outlives_the_database(own_postgres: PostgresServer, data: Path) -> None:
    index = open_database(own_postgres.url)
    upgrade(index)
    shelf = Shelf(index, data / "spool")
    stream = a_stream(index)
    with keep(data, BIDWITNESS_DATABASE=own_postgres.url) as process:
        one = shelf.segment(stream)
        wait_until(lambda: is_stored(index, one), WAIT_S, "the segment to be stored")
        own_postgres.stop()
        wait_until(lambda: "trying again" in process.said(), WAIT_S, "the outage to be noticed")
        own_postgres.start()
        two = shelf.segment(stream, START + 60_000_000)
        wait_until(lambda: is_stored(index, two), WAIT_S, "work to go on")
        assert process.process.poll() is None
        assert process.terminate() == 0, process.said()
    index.close()
