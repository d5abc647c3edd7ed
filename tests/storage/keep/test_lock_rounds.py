"""Locks follow claims, holds and seals, are read back, and nothing locked is given up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import DAY, HOUR, MINUTE, START, Shelf, a_session, a_stream
from support.seaweed import Seaweed

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import Conflict, NotFound, StoreError
from bidwitness.ids import new_id
from bidwitness.locking import ROLLING_US, UNLOCKED, Lock
from bidwitness.retention.sweep import Sweep
from bidwitness.storage.holds import NewHold, place_hold, release_hold
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.claims import save_claim
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import look_at_locks
from bidwitness.storage.index.models import (
    Claim,
    Garbage,
    Item,
    Lot,
    Project,
    Record,
    RecordObject,
    RetentionPolicy,
    Segment,
    Session,
)
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.lock_rounds import LEASE_US, RETRY_US, LockKeeper
from bidwitness.storage.keep.locking import LockPlanner
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.words import (
    ClaimClass,
    LotPhase,
    Outcome,
    ProjectCategory,
    RoomKind,
    SessionState,
)

SETTINGS = load_settings()
LOOP = 30 * DAY
ME = Who("test")


class Keeper:
    """`keep` as far as locks go, with a store and a clock of the test's."""

    def __init__(self, index: Database, shelf: Shelf, store: LockingStore, clock: FakeClock):
        self.index, self.shelf, self.store, self.clock = index, shelf, store, clock
        self.stream = a_stream(index, RoomKind.OPENING)
        self.planner = LockPlanner(SETTINGS, lambda: True)
        self.locks = LockKeeper(index, store, clock, self.planner)

    def upload(self) -> None:
        work = Uploader(
            self.index,
            self.store,
            self.shelf.spool,
            self.clock,
            lambda: None,
            planner=self.planner,
        )
        while work.upload_some():
            pass

    def stored(self, from_us: int = START) -> Segment:
        segment = self.shelf.segment(self.stream, from_us)
        self.upload()
        return segment

    def round(self) -> None:
        while self.locks.keep_some():
            pass

    def row(self, segment: Segment) -> Segment:
        with self.index.read() as orm:
            return orm.get_one(Segment, segment.id)

    def lock(self, segment: Segment) -> Lock:
        """What the store says, which the index must say too."""
        row = self.row(segment)
        lock = self.store.lock_of(str(row.store_key), str(row.store_version))
        assert Lock(row.lock_until_us, row.lock_hold_us is not None) == lock
        return lock

    def claim(self, session: str, to_us: int | None = START + HOUR) -> str:
        with self.index.write() as orm:
            claim = Claim(
                session_id=session,
                stream_id=self.stream,
                from_us=START,
                to_us=to_us,
                klass=ClaimClass.LINKED,
                made_us=0,
                made_by="test",
            )
            return save_claim(orm, claim).id

    def seal(self, session: str, outcome: Outcome = Outcome.COMPLETED) -> None:
        with self.index.write() as orm:
            row = orm.get_one(Session, session)
            row.state, row.outcome = SessionState.SEALED, outcome
            look_at_locks(orm, self.stream, START, START + HOUR)

    def lot_of(self, session: str, until_us: int | None) -> str:
        """Make a lot the only one that the session is about."""
        with self.index.write() as orm:
            orm.execute(delete(Item).where(Item.session_id == session))
            project = Project(
                code=new_id(), name="p", category=ProjectCategory.PROCUREMENT, created_us=0
            )
            orm.add(project)
            orm.flush()
            lot = Lot(project_id=project.id, phase=LotPhase.REGISTERED)
            lot.retention_until_us = until_us
            orm.add(lot)
            orm.flush()
            orm.add(Item(session_id=session, lot_id=lot.id))
            return lot.id

    def alarm(self) -> str | None:
        with self.index.read() as orm:
            found = open_alarm(orm, "lock_failed", "store")
            return found.cause if found is not None else None

    def sweep(self) -> int:
        return Sweep(self.index, self.clock, SETTINGS, everything=True).sweep().segments

    def collect(self) -> int:
        work = Collector(self.index, self.store, self.shelf.spool, SystemFiles(), self.clock)
        return work.collect_some()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + HOUR)


