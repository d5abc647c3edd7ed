"""Every store lists every version and delete marker, in pages, from any place on."""

import io
from collections.abc import Callable

import pytest
from support.memory_store import MemoryStore, sha256_of
from support.seaweed import Seaweed

from bidwitness.clock import SystemClock
from bidwitness.ids import new_id
from bidwitness.storage.store import Listed, LockingStore, Place, Retrying, Store


def put(store: Store, key: str, data: bytes) -> str:
    source = lambda: io.BytesIO(data)
    return store.put(key, source, sha256_of(data), expect_absent=False).version


def everything(store: Store, prefix: str, limit: int) -> list[Listed]:
    """Follow the pages to the end; none may be longer than asked for."""
    found: list[Listed] = []
    place: Place | None = None
    while True:
        page = store.versions(prefix, place, limit)
        assert len(page.listed) <= limit
        found += page.listed
        if page.more is None:
            return found
        place = page.more


@pytest.fixture
def hide(store: LockingStore, request: pytest.FixtureRequest) -> Callable[[str], object]:
    """Remove an object without naming a version, past our own code."""
    if isinstance(store, MemoryStore):
        return store.hide
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    return lambda key: seaweed.client().remove_object("contract", key)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_any_length_tell_all_versions(store: LockingStore, limit: int) -> None:
    root = f"versions/{new_id()}"
    made = {(f"{root}/{name}", put(store, f"{root}/{name}", name.encode())) for name in "abcd"}
    made |= {(f"{root}/b", put(store, f"{root}/b", data)) for data in (b"2", b"3", b"4")}
    put(store, f"{root}0", b"not below it")
    found = everything(store, f"{root}/", limit)
    assert {(item.key, item.version) for item in found} == made
    assert len(found) == len(made)
    assert [item.key for item in found] == sorted(item.key for item in found)
    assert not any(item.marker for item in found)
    assert {item.size for item in found} == {1}
    assert [item.key for item in found if item.newest] == [f"{root}/{name}" for name in "abcd"]
    assert everything(store, f"{root}/nothing/", limit) == []


def test_a_listing_goes_on_behind_a_key_that_is_gone(store: LockingStore) -> None:
    root = f"versions/{new_id()}"
    for name in ("a/1", "a/2", "b/1", "b/2", "c"):
        put(store, f"{root}/{name}", name.encode())
    page = store.versions(f"{root}/", None, 3)
    assert page.more is not None
    assert [item.key.removeprefix(root) for item in page.listed] == ["/a/1", "/a/2", "/b/1"]
    store.delete_version(page.listed[-1].key, page.listed[-1].version)
    rest = store.versions(f"{root}/", page.more, 3)
    assert [item.key.removeprefix(root) for item in rest.listed] == ["/b/2", "/c"]
    behind = store.versions(f"{root}/", Place(f"{root}/a/2"), 100)
    assert [item.key.removeprefix(root) for item in behind.listed] == ["/b/2", "/c"]


# A folder has no delete markers.
@pytest.mark.parametrize("store", ["memory", "s3"], indirect=True)
def test_what_a_marker_hides_is_listed_and_read_by_its_version(
    store: LockingStore, key: str, hide: Callable[[str], object]
) -> None:
    version = put(store, key, b"footage")
    hide(key)
    found = everything(store, key, 1)
    assert {(item.version == version, item.marker, item.newest) for item in found} == {
        (True, False, False),
        (False, True, True),
    }
    assert store.read(key, version) == b"footage"


def test_the_newest_version_is_said(store: LockingStore, key: str) -> None:
    put(store, key, b"first")
    second = put(store, key, b"second")
    found = everything(store, key, 10)
    assert [item.version for item in found if item.newest] == [second]


def test_a_page_that_fails_is_asked_for_again() -> None:
    store = MemoryStore()
    put(store, "a/1", b"1")
    store.failures = 2
    page = Retrying(store, SystemClock(), waits=(0.0, 0.0)).versions("a/")
    assert len(page.listed) == 1
