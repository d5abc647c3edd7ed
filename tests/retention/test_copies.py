"""Packages go when they expire; that they were made stays known."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.places import DAY, START, a_session

from bidwitness.config import Settings, load_settings
from bidwitness.retention.copies import remove_abandoned_work, remove_expired_copies
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.jobs import cancel_job, enqueue
from bidwitness.storage.index.models import AuditEntry, Derivative
from bidwitness.words import JobState


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


def test_what_a_killed_making_left_goes_once_it_is_given_up(
    sqlite_index: Database, settings: Settings
) -> None:
    with sqlite_index.write() as orm:
        jobs = [enqueue(orm, "export", {}, by="ann", now_us=START).id for _ in range(2)]
    for name in (*jobs, "nobody"):
        (settings.exports / f"{name}.work").mkdir(parents=True)
        (settings.exports / f"{name}.work" / "film.mp4").write_bytes(b"film")
    assert remove_abandoned_work(sqlite_index, settings) == 1
    with sqlite_index.write() as orm:
        assert cancel_job(orm, jobs[0], START).state == JobState.CANCELLED
    assert remove_abandoned_work(sqlite_index, settings) == 1
    left = [path.name for path in settings.exports.iterdir()]
    assert left == [f"{jobs[1]}.work"]