@pytest.fixture
def keeper(index: Database, tmp_path: Path, clock: FakeClock) -> Keeper:
    return Keeper(index, Shelf(index, tmp_path / "spool"), MemoryStore(clock), clock)


def test_unclaimed_footage_is_retained_to_the_end_of_its_loop_and_then_goes(
    keeper: Keeper, clock: FakeClock
) -> None:
    segment = keeper.stored()
    ends = START + MINUTE + LOOP
    assert keeper.lock(segment) == Lock(ends)
    assert keeper.row(segment).lock_due_us is None
    clock.set_utc(ends - 1)
    assert keeper.sweep() == 0
    clock.set_utc(ends + 1)
    assert keeper.sweep() == 1
    keeper.collect()
    assert keeper.row(segment).store_version is None
    assert keeper.store.list() is not None and not list(keeper.store.list())


def test_a_shorter_loop_waits_for_the_lock_of_the_longer(keeper: Keeper, clock: FakeClock) -> None:
    segment = keeper.stored()
    with keeper.index.write() as orm:
        policy = RetentionPolicy(room_kind=RoomKind.OPENING, loop_days=5)
        policy.changed_us, policy.changed_by = 0, "test"
        orm.add(policy)
    clock.set_utc(START + 10 * DAY)
    assert keeper.sweep() == 0
    assert keeper.row(segment).removed_us is None
    clock.set_utc(START + MINUTE + LOOP + 1)
    assert keeper.sweep() == 1


def test_a_session_from_its_claim_to_the_end_of_its_period(
    keeper: Keeper, clock: FakeClock
) -> None:
    before = keeper.stored()
    session = a_session(keeper.index, state=SessionState.RECORDING)
    lot = keeper.lot_of(session, None)
    keeper.claim(session)
    during = keeper.stored(START + MINUTE)
    outside = keeper.stored(START + 2 * HOUR)
    # It begins with its lock, and what was there gets it; nothing beyond the loop.
    assert keeper.lock(during) == Lock(START + 2 * MINUTE + LOOP, True)
    keeper.round()
    assert keeper.lock(before) == Lock(START + MINUTE + LOOP, True)
    assert keeper.lock(outside) == Lock(START + 2 * HOUR + MINUTE + LOOP)
    keeper.seal(session)
    keeper.round()
    assert keeper.lock(before) == keeper.lock(during) == Lock(clock.utc_us() + ROLLING_US, True)
    for _ in range(30):
        clock.advance(7 * DAY)
        keeper.round()
        assert keeper.lock(before) == Lock(clock.utc_us() + ROLLING_US, True)
    until = clock.utc_us() + 4000 * DAY
    with keeper.index.write() as orm:
        orm.get_one(Lot, lot).retention_until_us = until
    # Nobody has said so: it is seen when the lock is looked at next.
    clock.advance(7 * DAY)
    keeper.round()
    assert keeper.lock(before) == keeper.lock(during) == Lock(until)
    assert keeper.lock(outside) == Lock(START + 2 * HOUR + MINUTE + LOOP)


def test_a_session_made_by_mistake_sets_no_date(keeper: Keeper) -> None:
    segment = keeper.stored()
    session = a_session(keeper.index)
    keeper.lot_of(session, START + 4000 * DAY)
    keeper.claim(session)
    keeper.seal(session, Outcome.MISTAKEN)
    keeper.round()
    assert keeper.lock(segment) == Lock(START + MINUTE + LOOP, True)


