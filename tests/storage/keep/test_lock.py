"""One `keep` at a time: per data folder, and per site on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.database import empty_database

from bidwitness.errors import ConfigError, Conflict
from bidwitness.storage.index.database import Database, open_database
from bidwitness.storage.keep.lock import ADVISORY_LOCK, KeepLock


def test_a_second_one_waits_until_the_first_lets_go(index: Database, tmp_path: Path) -> None:
    first, second = (KeepLock(index, tmp_path / "keep.lock") for _ in range(2))
    assert first.acquire()
    assert not second.acquire()
    first.confirm()
    first.release()
    assert second.acquire()
    second.confirm()
    second.release()


def test_a_folder_that_cannot_be_written_says_so(sqlite_index: Database, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match="BIDWITNESS_DATA"):
        KeepLock(sqlite_index, tmp_path / "taken" / "keep.lock").acquire()


@pytest.fixture
def pg(postgres: str) -> Iterator[Database]:
    with empty_database(postgres) as url:
        database = open_database(url)
        yield database
        database.close()


def cut_off(database: Database) -> None:
    """What a restart of the server does to the connection that holds the lock."""
    with database.engine.connect() as connection:
        query = "SELECT pg_terminate_backend(pid, 9000) FROM pg_locks WHERE objid = :n"
        connection.execute(text(query), {"n": ADVISORY_LOCK})


def test_on_postgresql_it_is_the_sites_lock(pg: Database, tmp_path: Path) -> None:
    first = KeepLock(pg, tmp_path / "a" / "keep.lock")
    second = KeepLock(pg, tmp_path / "b" / "keep.lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_lost_connection_is_made_good_unless_another_took_over(
    pg: Database, tmp_path: Path
) -> None:
    first = KeepLock(pg, tmp_path / "a" / "keep.lock")
    second = KeepLock(pg, tmp_path / "b" / "keep.lock")
    assert first.acquire()
    cut_off(pg)
    first.confirm()
    assert not second.acquire()
    cut_off(pg)
    assert second.acquire()
    with pytest.raises(Conflict):
        first.confirm()
    second.release()
    first.release()
