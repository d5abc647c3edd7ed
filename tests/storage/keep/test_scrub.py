"""What is gone from the store or changed in it is found, put right where that can be, and alarmed."""

import io
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.kept import chained, faults, go_round, scrub_of, upload
from support.memory_store import MemoryStore, sha256_of
from support.places import Shelf, a_stream
from support.seaweed import Seaweed

from bidwitness.config import load_settings
from bidwitness.errors import StoreError
from bidwitness.ids import new_id
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import AT_ONCE
from bidwitness.storage.index.models import (
    Alarm,
    AuditEntry,
    Record,
    RecordObject,
    Segment,
)
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.keep.scrub import DAY_US, EVERY_US, FAULT_ALARM, LATE_ALARM, last_round
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.storage.store.base import Found
from bidwitness.words import ScrubKind, StoreFaultKind


def row_of(index: Database, segment_id: int) -> Segment:
    with index.read() as orm:
        return orm.get_one(Segment, segment_id)


def lose_spool(shelf: Shelf, segment: Segment) -> None:
    with shelf.index.write() as orm:
        row = orm.get_one(Segment, segment.id)
        (shelf.spool / str(row.spool_path)).unlink(missing_ok=True)
        row.spool_path = None


def alarm(index: Database, kind: str = FAULT_ALARM, subject: str = "store") -> Alarm | None:
    with index.read() as orm:
        return open_alarm(orm, kind, subject)


@pytest.mark.parametrize("kind", ScrubKind)
def test_what_is_well_is_gone_through_once_a_round(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, kind: ScrubKind
) -> None:
    made = upload(shelf, store, clock, 5)
    done = go_round(shelf.index, store, clock, kind, shelf.spool, rate=2)
    assert (done.objects, done.faults) == (5, 0)
    assert done.bytes == (sum(s.bytes for s in made) if kind is ScrubKind.BYTES else 0)
    scrub = scrub_of(shelf.index, store, clock, shelf.spool)
    clock.advance(1_000_000)
    assert scrub.look_some() + scrub.read_some() in (0, 5)
    assert faults(shelf.index) == [] and alarm(shelf.index) is None


@pytest.mark.parametrize("kind", ScrubKind)
def test_a_store_that_is_empty_is_not_said_to_be_well(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, kind: ScrubKind
) -> None:
    scrub = scrub_of(shelf.index, store, clock, shelf.spool)
    clock.advance(1_000_000)
    assert scrub.look_some() + scrub.read_some() == 0
    with shelf.index.read() as orm:
        assert last_round(orm, kind) is None
    # What comes then does not wait until the next round would be due.
    upload(shelf, store, clock, 1)
    clock.advance(1_000_000)
    assert (scrub.look_some(), scrub.read_some()) == (1, 1)


