"""One suite for every store: in memory, in a folder, and a real S3 server."""

import io
import os
import threading
from pathlib import Path

import pytest
from support.memory_store import sha256_of

from bidwitness.errors import BidWitnessError, Conflict, DamageFound, InvalidInput, NotFound
from bidwitness.ids import new_id
from bidwitness.storage.store import Source, Store

BODY = b"ftyp moov moof mdat " * 1000


@pytest.fixture(params=["path", "opener"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "opener":
        return lambda: io.BytesIO(BODY)
    path = tmp_path / "segment.mp4"
    path.write_bytes(BODY)
    return path


def of(data: bytes) -> Source:
    return lambda: io.BytesIO(data)


def test_what_is_put_is_read_back(store: Store, key: str, source: Source) -> None:
    stored = store.put(key, source, sha256_of(BODY))
    assert (stored.key, stored.size, stored.sha256) == (key, len(BODY), sha256_of(BODY))
    assert store.read(key, stored.version) == BODY
    assert b"".join(store.stream(key, stored.version)) == BODY
    found = store.stat(key, stored.version)
    assert (found.version, found.size) == (stored.version, len(BODY))
    assert found.said_sha256 == sha256_of(BODY)
    assert store.stat(key).version == stored.version


def test_ranges(store: Store, key: str) -> None:
    version = store.put(key, of(BODY), sha256_of(BODY)).version
    assert store.read(key, version, 5, 10) == BODY[5:15]
    assert store.read(key, version, 5) == BODY[5:]
    assert store.read(key, version, 7, 0) == b""
    assert store.read(key, version, len(BODY) - 3, 100) == BODY[-3:]
    assert store.read(key, version, len(BODY) + 10, 5) == b""
    assert b"".join(store.stream(key, version, 100)) == BODY[100:]
    assert b"".join(store.stream(key, version, len(BODY))) == b""


def test_nothing_at_all_can_be_kept_too(store: Store, key: str) -> None:
    version = store.put(key, of(b""), sha256_of(b"")).version
    assert store.read(key, version) == b""
    assert b"".join(store.stream(key, version)) == b""
    assert store.put(key, of(b""), sha256_of(b"")).version == version


def test_the_same_again_is_the_same_version(store: Store, key: str, source: Source) -> None:
    first = store.put(key, of(BODY), sha256_of(BODY))
    assert store.put(key, source, sha256_of(BODY)) == first
    assert len(list(store.list(key))) == 1


def test_other_bytes_under_a_taken_key_are_refused(store: Store, key: str) -> None:
    first = store.put(key, of(BODY), sha256_of(BODY))
    with pytest.raises(Conflict):
        store.put(key, of(b"other"), sha256_of(b"other"))
    assert store.read(key, first.version) == BODY
    assert len(list(store.list(key))) == 1


def test_a_further_version_leaves_the_first_readable(store: Store, key: str) -> None:
    first = store.put(key, of(BODY), sha256_of(BODY))
    second = store.put(key, of(b"other"), sha256_of(b"other"), expect_absent=False)
    assert first.version != second.version
    assert store.read(key, first.version) == BODY
    assert store.read(key, second.version) == b"other"
    assert {f.version for f in store.list(key)} == {first.version, second.version}
    store.delete_version(key, second.version)
    assert store.read(key, first.version) == BODY


def test_a_source_that_is_not_what_was_recorded_leaves_nothing(
    store: Store, key: str, source: Source
) -> None:
    with pytest.raises(DamageFound):
        store.put(key, source, sha256_of(b"what was recorded"))
    assert list(store.list(key)) == []
    with pytest.raises(NotFound):
        store.stat(key)


def test_what_is_not_there_is_not_found(store: Store, key: str) -> None:
    unknown = "ab" * 32
    for version in (unknown, "no-version"):
        with pytest.raises(NotFound):
            store.read(key, version)
    version = store.put(key, of(BODY), sha256_of(BODY)).version
    for act in (
        lambda: store.read(key, unknown),
        lambda: list(store.stream(key, unknown)),
        lambda: store.stat(key, unknown),
        lambda: store.read(key + "x", version),
    ):
        with pytest.raises(NotFound) as caught:
            act()
        assert store.is_permanent(caught.value)


def test_removal_is_of_one_version_and_can_be_repeated(store: Store, key: str) -> None:
    version = store.put(key, of(BODY), sha256_of(BODY)).version
    store.delete_version(key, version)
    store.delete_version(key, version)
    with pytest.raises(NotFound):
        store.read(key, version)
    assert list(store.list(key)) == []
    # The key is free again, for other bytes as well.
    again = store.put(key, of(b"other"), sha256_of(b"other"))
    assert store.read(key, again.version) == b"other"


def test_listing_is_by_prefix(store: Store) -> None:
    root = f"list/{new_id()}"
    for name in ("a/1.mp4", "a/2.mp4", "ab/3.mp4", "b.ndjson"):
        store.put(f"{root}/{name}", of(name.encode()), sha256_of(name.encode()))
    named = [f.key.removeprefix(root + "/") for f in store.list(f"{root}/")]
    assert named == ["a/1.mp4", "a/2.mp4", "ab/3.mp4", "b.ndjson"]
    assert [f.key for f in store.list(f"{root}/a/")] == [f"{root}/a/1.mp4", f"{root}/a/2.mp4"]
    assert len(list(store.list(f"{root}/a"))) == 3
    assert list(store.list(f"{root}/nothing/")) == []
    assert [f.size for f in store.list(f"{root}/b")] == [len("b.ndjson")]


@pytest.mark.parametrize(
    "bad",
    [
        "", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/./b", ".hidden", "a/.b", "a\0b",
        "a b", "a\nb", "中", "x" * 500, "a/" + "y" * 121, "a.sha256-" + "0" * 64, "a\\b", "~/x",
    ],
)  # fmt: skip
def test_a_key_cannot_lead_anywhere_else(store: Store, bad: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for act in (
        lambda: store.put(bad, of(BODY), sha256_of(BODY)),
        lambda: store.read(bad, "ab" * 32),
        lambda: list(store.stream(bad, "ab" * 32)),
        lambda: store.stat(bad, "ab" * 32),
        lambda: store.delete_version(bad, "ab" * 32),
    ):
        with pytest.raises(InvalidInput) as caught:
            act()
        assert store.is_permanent(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_many_at_once(store: Store, key: str) -> None:
    results: list[bytes] = []
    errors: list[BidWitnessError] = []

    def put_and_read(number: int) -> None:
        data = number.to_bytes(2, "big") * 5000
        try:
            version = store.put(f"{key}-{number}", of(data), sha256_of(data)).version
            results.append(store.read(f"{key}-{number}", version))
        except BidWitnessError as error:
            errors.append(error)

    threads = [threading.Thread(target=put_and_read, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(results) == [n.to_bytes(2, "big") * 5000 for n in range(8)]


def test_an_object_of_many_parts(store: Store, key: str, tmp_path: Path) -> None:
    body = os.urandom(1 << 20) * 33
    path = tmp_path / "long.mp4"
    path.write_bytes(body)
    stored = store.put(key, path, sha256_of(body))
    assert store.read(key, stored.version, (1 << 25) - 10, 20) == body[(1 << 25) - 10 :][:20]
    assert store.stat(key).size == len(body)
