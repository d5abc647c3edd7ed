"""One suite for the locks of every store: in memory, in a folder, and a real S3 server."""

import io
import os
from pathlib import Path

import pytest
from minio.commonconfig import GOVERNANCE
from minio.retention import Retention
from support.memory_store import sha256_of
from support.seaweed import Seaweed
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import ConfigError, Conflict, NotFound, StoreError
from bidwitness.ids import new_id
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.storage.store.file import FileStore
from bidwitness.storage.store.s3_locks import retention_until
from bidwitness.words import LockLevel

BODY = b"ftyp moov moof mdat " * 100
SECOND = 1_000_000
DAY = 86_400 * SECOND


def put(store: LockingStore, key: str, lock: Lock = UNLOCKED, data: bytes = BODY) -> str:
    return store.put(key, lambda: io.BytesIO(data), sha256_of(data), lock=lock).version


def in_a(us: int) -> int:
    """So long from now, in whole seconds as S3 keeps them."""
    return (SystemClock().utc_us() + us) // SECOND * SECOND


def refuses(store: LockingStore, key: str, version: str) -> bool:
    try:
        store.delete_version(key, version)
    except Conflict as error:
        assert store.is_permanent(error)
        assert store.read(key, version) == BODY
        return True
    return False


def test_what_is_not_locked_says_so(store: LockingStore, key: str) -> None:
    version = put(store, key)
    assert store.lock_of(key, version) == UNLOCKED
    assert not refuses(store, key, version)


def test_a_version_can_begin_with_its_lock(store: LockingStore, key: str) -> None:
    lock = Lock(in_a(3 * SECOND), True)
    version = put(store, key, lock)
    assert store.lock_of(key, version) == lock
    assert refuses(store, key, version)
    # Putting it again neither takes anything away nor leaves anything out.
    assert put(store, key) == version
    assert store.lock_of(key, version) == lock
    longer = Lock(in_a(5 * SECOND), False)
    assert put(store, key, longer) == version
    assert store.lock_of(key, version) == Lock(longer.until_us, True)


def test_a_retention_refuses_removal_until_it_has_run_out(store: LockingStore, key: str) -> None:
    version = put(store, key)
    until = in_a(3 * SECOND)
    assert store.retain(key, version, until) == Lock(until, False)
    assert refuses(store, key, version)
    wait_until(lambda: not refuses(store, key, version), 30, "the retention to run out")
    with pytest.raises(NotFound):
        store.read(key, version)


