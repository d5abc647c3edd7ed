"""Passing errors are tried again, permanent ones are not, and a broken stream goes on."""

import io

import pytest
from support.clock import FakeClock
from support.memory_store import CHUNK, MemoryStore, sha256_of

from bidwitness.errors import Conflict, StoreError
from bidwitness.storage.store import Retrying

BODY = bytes(range(256)) * 64


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(inner: MemoryStore, clock: FakeClock) -> Retrying:
    return Retrying(inner, clock, waits=(1.0, 2.0))


def put(store: Retrying, data: bytes = BODY) -> str:
    return store.put("a", lambda: io.BytesIO(data), sha256_of(data)).version


def test_a_passing_error_is_tried_again_after_each_wait(
    store: Retrying, inner: MemoryStore, clock: FakeClock
) -> None:
    inner.failures = 2
    before = clock.monotonic_us()
    version = put(store)
    assert clock.monotonic_us() - before == 3_000_000
    assert store.read("a", version) == BODY


def test_it_gives_up_after_the_last_wait(store: Retrying, inner: MemoryStore) -> None:
    inner.down = True
    with pytest.raises(StoreError):
        put(store)
    assert inner.calls.count(("put", "a")) == 3


def test_a_permanent_error_is_not_tried_again(store: Retrying, inner: MemoryStore) -> None:
    put(store)
    with pytest.raises(Conflict):
        put(store, b"other")
    assert inner.calls.count(("put", "a")) == 2


def test_a_broken_stream_goes_on_where_it_stopped(store: Retrying, inner: MemoryStore) -> None:
    version = put(store)
    chunks = store.stream("a", version)
    got = next(chunks)
    inner.failures = 1
    got += next(chunks)
    inner.failures = 2
    got += b"".join(chunks)
    assert got == BODY
    assert len(got) > 3 * CHUNK


def test_everything_else_is_passed_through(store: Retrying, inner: MemoryStore) -> None:
    store.prepare()
    version = put(store)
    inner.failures = 1
    assert store.stat("a").version == version
    inner.failures = 1
    assert [f.key for f in store.list("a")] == ["a"]
    inner.failures = 1
    store.delete_version("a", version)
    assert not inner.objects