@pytest.mark.parametrize("of", ["session", "stream"])
def test_a_hold_is_one_in_the_store_until_it_is_released(
    keeper: Keeper, clock: FakeClock, of: str
) -> None:
    segment = keeper.stored()
    other = keeper.stored(START + 3 * HOUR)
    session = a_session(keeper.index)
    with keeper.index.write() as orm:
        if of == "session":
            # It covers what the session ever claimed, also what was taken from it.
            claim = Claim(session_id=session, stream_id=keeper.stream, from_us=START)
            claim.to_us, claim.klass, claim.made_us = START + HOUR, ClaimClass.OWN, 0
            claim.made_by, claim.withdrawn_us = "test", 5
            orm.add(claim)
            new = NewHold("case 1", "a complaint", session_id=session)
        else:
            new = NewHold("case 1", "a complaint", stream_id=keeper.stream, to_us=START + HOUR)
        hold = place_hold(orm, ME, 1, new).id
    keeper.round()
    assert keeper.lock(segment).held
    assert not keeper.lock(other).held
    clock.set_utc(START + 100 * DAY)
    keeper.sweep()
    keeper.collect()
    row = keeper.row(segment)
    assert keeper.store.read(str(row.store_key), str(row.store_version))
    assert keeper.row(other).removed_us is not None
    with pytest.raises(Conflict):
        keeper.store.delete_version(str(row.store_key), str(row.store_version))
    keeper.round()  # from here on it is not due for a week
    with keeper.index.write() as orm:
        release_hold(orm, ME, 2, hold, "it was withdrawn")
    # Until the store knows, the footage is not given up.
    assert keeper.sweep() == 0
    keeper.round()
    assert not keeper.lock(segment).held
    assert keeper.sweep() == 1
    keeper.collect()
    assert list(keeper.store.list()) == []


def test_what_is_claimed_while_it_travels_is_found(keeper: Keeper) -> None:
    session = a_session(keeper.index, state=SessionState.RECORDING)

    class Slow(MemoryStore):
        def put(self, *given: object, **more: object) -> object:  # type: ignore[override]  # passed on
            stored = super().put(*given, **more)  # type: ignore[arg-type]  # passed on
            keeper.claim(session)
            return stored

    keeper.store = Slow(keeper.clock)
    keeper.locks = LockKeeper(keeper.index, keeper.store, keeper.clock, keeper.planner)
    segment = keeper.stored()
    assert not keeper.lock(segment).held
    keeper.round()
    assert keeper.lock(segment).held


def test_what_changes_during_a_round_is_looked_at_again(keeper: Keeper) -> None:
    segment = keeper.stored()
    session = a_session(keeper.index, state=SessionState.RECORDING)

    class Busy(MemoryStore):
        once = True

        def lock_of(self, key: str, version: str) -> Lock:
            if self.once:
                self.once = False
                keeper.claim(session)
            return super().lock_of(key, version)

    busy = Busy(keeper.clock)
    inner = keeper.store
    assert isinstance(inner, MemoryStore)
    busy.objects, busy.locks = inner.objects, inner.locks
    keeper.store = busy
    keeper.locks = LockKeeper(keeper.index, busy, keeper.clock, keeper.planner)
    with keeper.index.write() as orm:
        look_at_locks(orm, keeper.stream, START, None)
    keeper.round()
    assert keeper.lock(segment).held


def test_a_failure_alarms_at_once_and_is_tried_again(keeper: Keeper, clock: FakeClock) -> None:
    segment = keeper.stored()
    session = a_session(keeper.index, state=SessionState.RECORDING)
    keeper.claim(session)
    store = keeper.store
    assert isinstance(store, MemoryStore)
    store.down = True
    with pytest.raises(StoreError):
        keeper.round()
    assert "switched off" in str(keeper.alarm())
    store.down = False
    keeper.round()
    assert keeper.alarm() is not None
    clock.advance(RETRY_US)
    keeper.round()
    assert keeper.alarm() is None
    assert keeper.lock(segment).held