def test_a_retention_only_grows(store: LockingStore, key: str) -> None:
    first, later = in_a(DAY), in_a(2 * DAY)
    version = put(store, key, Lock(first))
    with pytest.raises(Conflict, match="never shortened"):
        store.retain(key, version, first - DAY // 2)
    assert store.lock_of(key, version).until_us == first
    assert store.retain(key, version, later).until_us == later
    assert store.retain(key, version, later).until_us == later
    store.attacks().shorten(key, version, first)
    store.attacks().bypass(key, version)
    assert store.lock_of(key, version) == Lock(later)
    assert refuses(store, key, version)


def test_a_hold_stands_until_it_is_released(store: LockingStore, key: str) -> None:
    version = put(store, key)
    for _ in range(2):
        assert store.hold(key, version).held
    assert refuses(store, key, version)
    for _ in range(2):
        assert store.release(key, version) == UNLOCKED
    assert not refuses(store, key, version)


def test_a_hold_outlives_the_retention_and_leaves_it(store: LockingStore, key: str) -> None:
    until = in_a(3 * SECOND)
    version = put(store, key, Lock(until, True))
    wait_until(lambda: SystemClock().utc_us() > until + SECOND, 30, "the retention to run out")
    assert refuses(store, key, version)
    assert store.release(key, version).until_us == until
    wait_until(lambda: not refuses(store, key, version), 30, "it to be free")


def test_the_locked_one_of_many_stays(store: LockingStore, key: str) -> None:
    free, locked = put(store, f"{key}-1"), put(store, f"{key}-2", Lock(in_a(DAY)))
    store.attacks().delete_many([(f"{key}-1", free), (f"{key}-2", locked)])
    assert store.read(f"{key}-2", locked) == BODY
    with pytest.raises(NotFound):
        store.read(f"{key}-1", free)


def test_other_bytes_make_a_version_that_has_no_lock(store: LockingStore, key: str) -> None:
    locked = put(store, key, Lock(in_a(DAY)))
    other = store.put(key, lambda: io.BytesIO(b"other"), sha256_of(b"other"), expect_absent=False)
    assert store.lock_of(key, other.version) == UNLOCKED
    store.delete_version(key, other.version)
    assert store.read(key, locked) == BODY


def test_what_is_not_there_has_no_lock(store: LockingStore, key: str) -> None:
    version = put(store, key)
    store.delete_version(key, version)
    for act in (
        lambda: store.lock_of(key, version),
        lambda: store.retain(key, version, in_a(DAY)),
        lambda: store.hold(key, version),
        lambda: store.release(key, version),
    ):
        with pytest.raises(NotFound):
            act()


def test_each_says_who_refuses(store: LockingStore) -> None:
    wanted = LockLevel.PROGRAM if isinstance(store, FileStore) else LockLevel.STORE
    assert store.lock_level() is wanted


def test_an_object_of_many_parts_begins_with_its_lock(store: LockingStore, key: str) -> None:
    lock = Lock(in_a(3 * SECOND), True)
    body = os.urandom(1 << 20) * 33
    version = put(store, key, lock, body)
    assert store.lock_of(key, version) == lock
    store.release(key, version)


def test_a_bucket_without_object_lock_is_a_state_and_no_crash(seaweed: Seaweed) -> None:
    seaweed.client().make_bucket("never-locked")
    store = open_store(seaweed.settings("never-locked"))
    store.prepare()
    assert store.lock_level() is LockLevel.NONE
    version = put(store, "a")
    assert store.lock_of("a", version) == UNLOCKED
    with pytest.raises(StoreError):
        put(store, "b", Lock(in_a(DAY)))


def test_a_retention_that_can_be_lifted_counts_as_none(seaweed: Seaweed) -> None:
    store = open_store(seaweed.settings("locks"))
    store.prepare()
    key = f"governance/{new_id()}"
    version = put(store, key)
    until = retention_until(in_a(DAY)).retain_until_date
    seaweed.client().set_object_retention("locks", key, Retention(GOVERNANCE, until), version)
    assert store.lock_of(key, version) == UNLOCKED


def test_locks_in_a_folder_outlive_the_program_and_go_with_the_object(tmp_path: Path) -> None:
    lock = Lock(in_a(DAY), True)
    store = FileStore(tmp_path)
    store.prepare()
    version = put(store, "a/b.mp4", lock)
    again = FileStore(tmp_path)
    again.prepare()
    assert again.lock_of("a/b.mp4", version) == lock
    assert [found.key for found in again.list()] == ["a/b.mp4"]
    (file,) = (path for path in (tmp_path / ".locks").rglob("*") if path.is_file())
    file.write_text('{"held": tr')
    assert again.read("a/b.mp4", version) == BODY
    with pytest.raises(Exception, match="damaged"):
        again.delete_version("a/b.mp4", version)
    file.write_text('{"held": false, "retained_until_us": null}')
    again.delete_version("a/b.mp4", version)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_immutable_bit_where_the_system_allows_it(tmp_path: Path) -> None:
    store = open_store(load_settings(store=f"file://{tmp_path}/store?immutable=yes"))
    store.prepare()
    spooled = tmp_path / "segment.mp4"
    spooled.write_bytes(BODY)
    version = store.put("a.mp4", spooled, sha256_of(BODY)).version
    (path,) = (tmp_path / "store").glob("a.*")
    assert path.stat().st_ino == spooled.stat().st_ino
    store.hold("a.mp4", version)
    spooled.unlink()  # the bit waits for the spool's name to go
    store.hold("a.mp4", version)
    try:
        path.unlink()
        path.write_bytes(BODY)  # this system does not allow it
    except PermissionError:
        assert store.read("a.mp4", version) == BODY
    store.release("a.mp4", version)
    store.delete_version("a.mp4", version)
    assert not path.exists()


@pytest.mark.parametrize("query", ["immutable=perhaps", "mutable=yes"])
def test_an_address_that_cannot_be_meant(query: str) -> None:
    with pytest.raises(ConfigError, match="immutable"):
        open_store(load_settings(store=f"file:///folder?{query}"))
