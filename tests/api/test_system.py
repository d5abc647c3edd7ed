"""What the installation says of its store."""

import io

from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.memory_store import MemoryStore, sha256_of

from bidwitness.storage.keep.store_gate import StoreGate
from bidwitness.storage.keep.surplus import SurplusWalk
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


def test_what_the_index_does_not_name_is_shown_and_accounted_for(
    api: RunningApi, clock: FakeClock
) -> None:
    store = MemoryStore(clock)
    store.put("footage/what", lambda: io.BytesIO(b"?"), sha256_of(b"?"))
    with api.as_user("admin", Role.SYSTEM_ADMIN) as client:
        answer = client.get(PATH).json()
        assert (answer["surplus"], answer["walked_at"]) == ({}, None)
        assert (answer["faults"], answer["present_at"], answer["read_at"]) == (0, None, None)
        walk = SurplusWalk(api.database, store, clock)
        walk.walk_some()
        walk.walk_some()
        answer = client.get(PATH).json()
        assert answer["surplus"] == {"unknown": 1}
        assert answer["walked_at"] == clock.utc_us()
        (item,) = client.get(f"{PATH}/surplus").json()["items"]
        assert (item["key"], item["kind"], item["accepted_at"]) == ("footage/what", "unknown", None)
        here = f"{PATH}/surplus/{item['id']}/accept"
        problem_of(client.post(here, json={}), 422, "invalid-input")
        told = client.post(here, json={"reason": "put there by hand"}).json()
        assert (told["accepted_by"], told["accepted_reason"]) == ("admin", "put there by hand")
        assert client.get(PATH).json()["surplus"] == {}
        problem_of(client.post(f"{PATH}/surplus/99/accept", json={"reason": "x"}), 404, "not-found")
    with api.as_user("watcher", Role.OPERATOR) as client:
        assert client.get(f"{PATH}/surplus").status_code == 200
        problem_of(client.post(here, json={"reason": "x"}), 403, "forbidden")


def test_it_is_for_those_who_watch(api: RunningApi) -> None:
    with api.client() as client:
        problem_of(client.get(PATH), 401, "unauthenticated")
    with api.as_user("someone", Role.AUDITOR) as client:
        problem_of(client.get(PATH), 403, "forbidden")