def test_a_store_that_is_away_is_asked_once_a_round(keeper: Keeper) -> None:
    for minute in range(8):
        keeper.stored(START + minute * MINUTE)
    keeper.claim(a_session(keeper.index, state=SessionState.RECORDING))
    store = keeper.store
    assert isinstance(store, MemoryStore)
    store.down = True
    before = len(store.calls)
    with pytest.raises(StoreError):
        keeper.round()
    # By each of the two threads at the most.
    assert 1 <= len(store.calls) - before <= 2


def test_a_kill_in_a_round_is_made_good_by_the_next(keeper: Keeper, clock: FakeClock) -> None:
    segment = keeper.stored()
    keeper.claim(a_session(keeper.index, state=SessionState.RECORDING))

    class Killed(BaseException):
        pass

    class Mortal(LockKeeper):
        def _note(self, done: object) -> None:
            raise Killed

    with pytest.raises(Killed):
        Mortal(keeper.index, keeper.store, clock, keeper.planner).keep_some()
    keeper.round()
    clock.advance(LEASE_US)
    keeper.round()
    assert keeper.lock(segment).held
    assert keeper.row(segment).lock_checked_us == clock.utc_us()


def test_a_lock_that_was_taken_away_is_set_again_and_alarmed(
    keeper: Keeper, clock: FakeClock
) -> None:
    segment = keeper.stored()
    session = a_session(keeper.index)
    keeper.claim(session)
    keeper.seal(session)
    keeper.round()
    store = keeper.store
    assert isinstance(store, MemoryStore)
    store.locks.clear()
    clock.advance(7 * DAY)
    keeper.round()
    assert keeper.lock(segment) == Lock(clock.utc_us() + ROLLING_US, True)
    assert "less of a lock" in str(keeper.alarm())


def test_a_hold_of_somebody_elses_in_the_store_stays_and_stops_removal(
    keeper: Keeper, clock: FakeClock
) -> None:
    segment = keeper.stored()
    row = keeper.row(segment)
    keeper.store.hold(str(row.store_key), str(row.store_version))
    with keeper.index.write() as orm:
        look_at_locks(orm, keeper.stream, START, None)
    keeper.round()
    clock.set_utc(START + 100 * DAY)
    assert keeper.sweep() == 1
    for _ in range(3):
        assert keeper.collect() == 0
    with keeper.index.read() as orm:
        garbage = orm.scalars(select(Garbage)).one()
        alarm = open_alarm(orm, "removal_failed", f"garbage:{garbage.id}")
    assert alarm is not None and "legal hold" in str(alarm.cause)
    keeper.store.release(str(row.store_key), str(row.store_version))
    clock.advance(HOUR)
    assert keeper.collect() == 1


def test_a_store_whose_clock_is_behind_is_waited_for_without_alarm(
    keeper: Keeper, clock: FakeClock
) -> None:
    segment = keeper.stored()
    store = keeper.store
    assert isinstance(store, MemoryStore)
    clock.set_utc(START + MINUTE + LOOP + 1)
    store.clock = FakeClock(clock.utc_us() - 5_000_000)
    assert keeper.sweep() == 1
    assert keeper.collect() == 0
    with keeper.index.read() as orm:
        garbage = orm.scalars(select(Garbage)).one()
        assert open_alarm(orm, "removal_failed", f"garbage:{garbage.id}") is None
    store.clock = clock
    clock.advance(20_000_000)
    assert keeper.collect() == 1
    assert keeper.row(segment).store_version is None


def test_records_are_locked_as_their_day_is(keeper: Keeper, clock: FakeClock) -> None:
    keeper.shelf.segment(keeper.stream)
    with keeper.index.write() as orm:
        orm.scalars(select(Record)).one().seq = 0
    clock.set_utc(START + 2 * DAY)
    writer = RecordsWriter(keeper.index, keeper.store, clock, lambda: None, keeper.planner)
    assert writer.write_due() == 1
    keeper.round()

    def lock() -> Lock:
        with keeper.index.read() as orm:
            row = orm.scalars(select(RecordObject)).one()
        found = keeper.store.lock_of(row.store_key, row.store_version)
        assert Lock(row.lock_until_us, row.lock_hold_us is not None) == found
        return found

    midnight = 1_700_006_400_000_000
    assert lock() == Lock(midnight + LOOP)
    keeper.claim(a_session(keeper.index, state=SessionState.RECORDING))
    keeper.round()
    assert lock() == Lock(midnight + LOOP, True)


