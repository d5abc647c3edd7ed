"""From an empty index: the rows of footage come back, equal to what they were."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from support.clock import FakeClock

from bidwitness.errors import DamageFound
from bidwitness.storage.check.command import run_rebuild
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.models import (
    Camera,
    FragmentTable,
    Gap,
    Init,
    Record,
    RecordObject,
    Segment,
    Stream,
)
from bidwitness.storage.rebuild import Rebuild

# The fixture's own type is in conftest.py, which cannot be imported.
Site = Any
SAME = (
    "stream_id", "run_id", "run_seq", "init_id", "from_us", "to_us", "quality", "bytes", "pieces",
    "sha256", "recorder", "store_key", "store_version",
)  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/new.db")
    upgrade(database)
    yield database
    database.close()


def rebuild(site: Site, into: Database) -> Any:
    return Rebuild(into, site.store, site.settings, FakeClock()).run()


def facts(segments: list[Segment]) -> list[tuple[object, ...]]:
    return [tuple(getattr(row, name) for name in SAME) for row in segments]


def due_locks(index: Database) -> set[int | None]:
    with index.read() as orm:
        segments = select(Segment.lock_due_us).where(Segment.stored_us.is_not(None))
        return {*orm.scalars(segments), *orm.scalars(select(RecordObject.lock_due_us))}


def counts(index: Database) -> list[int]:
    tables = (Record, RecordObject, Segment, FragmentTable, Init, Gap)
    with index.read() as orm:
        return [orm.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def evict(site: Site) -> None:
    for segment in site.segments():
        (site.spool / str(segment.spool_path)).unlink()


def read_all(site: Site, index: Database) -> None:
    footage = Footage(site.spool, site.store)
    for segment in site.segments(index):
        footage.verify(segment)


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize("records", [True, False])
def test_everything_comes_back(site: Site, empty: Database, records: bool, evicted: bool) -> None:
    """With and without the spool's copies, with and without records beside the media."""
    site.keep(records=records)
    if evicted:
        evict(site)
    result = rebuild(site, empty)
    assert (result.streams, result.records, result.stored, result.gone) == (2, 6, 6, 0)
    assert result.damaged == []
    assert counts(empty) == counts(site.index)
    assert facts(site.segments(empty)) == facts(site.segments())
    assert site.check_index(empty) == []
    assert site.check_store(empty) == []
    assert due_locks(empty) == {0}  # only the store knows what they are
    read_all(site, empty)


def test_without_a_spool_the_store_is_enough(site: Site, empty: Database) -> None:
    site.keep()
    site.spool.rename(site.spool.with_name("lost"))
    result = rebuild(site, empty)
    assert (result.records, result.stored) == (6, 6)
    assert facts(site.segments(empty)) == facts(site.segments())
    read_all(site, empty)


def test_without_a_store_the_spool_is_enough(site: Site, empty: Database) -> None:
    result = rebuild(site, empty)
    assert (result.records, result.stored, result.gone) == (6, 0, 0)
    assert site.check_index(empty) == []
    read_all(site, empty)


def test_it_can_be_run_again(site: Site, empty: Database) -> None:
    site.keep()
    evict(site)
    rebuild(site, empty)
    before = counts(empty)
    result = rebuild(site, empty)
    assert (result.streams, result.records, result.stored) == (0, 0, 0)
    assert counts(empty) == before


def test_an_index_that_lacks_a_little_is_completed(site: Site) -> None:
    """Into the site's own index, which knows its streams and most of their rows."""
    site.keep()
    with site.index.write() as orm:
        for table in (FragmentTable, Segment, RecordObject, Record):
            for row in orm.scalars(select(table)):
                orm.delete(row)
            orm.flush()
    result = rebuild(site, site.index)
    assert (result.streams, result.records) == (0, 6)
    assert site.check_index() == []
    assert site.check_store() == []


def test_unknown_streams_stand_in_a_room_of_their_own_switched_off(
    site: Site, empty: Database
) -> None:
    rebuild(site, empty)
    with empty.read() as orm:
        assert set(orm.scalars(select(Stream.enabled))) == {False}
        assert set(orm.scalars(select(Camera.enabled))) == {False}
        assert sorted(orm.scalars(select(Stream.id))) == sorted(site.streams)


def test_footage_whose_bytes_are_nowhere_is_marked_and_counted(site: Site, empty: Database) -> None:
    site.keep()
    evict(site)
    site.file_in_store().unlink()
    result = rebuild(site, empty)
    assert (result.stored, result.gone) == (5, 1)
    assert site.check_index(empty) == []


def test_damaged_bytes_are_not_taken_for_footage(site: Site, empty: Database) -> None:
    site.keep()
    evict(site)
    path = site.file_in_store()
    path.chmod(0o640)
    path.write_bytes(b"forged" + path.read_bytes()[6:])
    result = rebuild(site, empty)
    assert result.stored == 5
    assert len(result.damaged) == 1
    assert str(site.segments()[0].store_key) in str(result)


def test_the_command_says_what_it_found(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.keep()
    settings = site.settings.model_copy(update={"database": f"sqlite:///{tmp_path}/third.db"})
    run_rebuild(settings)
    assert "6 segments found in the store" in capsys.readouterr().out
    path = site.file_in_store()
    path.chmod(0o640)
    path.write_bytes(b"forged" + path.read_bytes()[6:])
    settings = site.settings.model_copy(update={"database": f"sqlite:///{tmp_path}/fourth.db"})
    with pytest.raises(DamageFound):
        run_rebuild(settings)
    assert "damaged: footage/" in capsys.readouterr().out
