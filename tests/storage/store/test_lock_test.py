"""The lock self-test: an honest store passes, and each way of failing is found."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.memory_store import MemoryStore, sha256_of
from support.seaweed import Seaweed
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.errors import StoreError
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.storage.store.file import FileStore
from bidwitness.storage.store.lock_test import PREFIX, LockTrial
from bidwitness.words import LockLevel

SECOND = 1_000_000
STEPS = ["lock_at_put", "deletion", "shortening", "bypass", "batch", "overwrite"]
ALL_STEPS = [*STEPS, "expiry", "hold", "release"]


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LockingStore]:
    made: LockingStore
    if request.param == "file":
        made = FileStore(tmp_path / "store")
    else:
        made = open_store(request.getfixturevalue("seaweed").settings("lock-test"))
    made.prepare()
    yield made


def test_a_real_store_proves_its_locks_and_nothing_is_left(store: LockingStore) -> None:
    trial = LockTrial(store, SystemClock(), 3 * SECOND)
    trial.begin()
    assert trial.passed
    assert [finding.step for finding in trial.findings] == STEPS
    wait_until(lambda: trial.ripe() and trial.finish(), 30, "the retention to run out")
    assert [finding.step for finding in trial.findings] == ALL_STEPS
    assert trial.passed, trial.findings
    assert trial.level is store.lock_level()
    assert list(store.list(PREFIX)) == []


def test_a_bucket_without_object_lock_fails_and_says_why(seaweed: Seaweed) -> None:
    seaweed.client().make_bucket("not-lockable")
    store = open_store(seaweed.settings("not-lockable"))
    store.prepare()
    trial = LockTrial(store, SystemClock())
    trial.begin()
    assert not trial.passed
    assert trial.level is LockLevel.NONE
    assert "no Object Lock" in trial.findings[0].said
    assert trial.finish()


def test_a_real_bucket_that_only_claims_to_lock_fails(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweed.client().make_bucket("boasts-of-locks")
    store = open_store(seaweed.settings("boasts-of-locks"))
    store.prepare()
    monkeypatch.setattr(store, "lock_level", lambda: LockLevel.STORE)
    trial = LockTrial(store, SystemClock())
    trial.begin()
    assert [(finding.step, finding.ok) for finding in trial.findings] == [("lock_at_put", False)]
    assert trial.finish()


class Deaf(MemoryStore):
    """Takes the lock and forgets it."""

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        return Lock(until_us)


class Shortening(MemoryStore):
    def retain(self, key: str, version: str, until_us: int) -> Lock:
        self.locks[key, version] = Lock(until_us, self.lock_of(key, version).held)
        return self.locks[key, version]


class Batchwise(MemoryStore):
    """Of many at once it looks at the first only."""

    def attacks(self) -> "_Batchwise":  # type: ignore[override]  # has what is asked
        return _Batchwise(self)


class _Batchwise:
    def __init__(self, store: MemoryStore) -> None:
        self.inner, self.store = MemoryStore.attacks(store), store

    def delete(self, key: str, version: str) -> None:
        self.inner.delete(key, version)

    def shorten(self, key: str, version: str, until_us: int) -> None:
        self.inner.shorten(key, version, until_us)

    def bypass(self, key: str, version: str) -> None:
        self.inner.bypass(key, version)

    def delete_many(self, versions: Sequence[tuple[str, str]]) -> None:
        for here in versions:
            self.store.objects.pop(here, None)


class Bypassable(Batchwise):
    def attacks(self) -> "_Bypassable":  # type: ignore[override]  # has what is asked
        return _Bypassable(self)


class _Bypassable(_Batchwise):
    def bypass(self, key: str, version: str) -> None:
        self.store.objects.pop((key, version), None)


class Forgetful(MemoryStore):
    """A hold counts only while there is a retention, as in a gateway that was read."""

    def delete_version(self, key: str, version: str) -> None:
        lock = self.locks.get((key, version), UNLOCKED)
        if lock.until_us is not None and lock.until_us <= self.clock.utc_us():
            self.locks.pop((key, version))
        super().delete_version(key, version)


class Stuck(MemoryStore):
    """What was locked once can never be removed."""

    def delete_version(self, key: str, version: str) -> None:
        if (key, version) not in self.locks:
            super().delete_version(key, version)


class Lax(MemoryStore):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.lax = True


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (Deaf, "lock_at_put"),
        (Lax, "deletion"),
        (Shortening, "shortening"),
        (Bypassable, "bypass"),
        (Batchwise, "batch"),
        (Forgetful, "hold"),
        (Stuck, "expiry"),
    ],
)
def test_each_way_of_failing_is_found(kind: type[MemoryStore], step: str) -> None:
    clock = FakeClock()
    store = kind(clock)
    trial = LockTrial(store, clock, 10 * SECOND)
    trial.begin()
    for _ in range(5):
        clock.advance(30 * SECOND)
        if trial.finish():
            break
    failed = [finding.step for finding in trial.findings if not finding.ok]
    assert failed[0] == step
    assert not trial.passed


def test_a_late_clock_of_the_store_is_waited_for_a_while() -> None:
    clock, behind = FakeClock(), FakeClock()
    store = MemoryStore(behind)
    trial = LockTrial(store, clock, 10 * SECOND)
    trial.begin()
    clock.advance(20 * SECOND)
    assert trial.ripe() and not trial.finish()
    behind.advance(20 * SECOND)
    assert trial.finish() and trial.passed


def test_a_slow_store_is_given_time() -> None:
    clock = FakeClock()

    class Slow(MemoryStore):
        def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
            clock.advance(6 * SECOND)
            return super().read(key, version, offset, length)

    store = Slow(clock)
    trial = LockTrial(store, clock, 10 * SECOND)
    trial.begin()
    assert trial.passed, trial.findings
    assert [finding.step for finding in trial.findings] == STEPS
    clock.advance(60 * SECOND)
    assert trial.finish() and trial.passed, trial.findings
    assert list(store.list(PREFIX)) == []


def test_an_outage_says_nothing_of_the_locks() -> None:
    store = MemoryStore()
    store.down = True
    trial = LockTrial(store, FakeClock())
    with pytest.raises(StoreError):
        trial.begin()
    assert trial.findings == []


def test_what_an_interrupted_trial_left_is_removed_by_a_later_one() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    LockTrial(store, clock, 10 * SECOND).begin()
    data = b"of somebody else"
    store.put("footage/x", lambda: io.BytesIO(data), sha256_of(data))
    clock.advance(3600 * SECOND)
    trial = LockTrial(store, clock, 10 * SECOND)
    trial.begin()
    clock.advance(20 * SECOND)
    assert trial.finish() and trial.passed
    assert [found.key for found in store.list()] == ["footage/x"]


def test_an_outage_in_the_last_step_accuses_nobody() -> None:
    clock = FakeClock()

    class Outage(MemoryStore):
        once = True

        def delete_version(self, key: str, version: str) -> None:
            super().delete_version(key, version)
            if key.endswith("/held") and not self.lock_seen and self.once:
                self.once = False
                raise StoreError("The connection was lost after it was removed.")

        @property
        def lock_seen(self) -> bool:
            return any(lock.held for lock in self.locks.values())

    store = Outage(clock)
    trial = LockTrial(store, clock, 10 * SECOND)
    trial.begin()
    clock.advance(20 * SECOND)
    with pytest.raises(StoreError, match="connection"):
        trial.finish()
    assert trial.finish()
    assert trial.passed, trial.findings
    assert [finding.step for finding in trial.findings] == ALL_STEPS


def test_two_trials_at_once_leave_each_other_alone() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    first, second = LockTrial(store, clock, 10 * SECOND), LockTrial(store, clock, 30 * SECOND)
    first.begin()
    second.begin()
    clock.advance(40 * SECOND)
    for trial in (first, second):
        assert trial.finish() and trial.passed, trial.findings
    assert list(store.list(PREFIX)) == []
