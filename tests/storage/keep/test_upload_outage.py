"""A real store is away for an hour of a session: nothing is lost, and all of it comes by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.memory_store import sha256_of
from support.places import HOUR, MINUTE, START, Shelf, a_claim, a_session, a_stream
from support.seaweed import Seaweed, running_seaweed
from support.wait import wait_until

from bidwitness.errors import StoreError
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.keep.eviction import Evictor
from bidwitness.storage.keep.upload import DOWN, SUBJECT, Uploader
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.store import open_store


@pytest.fixture
def own_seaweed(tmp_path: Path) -> Iterator[Seaweed]:
    with running_seaweed(tmp_path / "weed") as server:
        yield server


def test_an_hour_without_the_store(
    sqlite_index: Database, own_seaweed: Seaweed, clock: FakeClock, tmp_path: Path
) -> None:
    index, store = sqlite_index, open_store(own_seaweed.settings("outage"))
    shelf = Shelf(index, tmp_path / "spool")
    stream = a_stream(index)
    a_claim(index, a_session(index), stream, START, None)
    store.prepare()
    # Nothing asks the store before the footage does.
    work = Uploader(index, store, shelf.spool, clock, lambda: None)
    evict = Evictor(index, store, shelf.spool, SystemFiles(), clock, keep_us=0)
    made = [shelf.segment(stream, START)]
    assert work.upload_some() == 1
    own_seaweed.stop()
    for minute in range(3, 61, 3):
        made.append(shelf.segment(stream, START + minute * MINUTE))
        clock.advance(3 * MINUTE)
        with pytest.raises(StoreError):
            work.upload_some()
    clock.advance(HOUR)
    # No copy goes while the store cannot be asked, not even of what it had.
    with pytest.raises(StoreError):
        evict.evict_some()
    assert all((shelf.spool / str(segment.spool_path)).is_file() for segment in made)
    with index.read() as orm:
        assert open_alarm(orm, DOWN, SUBJECT) is not None
    own_seaweed.start()

    def all_stored() -> bool:
        try:
            while work.upload_some():
                continue
        except StoreError:
            return False  # it answers before its volumes have come back
        with index.read() as orm:
            return not orm.scalars(select(Segment.id).where(Segment.stored_us.is_(None))).first()

    wait_until(all_stored, 60, "all footage in the store")
    with index.read() as orm:
        assert open_alarm(orm, DOWN, SUBJECT) is None
        rows = orm.scalars(select(Segment).order_by(Segment.from_us)).all()
    assert [row.sha256 for row in rows] == [segment.sha256 for segment in made]
    for row in rows:
        held = store.read(str(row.store_key), str(row.store_version))
        assert sha256_of(held) == row.sha256
    assert len(list(store.list())) == len(made)
