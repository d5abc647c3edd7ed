"""A store in memory, for tests: it can be full, down, slow to believe, or made to rot."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from bidwitness.clock import Clock, SystemClock
from bidwitness.errors import (
    BidWitnessError,
    Conflict,
    NotFound,
    StorageFull,
    StoreError,
)
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store.base import (
    Attacks,
    Found,
    Listed,
    Page,
    Place,
    Source,
    StoredVersion,
    brought_up,
    check_key,
    chunks_of,
    digest_of,
    locked_error,
    opened,
    shortening_error,
    source_damaged,
)
from bidwitness.words import LockLevel

CHUNK = 4096


class MemoryStore:
    """Honest unless told otherwise: ``down`` and ``full`` are switches, ``failures`` a countdown.

    ``lax``: it says that it locks, and removes all the same.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.locks: dict[tuple[str, str], Lock] = {}
        self.level = LockLevel.STORE
        self.lax = False
        self.objects: dict[tuple[str, str], bytes] = {}
        # Delete markers: (key, version).
        self.markers: list[tuple[str, str]] = []
        self.down = False
        self.full = False
        self.failures = 0
        self.calls: list[tuple[str, str]] = []

    def _call(self, name: str, key: str = "") -> None:
        self.calls.append((name, key))
        if self.failures:
            self.failures -= 1
            raise StoreError("The store in memory fails this once.")
        if self.down:
            raise StoreError("The store in memory is switched off.")

    def prepare(self) -> None:
        self._call("prepare")

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        check_key(key)
        self._call("put", key)
        with opened(source) as file:
            data = b"".join(chunks_of(file))
        if digest_of(iter([data]))[0] != sha256:
            raise source_damaged(key)
        stored = StoredVersion(key, sha256.hex(), len(data), sha256)
        present = [version for held, version in self.objects if held == key]
        if sha256.hex() in present:
            brought_up(self, key, stored.version, lock)
            return stored
        if present and expect_absent:
            raise Conflict(f"The store already holds other bytes as {key}.")
        if self.full:
            raise StorageFull("The store in memory is full.")
        self.objects[key, sha256.hex()] = data
        brought_up(self, key, stored.version, lock)
        return stored

    def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        self._call("read", key)
        data = self._held(key, version)
        return data[offset:] if length is None else data[offset : offset + length]

    def stream(self, key: str, version: str, offset: int = 0) -> Iterator[bytes]:
        data = self._held(key, version)
        for start in range(offset, len(data), CHUNK):
            self._call("stream", key)
            yield data[start : start + CHUNK]

    def stat(self, key: str, version: str | None = None) -> Found:
        self._call("stat", key)
        if version is None:
            version = next((v for k, v in reversed([*self.objects]) if k == key), "")
        return Found(key, version, len(self._held(key, version)), bytes.fromhex(version))

    def list(self, prefix: str = "") -> Iterator[Found]:
        self._call("list", prefix)
        for key, version in sorted(self.objects):
            if key.startswith(prefix):
                yield self.stat(key, version)

    def hide(self, key: str) -> str:
        """Remove an object without naming a version: that leaves a delete marker, and no more."""
        self.markers.append((key, f"marker-{len(self.markers)}"))
        return self.markers[-1][1]

    def versions(self, prefix: str = "", after: Place | None = None, limit: int = 1000) -> Page:
        self._call("versions", prefix)
        newest = dict((*self.objects, *self.markers))
        listed = [
            Listed(key, version, len(data), False, newest[key] == version, None)
            for (key, version), data in self.objects.items()
        ]
        listed += [Listed(k, v, 0, True, newest[k] == v, None) for k, v in self.markers]
        rest = [
            item
            for item in sorted(listed, key=lambda item: (item.key, item.version))
            if item.key.startswith(prefix)
            and (
                after is None
                or item.key > after.key
                or (item.key == after.key and item.version > (after.version or "~"))
            )
        ]
        page = tuple(rest[:limit])
        more = Place(page[-1].key, page[-1].version) if len(rest) > limit else None
        return Page(page, more)

    def delete_version(self, key: str, version: str) -> None:
        self._call("delete_version", key)
        lock = self.locks.get((check_key(key), version), UNLOCKED)
        if lock.forbids(self.clock.utc_us()) and not self.lax:
            raise locked_error(key, lock)
        self.objects.pop((key, version), None)
        self.locks.pop((key, version), None)

    def lock_level(self) -> LockLevel:
        self._call("lock_level")
        return self.level

    def lock_of(self, key: str, version: str) -> Lock:
        self._call("lock_of", key)
        self._held(key, version)
        return self.locks.get((key, version), UNLOCKED)

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        if until_us < (self.lock_of(key, version).until_us or 0):
            raise shortening_error(key)
        return self._relock("retain", key, version, lambda lock: replace(lock, until_us=until_us))

    def hold(self, key: str, version: str) -> Lock:
        return self._relock("hold", key, version, lambda lock: replace(lock, held=True))

    def release(self, key: str, version: str) -> Lock:
        return self._relock("release", key, version, lambda lock: replace(lock, held=False))

    def attacks(self) -> Attacks:
        return _MemoryAttacks(self)

    def _relock(self, name: str, key: str, version: str, change: Callable[[Lock], Lock]) -> Lock:
        self._call(name, key)
        self.locks[key, version] = change(self.lock_of(key, version))
        return self.locks[key, version]

    def is_permanent(self, error: Exception) -> bool:
        return isinstance(error, BidWitnessError) and not isinstance(
            error, StoreError | StorageFull
        )

    def rot(self, key: str) -> None:
        """Change one byte of what is held as ``key``, as a bad disk would."""
        for held, version in self.objects:
            if held == key:
                data = self.objects[held, version]
                self.objects[held, version] = bytes([data[0] ^ 1]) + data[1:]

    def _held(self, key: str, version: str) -> bytes:
        try:
            return self.objects[check_key(key), version]
        except KeyError:
            raise NotFound(f"The store has no such version of {key}.") from None


class _MemoryAttacks:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def delete(self, key: str, version: str) -> None:
        with suppress(Conflict):
            self._store.delete_version(key, version)

    def shorten(self, key: str, version: str, until_us: int) -> None:
        with suppress(Conflict):
            self._store.retain(key, version, until_us)

    def bypass(self, key: str, version: str) -> None:
        self.delete(key, version)

    def delete_many(self, versions: Sequence[tuple[str, str]]) -> None:
        for key, version in versions:
            self.delete(key, version)


def sha256_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
