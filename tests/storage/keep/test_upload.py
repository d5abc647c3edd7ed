"""Segments go into the store, claimed ones first, and the row says so only when it is proved."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import MINUTE, START, Shelf, a_claim, a_session, a_stream

from bidwitness.errors import StorageFull, StoreError
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, Garbage, Segment
from bidwitness.storage.keep.upload import RETRY_US, Uploader
from bidwitness.storage.store import Source, StoredVersion
from bidwitness.storage.store.file import FileStore
from bidwitness.words import SessionState


def uploader(shelf: Shelf, store: MemoryStore, clock: FakeClock, threads: int = 1) -> Uploader:
    return Uploader(shelf.index, store, shelf.spool, clock, lambda: None, threads=threads)


def row(index: Database, segment: Segment) -> Segment:
    with index.read() as orm:
        found = orm.get(Segment, segment.id)
        assert found is not None
        return found


def alarms(index: Database) -> dict[str, str]:
    with index.read() as orm:
        found = orm.scalars(select(Alarm).where(Alarm.cleared_us.is_(None)))
        return {alarm.kind: alarm.subject for alarm in found}


def test_what_waits_is_stored_and_the_row_says_where(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    assert uploader(shelf, store, clock).upload_some() == 1
    after = row(shelf.index, segment)
    assert after.store_key == f"footage/{segment.spool_path}"
    assert after.stored_us == clock.utc_us()
    assert after.spool_path == segment.spool_path
    assert (
        store.read(after.store_key, str(after.store_version))
        == (shelf.spool / str(segment.spool_path)).read_bytes()
    )
    assert uploader(shelf, store, clock).upload_some() == 0


def test_claimed_footage_goes_first_then_the_oldest(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream, other = a_stream(shelf.index), a_stream(shelf.index)
    for minute in range(4):
        shelf.segment(other, START + minute * MINUTE)
    claimed = shelf.segment(stream, START + 10 * MINUTE)
    session = a_session(shelf.index, state=SessionState.RECORDING)
    a_claim(shelf.index, session, stream, START + 10 * MINUTE + 1, None)
    assert uploader(shelf, store, clock).upload_some() == 5
    order = [key for name, key in store.calls if name == "put"]
    assert order[0] == f"footage/{claimed.spool_path}"
    assert order[1:] == sorted(order[1:])


def test_a_put_without_its_row_is_found_again(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    # A crash came between the two.
    path = shelf.spool / str(segment.spool_path)
    version = store.put(f"footage/{segment.spool_path}", path, segment.sha256).version
    assert uploader(shelf, store, clock).upload_some() == 1
    assert row(shelf.index, segment).store_version == version
    assert len(store.objects) == 1


def test_no_more_is_sent_than_the_bound_allows(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    made = [shelf.segment(stream, START + n * MINUTE) for n in range(9)]
    size = made[0].bytes
    work = Uploader(shelf.index, store, shelf.spool, clock, lambda: None, bytes_per_s=size)
    done = []
    for _ in range(4):
        done.append(work.upload_some())
        clock.advance(1_000_000)
    assert done == [0, 1, 1, 1]
    # Of a pause two seconds' worth is made up for; a segment goes whole, and is then waited for.
    clock.advance(60_000_000)
    assert [work.upload_some(), work.upload_some()] == [2, 0]
    clock.advance(500_000)
    assert work.upload_some() == 1
    clock.advance(500_000)
    assert work.upload_some() == 0


def test_an_outage_raises_one_alarm_loses_nothing_and_is_over_by_itself(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    for minute in range(5):
        shelf.segment(stream, START + minute * MINUTE)
    work = uploader(shelf, store, clock)
    store.down = True
    for _ in range(3):
        with pytest.raises(StoreError):
            work.upload_some()
    assert alarms(shelf.index) == {"store_down": "store"}
    store.down = False
    assert work.upload_some() == 5
    assert alarms(shelf.index) == {}
    with shelf.index.read() as orm:
        assert len(orm.scalars(select(Alarm)).all()) == 1


def test_a_failing_store_is_not_asked_for_the_rest_of_the_batch(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    for minute in range(20):
        shelf.segment(stream, START + minute * MINUTE)
    work = uploader(shelf, store, clock)
    work.upload_some()
    for minute in range(20, 40):
        shelf.segment(stream, START + minute * MINUTE)
    store.calls.clear()
    store.down = True
    with pytest.raises(StoreError):
        work.upload_some()
    assert [name for name, _ in store.calls] == ["put"]


def test_a_full_store_says_so(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> None:
    shelf.segment(a_stream(shelf.index))
    store.full = True
    work = uploader(shelf, store, clock)
    with pytest.raises(StorageFull):
        work.upload_some()
    assert alarms(shelf.index) == {"store_full": "store"}
    store.full = False
    assert work.upload_some() == 1
    assert alarms(shelf.index) == {}


def test_one_damaged_or_missing_segment_does_not_keep_the_others_waiting(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    good, bad, gone = (a_stream(shelf.index) for _ in range(3))
    damaged = shelf.segment(bad)
    missing = shelf.segment(gone)
    fine = shelf.segment(good)
    original = (shelf.spool / str(damaged.spool_path)).read_bytes()
    (shelf.spool / str(damaged.spool_path)).write_bytes(b"x" * len(original))
    (shelf.spool / str(missing.spool_path)).unlink()
    work = uploader(shelf, store, clock)
    assert work.upload_some() == 1
    assert row(shelf.index, fine).stored_us is not None
    assert alarms(shelf.index) == {
        "footage_damaged": f"stream:{bad}",
        "footage_missing": f"stream:{gone}",
    }
    assert work.upload_some() == 0
    # They are looked at again later: the volume may have been mounted meanwhile.
    (shelf.spool / str(damaged.spool_path)).write_bytes(original)
    assert work.upload_some() == 0
    clock.advance(RETRY_US)
    assert work.upload_some() == 1
    assert row(shelf.index, damaged).stored_us is not None
    with shelf.index.read() as orm:
        assert open_alarm(orm, "footage_damaged", f"stream:{bad}") is None
        assert open_alarm(orm, "footage_missing", f"stream:{gone}") is not None


class Interfering(MemoryStore):
    """Does something else between the proof and the row."""

    def __init__(self) -> None:
        super().__init__()
        self.then: list[Callable[[], object]] = []

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        stored = super().put(key, source, sha256, expect_absent=expect_absent, lock=lock)
        for act in [*self.then]:
            act()
        return stored


def test_a_segment_removed_on_its_way_leaves_its_version_to_the_collector(
    shelf: Shelf, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    store = Interfering()

    def remove() -> None:
        with shelf.index.write() as orm:
            found = orm.get(Segment, segment.id)
            assert found is not None
            found.removed_us = 1

    store.then.append(remove)
    uploader(shelf, store, clock).upload_some()
    assert row(shelf.index, segment).stored_us is None
    with shelf.index.read() as orm:
        (garbage,) = orm.scalars(select(Garbage)).all()
    assert (garbage.store_key, garbage.store_version) in store.objects


def test_two_keepers_by_mistake_leave_one_version_and_no_garbage(
    shelf: Shelf, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    store = Interfering()
    store.then.append(lambda: (store.then.clear(), uploader(shelf, store, clock).upload_some()))
    uploader(shelf, store, clock).upload_some()
    with shelf.index.read() as orm:
        assert orm.scalars(select(Garbage)).all() == []
    after = row(shelf.index, segment)
    assert (after.store_key, after.store_version) in store.objects


def test_on_one_volume_the_bytes_are_not_copied(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    shelf, file_store = Shelf(sqlite_index, tmp_path / "spool"), FileStore(tmp_path / "store")
    segment = shelf.segment(a_stream(sqlite_index))
    work = Uploader(sqlite_index, file_store, shelf.spool, clock, file_store.prepare, threads=2)
    assert work.upload_some() == 1
    assert (shelf.spool / str(segment.spool_path)).stat().st_nlink == 2
