"""Try again what may pass: a wrapper round any store, so that no store retries by itself."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from bidwitness.clock import Clock
from bidwitness.errors import Unavailable
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store.base import (
    Attacks,
    Found,
    LockingStore,
    Page,
    Place,
    Source,
    StoredVersion,
)
from bidwitness.words import LockLevel

log = logging.getLogger(__name__)

WAITS_S = (0.2, 1.0, 3.0)
Result = TypeVar("Result")


class Retrying:
    """A store whose passing errors are met by trying again after each of ``waits`` seconds."""

    def __init__(
        self, store: LockingStore, clock: Clock, waits: tuple[float, ...] = WAITS_S
    ) -> None:
        self._store = store
        self._clock = clock
        self._waits = waits

    def prepare(self) -> None:
        """See ``Store.prepare``."""
        self._try(self._store.prepare)

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        """See ``Store.put``."""
        return self._try(
            lambda: self._store.put(key, source, sha256, expect_absent=expect_absent, lock=lock)
        )

    def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``Store.read``."""
        return self._try(lambda: self._store.read(key, version, offset, length))

    def stream(self, key: str, version: str, offset: int = 0) -> Iterator[bytes]:
        """See ``Store.stream``; an interrupted one goes on where it stopped."""
        waits = iter(self._waits)
        while True:
            try:
                for chunk in self._store.stream(key, version, offset):
                    offset += len(chunk)
                    waits = iter(self._waits)
                    yield chunk
                return
            except Unavailable as error:
                self._wait(error, next(waits, None))

    def stat(self, key: str, version: str | None = None) -> Found:
        """See ``Store.stat``."""
        return self._try(lambda: self._store.stat(key, version))

    def list(self, prefix: str = "") -> Iterator[Found]:
        """See ``Store.list``. Gathered before it is given: half a listing cannot be resumed."""
        return iter(self._try(lambda: [*self._store.list(prefix)]))

    def versions(self, prefix: str = "", after: Place | None = None, limit: int = 1000) -> Page:
        """See ``Store.versions``."""
        return self._try(lambda: self._store.versions(prefix, after, limit))

    def delete_version(self, key: str, version: str) -> None:
        """See ``Store.delete_version``."""
        self._try(lambda: self._store.delete_version(key, version))

    def lock_level(self) -> LockLevel:
        """See ``Lockable.lock_level``."""
        return self._try(self._store.lock_level)

    def lock_of(self, key: str, version: str) -> Lock:
        """See ``Lockable.lock_of``."""
        return self._try(lambda: self._store.lock_of(key, version))

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        """See ``Lockable.retain``."""
        return self._try(lambda: self._store.retain(key, version, until_us))

    def hold(self, key: str, version: str) -> Lock:
        """See ``Lockable.hold``."""
        return self._try(lambda: self._store.hold(key, version))

    def release(self, key: str, version: str) -> Lock:
        """See ``Lockable.release``."""
        return self._try(lambda: self._store.release(key, version))

    def attacks(self) -> Attacks:
        """See ``Lockable.attacks``."""
        return self._store.attacks()

    def is_permanent(self, error: Exception) -> bool:
        """See ``Store.is_permanent``."""
        return self._store.is_permanent(error)

    def _try(self, act: Callable[[], Result]) -> Result:
        waits = iter(self._waits)
        while True:
            try:
                return act()
            except Unavailable as error:
                self._wait(error, next(waits, None))

    def _wait(self, error: Unavailable, seconds: float | None) -> None:
        if seconds is None or self._store.is_permanent(error):
            raise error
        log.info("the store failed; trying again", extra={"facts": {"why": error.detail}})
        self._clock.sleep(seconds)
