"""Shared helpers are in ``support`` (this folder is put on the path); shared fixtures are here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from support.database import empty_database, running_postgres
from support.seaweed import Seaweed, running_seaweed

from bidwitness.storage.index.database import Database, open_database, upgrade

# On a busy machine the time of one example says nothing about the code.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, started at the first test that wants it."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real S3 server of our own, started at the first test that wants it."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def sqlite_index(tmp_path: Path) -> Iterator[Database]:
    """A new, migrated SQLite index."""
    database = open_database(f"sqlite:///{tmp_path}/index.db")
    upgrade(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, migrated index: every test that asks for it runs on both databases."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_index")
        return
    with empty_database(request.getfixturevalue("postgres")) as url:
        database = open_database(url)
        upgrade(database)
        yield database
        database.close()
