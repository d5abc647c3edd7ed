"""Shared helpers are in ``support`` (this folder is put on the path); shared fixtures are here."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

sys.path.insert(0, str(Path(__file__).parent))

from support.database import empty_database, running_postgres
from support.seaweed import Seaweed, running_seaweed
from support.simulator import CACHE

from bidwitness.storage.index.database import Database, open_database, upgrade

# On a busy machine the time of one example says nothing about the code.
# In CI the same examples every time; at a desk new ones.
settings.register_profile(
    "here",
    derandomize="CI" in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")

# Every whole system under test has the same five virtual cameras: they are encoded once.
os.environ["BIDWITNESS_LOOPS"] = str(CACHE)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, started at the first test that wants it."""
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real S3 server of our own, started at the first test that wants it."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating anew for each test would take most of its time."""
    path = tmp_path_factory.mktemp("sqlite") / "index.db"
    database = open_database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> Iterator[str]:
    """The name of a migrated PostgreSQL database to copy."""
    with empty_database(postgres) as url:
        database = open_database(url)
        upgrade(database)
        database.close()
        yield str(make_url(url).database)


@pytest.fixture
def sqlite_index(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    """A new, migrated SQLite index."""
    shutil.copyfile(migrated_sqlite, tmp_path / "index.db")
    database = open_database(f"sqlite:///{tmp_path}/index.db")
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, migrated index: every test that asks for it runs on both databases."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_index")
        return
    server = request.getfixturevalue("postgres")
    with empty_database(server, request.getfixturevalue("migrated_postgres")) as url:
        database = open_database(url)
        yield database
        database.close()
