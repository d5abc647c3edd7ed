"""Nothing goes into a store whose locks do not hold, unless somebody has said that it may."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import START, Shelf, a_stream

from bidwitness.errors import StoreError
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, AuditEntry, LockTest, Outbox, Segment
from bidwitness.storage.keep.store_gate import AGAIN_US, EVERY_US, StoreGate
from bidwitness.storage.keep.upload import Uploader
from bidwitness.words import LockLevel

SECOND = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


def noted(index: Database) -> list[LockTest]:
    with index.read() as orm:
        return list(orm.scalars(select(LockTest).order_by(LockTest.id)))


def alarm(index: Database) -> Alarm | None:
    with index.read() as orm:
        return open_alarm(orm, "locks_unproven", "store")


def test_a_good_store_is_used_at_once_and_its_test_ended_later(
    index: Database, store: MemoryStore, clock: FakeClock
) -> None:
    gate = StoreGate(index, store, clock)
    assert not gate.able()
    gate()
    gate()
    assert gate.able()
    gate.watch()
    assert noted(index) == []
    clock.advance(30 * SECOND)
    gate.watch()
    (found,) = noted(index)
    assert found.passed and found.level is LockLevel.STORE
    assert [step["step"] for step in found.findings][-2:] == ["hold", "release"]
    assert alarm(index) is None
    with index.read() as orm:
        entry = orm.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.allowed) == ("store.lock_test", True)
        assert orm.scalars(select(Outbox)).one().kind == "audit"  # so it is in the ledger
    assert [name for name, _ in store.calls].count("prepare") == 1
    # And once a day from then on.
    gate.watch()
    assert len(noted(index)) == 1
    clock.advance(EVERY_US)
    gate.watch()
    clock.advance(30 * SECOND)
    gate.watch()
    assert len(noted(index)) == 2


def test_a_bad_store_gets_nothing_until_it_is_mended(
    index: Database, store: MemoryStore, clock: FakeClock, tmp_path: Path
) -> None:
    store.lax = True
    gate = StoreGate(index, store, clock)
    shelf = Shelf(index, tmp_path / "spool")
    segment = shelf.segment(a_stream(index))
    upload = Uploader(index, store, shelf.spool, clock, gate)
    for _ in range(2):
        with pytest.raises(StoreError, match="BIDWITNESS_ACCEPT_UNLOCKED_STORE"):
            upload.upload_some()
    assert not list(store.list("footage/"))
    (found,) = noted(index)
    assert not found.passed
    standing = alarm(index)
    assert standing is not None and "deletion" in str(standing.cause)
    with index.read() as orm:
        assert open_alarm(orm, "store_down", "store") is not None
        assert orm.scalars(select(AuditEntry)).one().allowed is False
        assert orm.get_one(Segment, segment.id).stored_us is None
    store.lax = False
    clock.advance(AGAIN_US + 1)
    gate.watch()
    assert upload.upload_some() == 1
    clock.advance(30 * SECOND)
    gate.watch()
    assert alarm(index) is None


def test_it_is_used_when_somebody_has_accepted_that_and_that_is_audited(
    index: Database, store: MemoryStore, clock: FakeClock
) -> None:
    store.level = LockLevel.NONE
    gate = StoreGate(index, store, clock, accept=True)
    gate()
    assert not gate.able()
    assert alarm(index) is not None
    with index.read() as orm:
        entry = orm.scalars(select(AuditEntry)).one()
    assert entry.allowed
    assert entry.facts is not None and entry.facts["accepted"] is True


def test_a_hold_that_does_not_last_shuts_the_gate_again(
    index: Database, store: MemoryStore, clock: FakeClock
) -> None:
    gate = StoreGate(index, store, clock)
    gate()
    for here, lock in [*store.locks.items()]:
        if lock.held:
            store.objects.pop(here)
    clock.advance(30 * SECOND)
    gate.watch()
    with pytest.raises(StoreError, match="hold"):
        gate()
    assert alarm(index) is not None


def test_an_outage_is_no_finding(index: Database, store: MemoryStore, clock: FakeClock) -> None:
    store.down = True
    gate = StoreGate(index, store, clock)
    with pytest.raises(StoreError, match="switched off"):
        gate()
    assert noted(index) == [] and alarm(index) is None
    store.down = False
    gate()
