"""What the index does not name is found by listing, registered, alarmed, and accounted for."""

import io

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.kept import upload
from support.memory_store import MemoryStore, sha256_of
from support.places import Shelf, a_stream
from support.seaweed import Seaweed

from bidwitness.errors import Conflict, NotFound, StoreError
from bidwitness.ids import new_id
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Alarm,
    AuditEntry,
    Garbage,
    RecordObject,
    Segment,
    StoreWalk,
    SurplusVersion,
)
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.surplus import ALARM, EVERY_US, SurplusWalk, accept_surplus
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.words import SurplusKind

SOMEBODY = Who("somebody")


def walk_through(index: Database, store: LockingStore, clock: FakeClock, rate: int = 500) -> int:
    """One whole walk, each step by a process of its own; gives how many steps it took."""
    clock.advance(EVERY_US)
    steps = 0
    while True:
        SurplusWalk(index, store, clock, rate=rate).walk_some()
        steps += 1
        with index.read() as orm:
            last = orm.scalars(select(StoreWalk).order_by(StoreWalk.id.desc()).limit(1)).one()
        if last.ended_us is not None:
            return steps


def registered(index: Database) -> list[SurplusVersion]:
    with index.read() as orm:
        return list(orm.scalars(select(SurplusVersion).order_by(SurplusVersion.id)))


def alarm(index: Database) -> Alarm | None:
    with index.read() as orm:
        return open_alarm(orm, ALARM, "store")