def test_a_store_without_locks_is_used_without(keeper: Keeper) -> None:
    keeper.planner = LockPlanner(SETTINGS, lambda: False)
    keeper.locks = LockKeeper(keeper.index, keeper.store, keeper.clock, keeper.planner)
    segment = keeper.stored()
    keeper.claim(a_session(keeper.index, state=SessionState.RECORDING))
    keeper.round()
    assert keeper.lock(segment) == UNLOCKED
    assert keeper.row(segment).lock_checked_us is None


@pytest.fixture
def now_keeper(sqlite_index: Database, tmp_path: Path, seaweed: Seaweed) -> Iterator[Keeper]:
    """With a real S3 server, which goes by the real time."""
    store = open_store(seaweed.settings("lock-rounds"))
    store.prepare()
    clock = FakeClock(SystemClock().utc_us())
    yield Keeper(sqlite_index, Shelf(sqlite_index, tmp_path / "spool"), store, clock)


def test_the_real_store_itself_refuses_what_is_retained_and_held(
    now_keeper: Keeper, seaweed: Seaweed
) -> None:
    keeper = now_keeper
    start = keeper.clock.utc_us() - HOUR
    retained, held = keeper.stored(start), keeper.stored(start + MINUTE)
    with keeper.index.write() as orm:
        new = NewHold(
            "case 1",
            "a complaint",
            stream_id=keeper.stream,
            from_us=start + MINUTE,
            to_us=start + 2 * MINUTE,
        )
        place_hold(orm, ME, 1, new)
    keeper.round()
    assert not keeper.lock(retained).held
    assert keeper.lock(held).held
    until = keeper.lock(retained).until_us or 0
    assert 0 <= until - (start + MINUTE + LOOP) < 1_000_000
    for segment in (retained, held):
        row = keeper.row(segment)
        here = (str(row.store_key), str(row.store_version))
        attack = keeper.store.attacks()
        for act in (attack.delete, attack.bypass):
            act(*here)
        attack.delete_many([here])
        seaweed.client().remove_object("lock-rounds", here[0])  # a marker hides it from others
        assert len(keeper.store.read(*here)) == row.bytes


class Stubborn(MemoryStore):
    """Refuses to lock what it is told to refuse."""

    refuses: str | None = None

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        if key == self.refuses:
            raise NotFound("The store has no such version.")
        return super().retain(key, version, until_us)


def test_what_cannot_be_locked_is_remembered_through_a_restart(
    index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    store = Stubborn(clock)
    shelf = Shelf(index, tmp_path / "spool")
    keeper = Keeper(index, shelf, store, clock)
    stuck, other = keeper.stored(), keeper.stored(START + MINUTE)
    session = a_session(index)
    keeper.claim(session)
    keeper.seal(session)
    store.refuses = str(keeper.row(stuck).store_key)
    keeper.round()
    failed_us = keeper.row(stuck).lock_failed_us
    assert failed_us == clock.utc_us()
    assert keeper.row(other).lock_failed_us is None
    assert keeper.alarm() is not None
    # Another process, which has only the other one to look at.
    clock.advance(MINUTE)
    again = Keeper(index, shelf, store, clock)
    with index.write() as orm:
        orm.get_one(Segment, other.id).lock_due_us = 0
    again.round()
    assert again.alarm() is not None
    clock.advance(HOUR)
    again.round()
    # Since when is told by the first time.
    assert again.row(stuck).lock_failed_us == failed_us
    store.refuses = None
    clock.advance(HOUR)
    again.round()
    assert again.row(stuck).lock_failed_us is None
    assert again.alarm() is None