def test_what_is_gone_comes_back_from_the_spool(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    first, second = upload(shelf, store, clock, 2)
    store.delete_version(str(first.store_key), str(first.store_version))
    done = go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    assert (done.objects, done.faults) == (2, 1)
    (fault,) = faults(shelf.index)
    assert (fault.kind, fault.mended_from) == (StoreFaultKind.MISSING, "spool")
    row = row_of(shelf.index, first.id)
    assert sha256_of(store.read(str(row.store_key), str(row.store_version))) == first.sha256
    assert alarm(shelf.index) is None
    assert row_of(shelf.index, second.id).store_version == second.store_version


def test_without_a_good_copy_the_alarm_stands_until_there_is_one(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    good = store.read(str(segment.store_key), str(segment.store_version))
    lose_spool(shelf, segment)
    store.delete_version(str(segment.store_key), str(segment.store_version))
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    (fault,) = faults(shelf.index)
    assert (fault.kind, fault.mended_us) == (StoreFaultKind.MISSING, None)
    raised = alarm(shelf.index)
    assert raised is not None and str(segment.store_key) in str(raised.cause)
    # Somebody finds a copy and puts it under its key: the next round takes it.
    store.put(str(segment.store_key), lambda: io.BytesIO(good), segment.sha256)
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    (fault,) = faults(shelf.index)
    assert fault.mended_from == "store" and alarm(shelf.index) is None
    with shelf.index.read() as orm:
        said = [row.action for row in orm.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert said.count("store.fault") == 1


def test_another_store_in_its_place_is_not_filled(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    upload(shelf, store, clock, 9)
    wrong = MemoryStore()
    scrub = scrub_of(shelf.index, wrong, clock, shelf.spool)
    assert scrub.look_some() == 0 and wrong.objects == {} and faults(shelf.index) == []
    raised = alarm(shelf.index)
    assert raised is not None and "BIDWITNESS_STORE" in str(raised.cause)
    assert go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool).objects == 9
    assert alarm(shelf.index) is None


def test_many_that_are_gone_from_the_right_store_are_put_right(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    made = upload(shelf, store, clock, 9)
    for segment in made[:8]:
        store.delete_version(str(segment.store_key), str(segment.store_version))
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool, rate=8)
    assert [fault.mended_from for fault in faults(shelf.index)] == ["spool"] * 8
    assert alarm(shelf.index) is None


def test_what_stays_gone_is_in_the_audit_once(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    lose_spool(shelf, segment)
    store.delete_version(str(segment.store_key), str(segment.store_version))
    for _ in range(3):
        go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    with shelf.index.read() as orm:
        said = [row.action for row in orm.scalars(select(AuditEntry))]
    assert said.count("store.fault") == 1


def test_one_changed_byte_is_found_by_reading_alone(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)
    lose_spool(shelf, segment)
    store.rot(str(segment.store_key))
    assert go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool).faults == 0
    assert go_round(shelf.index, store, clock, ScrubKind.BYTES, shelf.spool).faults == 1
    (fault,) = faults(shelf.index)
    assert (fault.kind, fault.mended_us) == (StoreFaultKind.DAMAGED, None)
    assert alarm(shelf.index) is not None


def test_reading_keeps_to_its_pace(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> None:
    made = upload(shelf, store, clock, 6)
    size = made[0].bytes
    scrub = scrub_of(shelf.index, store, clock, shelf.spool, bytes_per_s=size)
    read = []
    for _ in range(8):
        clock.advance(1_000_000)
        read.append(scrub.read_some())
    assert read == [1] * 6 + [0] * 2
    # Of what was not read for long, two seconds' worth is made up for, not more.
    clock.advance(EVERY_US[ScrubKind.BYTES])
    assert scrub.read_some() == 2


def test_a_round_that_takes_too_long_is_said(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    upload(shelf, store, clock, 2)
    scrub = scrub_of(shelf.index, store, clock, shelf.spool, bytes_per_s=1)
    clock.advance(1_000_000)
    assert scrub.read_some() == 1
    clock.advance(31 * DAY_US)
    scrub.read_some()
    raised = alarm(shelf.index, LATE_ALARM, "store:bytes")
    assert raised is not None and "BIDWITNESS_SCRUB_MB_PER_SECOND" in str(raised.cause)
    go_round(shelf.index, store, clock, ScrubKind.BYTES, shelf.spool)
    assert alarm(shelf.index, LATE_ALARM, "store:bytes") is None


def test_footage_that_goes_by_the_book_meanwhile_is_no_fault(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    (segment,) = upload(shelf, store, clock)

    class Removing(MemoryStore):
        def stat(self, key: str, version: str | None = None) -> Found:
            with shelf.index.write() as orm:
                orm.get_one(Segment, segment.id).removed_us = clock.utc_us()
            return MemoryStore.stat(self, key, version)

    done = go_round(shelf.index, Removing(), clock, ScrubKind.PRESENCE, shelf.spool)
    assert (done.objects, done.faults) == (1, 0)


def test_an_outage_says_nothing_of_the_bytes(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    upload(shelf, store, clock, 3)
    store.down = True
    scrub = scrub_of(shelf.index, store, clock, shelf.spool)
    with pytest.raises(StoreError):
        scrub.look_some()
    assert faults(shelf.index) == []
    store.down = False
    assert scrub.look_some() == 3


def test_a_real_store_that_lost_a_version(shelf: Shelf, seaweed: Seaweed, clock: FakeClock) -> None:
    store = open_store(seaweed.settings(f"scrub-{new_id()}"))
    lost, kept = upload(shelf, store, clock, 2)
    store.delete_version(str(lost.store_key), str(lost.store_version))
    for kind in (ScrubKind.BYTES, ScrubKind.PRESENCE):
        done = go_round(shelf.index, store, clock, kind, shelf.spool)
        assert (done.objects, done.faults) == (2, 1 if kind is ScrubKind.BYTES else 0)
    (fault,) = faults(shelf.index)
    assert (fault.kind, fault.mended_from) == (StoreFaultKind.MISSING, "spool")
    row = row_of(shelf.index, lost.id)
    assert row.store_version not in (lost.store_version, kept.store_version)
    assert sha256_of(store.read(str(row.store_key), str(row.store_version))) == lost.sha256
    assert row.lock_due_us == AT_ONCE


def records_of(shelf: Shelf, store: LockingStore, clock: FakeClock) -> RecordObject:
    """A day's records in the store, and in the index."""
    chained(shelf.index, a_stream(shelf.index), 3)
    clock.advance(2 * DAY_US)
    assert RecordsWriter(shelf.index, store, clock, store.prepare).write_due() == 1
    with shelf.index.read() as orm:
        return orm.scalars(select(RecordObject)).one()


def test_records_are_written_again_from_the_index(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    made = records_of(shelf, store, clock)
    done = go_round(shelf.index, store, clock, ScrubKind.BYTES, shelf.spool)
    assert (done.objects, done.faults) == (1, 0)
    held = store.read(made.store_key, made.store_version)
    store.delete_version(made.store_key, made.store_version)
    done = go_round(shelf.index, store, clock, ScrubKind.BYTES, shelf.spool)
    assert (done.objects, done.faults) == (1, 1)
    (fault,) = faults(shelf.index)
    assert (fault.store_key, fault.mended_from) == (made.store_key, "index")
    with shelf.index.read() as orm:
        row = orm.get_one(RecordObject, made.id)
    assert store.read(row.store_key, row.store_version) == held
    assert row.lock_due_us == AT_ONCE
    assert alarm(shelf.index) is None


@pytest.mark.parametrize("harm", ["changed", "gone", "dropped"])
def test_records_that_the_index_has_otherwise_are_refused(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, harm: str
) -> None:
    made = records_of(shelf, store, clock)
    with shelf.index.write() as orm:
        row = orm.scalars(select(Record).where(Record.seq == 1)).one()
        if harm == "gone":
            orm.delete(row)
        else:
            row.body = str(row.body).replace('"seq":1', '"seq":7') if harm == "changed" else None
    store.delete_version(made.store_key, made.store_version)
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    (fault,) = faults(shelf.index)
    assert fault.mended_us is None and store.objects == {}
    raised = alarm(shelf.index)
    assert raised is not None and made.store_key in str(raised.cause)


def test_a_real_store_that_lost_records(shelf: Shelf, seaweed: Seaweed, clock: FakeClock) -> None:
    store = open_store(seaweed.settings(f"scrub-{new_id()}"))
    made = records_of(shelf, store, clock)
    held = store.read(made.store_key, made.store_version)
    store.delete_version(made.store_key, made.store_version)
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    (fault,) = faults(shelf.index)
    assert (fault.kind, fault.mended_from) == (StoreFaultKind.MISSING, "index")
    with shelf.index.read() as orm:
        row = orm.get_one(RecordObject, made.id)
    assert row.store_version != made.store_version
    assert store.read(row.store_key, row.store_version) == held


def test_a_store_in_a_folder_that_lost_records(
    shelf: Shelf, clock: FakeClock, tmp_path: Path
) -> None:
    store = open_store(load_settings(data=tmp_path, store=f"file://{tmp_path}/store"))
    made = records_of(shelf, store, clock)
    (file,) = (tmp_path / "store").rglob("records-*.ndjson")
    held = file.read_bytes()
    file.unlink()
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    assert [fault.mended_from for fault in faults(shelf.index)] == ["index"]
    assert store.read(made.store_key, made.store_version) == file.read_bytes() == held
    # It has one file under this name: a damaged one is not written over, and stays as evidence.
    file.chmod(0o600)
    file.write_bytes(held.replace(b"segment", b"Segment"))
    go_round(shelf.index, store, clock, ScrubKind.BYTES, shelf.spool)
    assert alarm(shelf.index) is not None
    file.rename(tmp_path / "aside")
    go_round(shelf.index, store, clock, ScrubKind.PRESENCE, shelf.spool)
    assert alarm(shelf.index) is None
    assert file.read_bytes() == held