def test_a_store_that_holds_what_is_named_is_walked_once_a_day(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    upload(shelf, store, clock, 3)
    walk = SurplusWalk(shelf.index, store, clock)
    assert walk.walk_some() == 3
    assert walk.walk_some() == 0
    clock.advance(EVERY_US)
    assert walk.walk_some() == 3
    assert registered(shelf.index) == []
    assert alarm(shelf.index) is None


def test_a_delete_marker_is_registered_and_hides_nothing_from_us(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    marker = store.hide(str(segment.store_key))
    walk_through(shelf.index, store, clock)
    (row,) = registered(shelf.index)
    assert (row.kind, row.store_version) == (SurplusKind.MARKER, marker)
    assert (row.hides, row.readable) == (True, True)
    body = store.read(str(segment.store_key), str(segment.store_version))
    assert sha256_of(body) == segment.sha256
    raised = alarm(shelf.index)
    assert raised is not None
    assert raised.facts == {"marker": 1, "hidden": 1}
    assert str(segment.store_key) in str(raised.cause)


def test_what_is_hidden_and_harmed_is_not_called_readable(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    store.hide(str(segment.store_key))
    store.rot(str(segment.store_key))
    walk_through(shelf.index, store, clock)
    assert [row.readable for row in registered(shelf.index)] == [False]


def test_another_version_beside_the_named_one(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    forged = b"x" * segment.bytes
    store.put(
        str(segment.store_key), lambda: io.BytesIO(forged), sha256_of(forged), expect_absent=False
    )
    walk_through(shelf.index, store, clock)
    (row,) = registered(shelf.index)
    assert (row.kind, row.hides, row.same) == (SurplusKind.EXTRA, True, False)
    assert alarm(shelf.index) is not None


def test_strangers_and_records_on_their_way(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    body = b"records"
    day = str(segment.store_key).rpartition("/")[0]
    for name in (f"{day}/records-000000-000001.ndjson", f"{day}/x.mp4", "footage/what"):
        store.put(name, lambda: io.BytesIO(body), sha256_of(body))
    with shelf.index.write() as orm:
        orm.add(
            RecordObject(
                stream_id=segment.stream_id,
                day=int(day.rpartition("/")[2]),
                first_seq=0,
                last_seq=1,
                sha256=sha256_of(body),
                bytes=len(body),
                store_key=f"{day}/records-000000-000001.ndjson",
                store_version=sha256_of(body).hex(),
                stored_us=1,
            )
        )
    walk_through(shelf.index, store, clock)
    assert {row.store_key for row in registered(shelf.index)} == {f"{day}/x.mp4", "footage/what"}
    assert {row.kind for row in registered(shelf.index)} == {SurplusKind.UNKNOWN}


def test_what_is_being_uploaded_is_no_surplus(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    path = shelf.spool / str(segment.spool_path)
    store.put(f"footage/{segment.spool_path}", path, segment.sha256)
    walk_through(shelf.index, store, clock)
    assert registered(shelf.index) == []


def test_every_copy_of_removed_footage_goes_too(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    other = b"a copy that came late"
    store.put(
        str(segment.store_key), lambda: io.BytesIO(other), sha256_of(other), expect_absent=False
    )
    with shelf.index.write() as orm:
        row = orm.get_one(Segment, segment.id)
        row.removed_us = 5
        orm.add(
            Garbage(
                segment_id=row.id,
                store_key=row.store_key,
                store_version=row.store_version,
                reason="its loop is over",
                at_us=5,
            )
        )
    collector = Collector(shelf.index, store, shelf.spool, SystemFiles(), clock)
    assert collector.collect_some() == 1
    assert len(store.objects) == 1
    walk_through(shelf.index, store, clock)
    assert [row.kind for row in registered(shelf.index)] == [SurplusKind.LEFTOVER]
    assert alarm(shelf.index) is None
    assert collector.collect_some() == 1
    assert not store.objects
    walk_through(shelf.index, store, clock)
    assert registered(shelf.index)[0].gone_us is not None


@pytest.mark.parametrize("rate", [1, 2, 3, 7, 100])
def test_a_walk_goes_on_after_every_crash(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, rate: int
) -> None:
    segments = upload(shelf, store, clock, 5) + upload(shelf, store, clock, 5)
    for segment in segments[::3]:
        store.hide(str(segment.store_key))
    steps = walk_through(shelf.index, store, clock, rate)
    # And one for the reports, of which there are none.
    assert steps == -(-14 // rate) + 1
    assert {row.store_key for row in registered(shelf.index)} == {
        segment.store_key for segment in segments[::3]
    }
    with shelf.index.read() as orm:
        assert [row.looked_at for row in orm.scalars(select(StoreWalk))] == [14]


def test_an_outage_costs_nothing_but_time(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    upload(shelf, store, clock, 3)
    walk = SurplusWalk(shelf.index, store, clock, rate=2)
    assert walk.walk_some() == 2
    store.down = True
    with pytest.raises(StoreError):
        walk.walk_some()
    store.down = False
    assert walk.walk_some() == 1
    assert walk.walk_some() == 0


def test_what_goes_clears_the_alarm_and_what_comes_again_raises_it(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    store.hide(str(segment.store_key))
    walk_through(shelf.index, store, clock)
    (row,) = registered(shelf.index)
    with shelf.index.write() as orm:
        accept_surplus(orm, SOMEBODY, clock.utc_us(), row.id, "our own trial")
        assert orm.scalars(select(AuditEntry.action)).all() == ["store.surplus_accept"]
    assert alarm(shelf.index) is None
    walk_through(shelf.index, store, clock)
    assert alarm(shelf.index) is None
    markers, store.markers = store.markers, []
    walk_through(shelf.index, store, clock)
    assert registered(shelf.index)[0].gone_us is not None
    with shelf.index.write() as orm:
        with pytest.raises(Conflict):
            accept_surplus(orm, SOMEBODY, clock.utc_us(), row.id, "again")
        with pytest.raises(NotFound):
            accept_surplus(orm, SOMEBODY, clock.utc_us(), row.id + 1, "what")
    store.markers = markers
    walk_through(shelf.index, store, clock)
    assert alarm(shelf.index) is not None


def test_a_real_store_hidden_and_overwritten_behind_our_back(
    shelf: Shelf, seaweed: Seaweed, clock: FakeClock
) -> None:
    bucket = f"surplus-{new_id()}"
    store = open_store(seaweed.settings(bucket))
    hidden, copied, forged = upload(shelf, store, clock, 3)
    client = seaweed.client()
    client.remove_object(bucket, str(hidden.store_key))
    body = store.read(str(copied.store_key), str(copied.store_version))
    client.put_object(bucket, str(copied.store_key), io.BytesIO(body), len(body))
    client.put_object(bucket, str(forged.store_key), io.BytesIO(b"?" * len(body)), len(body))
    walk_through(shelf.index, store, clock, rate=2)
    by_key = {row.store_key: row for row in registered(shelf.index)}
    assert len(by_key) == 3
    marker = by_key[str(hidden.store_key)]
    assert (marker.kind, marker.hides, marker.readable) == (SurplusKind.MARKER, True, True)
    copy, forgery = by_key[str(copied.store_key)], by_key[str(forged.store_key)]
    assert (copy.kind, copy.hides, copy.same) == (SurplusKind.EXTRA, True, True)
    assert (forgery.kind, forgery.hides, forgery.same) == (SurplusKind.EXTRA, True, False)
    for segment in (hidden, copied, forged):
        data = store.read(str(segment.store_key), str(segment.store_version))
        assert sha256_of(data) == segment.sha256
