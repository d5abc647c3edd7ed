"""A site on either database, and an empty place of the same kind to restore it into."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.backups import Place
from support.database import empty_database

from bidwitness.config import load_settings
from bidwitness.storage.backup import sealing
from bidwitness.storage.index.database import Database, open_database


@pytest.fixture(autouse=True)
def _quick_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs stands in the file; only the test of it takes the time."""
    monkeypatch.setattr(sealing, "_COST", 10)


@pytest.fixture
def here(index: Database, tmp_path: Path) -> Place:
    url = index.engine.url.render_as_string(hide_password=False)
    return Place(index, load_settings(data=tmp_path / "here", database=url))


@pytest.fixture
def there(request: pytest.FixtureRequest, index: Database, tmp_path: Path) -> Iterator[Place]:
    data = tmp_path / "there"
    if index.is_sqlite:
        settings = load_settings(data=data)
        database = open_database(settings.database_url)
        yield Place(database, settings)
        database.close()
        return
    with empty_database(request.getfixturevalue("postgres")) as url:
        database = open_database(url)
        yield Place(database, load_settings(data=data, database=url))
        database.close()


@pytest.fixture
def sqlite_here(sqlite_index: Database, tmp_path: Path) -> Place:
    """For what has nothing to do with the database."""
    return Place(sqlite_index, load_settings(data=tmp_path / "here"))


@pytest.fixture
def sqlite_there(tmp_path: Path) -> Iterator[Place]:
    settings = load_settings(data=tmp_path / "there")
    database = open_database(settings.database_url)
    yield Place(database, settings)
    database.close()
