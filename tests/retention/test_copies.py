"""Packages go when they expire; that they were made stays known."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.places import DAY, START, a_session

from bidwitness.config import Settings, load_settings
from bidwitness.retention.copies import remove_expired_copies
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Derivative


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data")


def a_copy(index: Database, settings: Settings, path: str) -> str:
    session = a_session(index)
    settings.exports.mkdir(parents=True, exist_ok=True)
    (settings.exports / path).write_bytes(b"zip")
    with index.write() as orm:
        copy = Derivative(
            kind="export",
            session_id=session,
            recipe={},
            path=path,
            made_us=START,
            made_by="ann",
            expires_us=START + DAY,
        )
        orm.add(copy)
        orm.flush()
        return copy.id


def path_of(index: Database, copy: str) -> str | None:
    with index.read() as orm:
        return orm.get_one(Derivative, copy).path


def test_it_goes_when_its_time_is_over(index: Database, settings: Settings) -> None:
    copy = a_copy(index, settings, "a.zip")
    assert remove_expired_copies(index, FakeClock(START + DAY - 1), settings) == 0
    assert (settings.exports / "a.zip").exists()
    assert remove_expired_copies(index, FakeClock(START + DAY), settings) == 1
    assert not (settings.exports / "a.zip").exists()
    assert path_of(index, copy) is None
    with index.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry)).all()
    assert entry.action == "copy.expire"


def test_one_that_is_gone_already_is_only_said(index: Database, settings: Settings) -> None:
    copy = a_copy(index, settings, "a.zip")
    (settings.exports / "a.zip").unlink()
    assert remove_expired_copies(index, FakeClock(START + DAY), settings) == 1
    assert path_of(index, copy) is None


def test_a_name_that_leads_elsewhere_is_left_alone(
    sqlite_index: Database, settings: Settings
) -> None:
    copy = a_copy(sqlite_index, settings, "a.zip")
    (settings.data / "precious").write_bytes(b"stays")
    with sqlite_index.write() as orm:
        orm.get_one(Derivative, copy).path = "../precious"
    assert remove_expired_copies(sqlite_index, FakeClock(START + DAY), settings) == 0
    assert (settings.data / "precious").exists()
