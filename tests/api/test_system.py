"""What the installation says of its store."""

from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.memory_store import MemoryStore

from bidwitness.storage.keep.store_gate import StoreGate
from bidwitness.words import LockLevel, Role

PATH = "/api/v1/system/store"


def tried(api: RunningApi, clock: FakeClock, store: MemoryStore) -> None:
    gate = StoreGate(api.database, store, clock, accept=True)
    gate()
    clock.advance(60_000_000)
    gate.watch()


def test_the_newest_lock_test_is_shown(api: RunningApi, clock: FakeClock) -> None:
    with api.as_user("admin", Role.SYSTEM_ADMIN) as client:
        answer = client.get(PATH).json()
        assert (answer["level"], answer["passed"], answer["findings"]) == (None, None, [])
        tried(api, clock, MemoryStore(clock))
        tested_at = clock.utc_us()
        answer = client.get(PATH).json()
        assert (answer["level"], answer["passed"]) == ("store", True)
        assert answer["tested_at"] == tested_at
        assert all(step["ok"] for step in answer["findings"])
        assert (answer["accepted"], answer["late"]) == (False, 0)
        bad = MemoryStore(clock)
        bad.level = LockLevel.NONE
        tried(api, clock, bad)
        answer = client.get(PATH).json()
        assert (answer["level"], answer["passed"]) == ("none", False)
        assert "no Object Lock" in answer["findings"][0]["said"]
    with api.client() as client:
        lines = client.get("/metrics").text.splitlines()
    assert 'bidwitness_store_locks_hold{level="none"} 0' in lines
    assert "bidwitness_locks_late 0" in lines


def test_it_is_for_those_who_watch(api: RunningApi) -> None:
    with api.client() as client:
        problem_of(client.get(PATH), 401, "unauthenticated")
    with api.as_user("someone", Role.AUDITOR) as client:
        problem_of(client.get(PATH), 403, "forbidden")
