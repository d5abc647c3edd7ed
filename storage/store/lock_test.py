"""Do the store's locks hold? Tried out on objects made for it, as somebody would who has its keys.

In two parts, as a retention has to run out in between: ``begin``, then ``finish`` once it is
``ripe``. What is found is what is there afterwards, not what the store answered.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, Conflict, NotFound, Unavailable
from bidwitness.ids import new_id
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store.base import Attacks, LockingStore, digest_of
from bidwitness.words import LockLevel

PREFIX = "selftest/"
SECOND_US = 1_000_000
RETAIN_US = 20 * SECOND_US
# For a slow store it is retained longer, the last time by so much.
_LONGER = (1, 4, 16)
# How far the store's clock may be behind ours before that is a finding.
LATE_US = 60 * SECOND_US
# Another trial's objects are left alone until it must have ended.
OTHERS_US = 900 * SECOND_US


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: what was tried, and whether the store did what it must."""

    step: str
    ok: bool
    said: str = ""


class LockTrial:
    """One trial. ``retain_us``: how long its objects are retained."""

    def __init__(self, store: LockingStore, clock: Clock, retain_us: int = RETAIN_US) -> None:
        self._store = store
        self._clock = clock
        self._retain_us = retain_us
        self._folder = f"{PREFIX}{new_id()}"
        self._until_us = 0
        self._made: dict[str, str] = {}
        self.level = LockLevel.NONE
        self.findings: list[Finding] = []

    @property
    def passed(self) -> bool:
        """Whether every step so far did what it must."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    def begin(self) -> None:
        """Make the objects and try to remove what is locked. Raises ``StoreError``."""
        self.level = self._store.lock_level()
        if self.level is LockLevel.NONE:
            said = "the store has no Object Lock: a bucket is given it when it is made, or never"
            self.findings.append(Finding("object_lock", False, said))
            return
        for times in _LONGER:
            self.findings.clear()
            self._until_us = self._clock.utc_us() + times * self._retain_us
            self._try_the_locked()
            # Of a store so slow that the retention has run out meanwhile this says nothing.
            if self.passed or self._clock.utc_us() < self._until_us:
                break

    def _try_the_locked(self) -> None:
        self._find("lock_at_put", self._lock_at_put)
        if not self.passed:
            return
        self._find("deletion", lambda: self._tried("retained", self._attack.delete))
        self._find("shortening", self._shortening)
        self._find("bypass", lambda: self._tried("retained", self._attack.bypass))
        self._find("batch", self._batch)
        self._find("overwrite", self._overwrite)

    def ripe(self) -> bool:
        """Say whether the retention must have run out."""
        return self._clock.utc_us() > self._until_us + SECOND_US

    def finish(self) -> bool:
        """Try the rest; say whether it could be told yet (the store's clock may be behind)."""
        if not self.passed:
            self.clean()
            return True
        with suppress(Conflict):
            self._store.delete_version(self._key("retained"), self._made["retained"])
        late = self._there("retained")
        if late and self._clock.utc_us() < self._until_us + LATE_US:
            return False
        self._find("expiry", lambda: "it cannot be removed, or the clock is late" if late else "")
        self._find("hold", lambda: self._tried("held", self._attack.delete))
        self._find("release", self._release)
        self.clean()
        return True

    def clean(self) -> None:
        """Remove what this and earlier trials have left behind, as far as it is free to go."""
        now = self._clock.utc_us()
        for found in list(self._store.list(PREFIX)):
            try:
                lock = self._store.lock_of(found.key, found.version)
                ours = found.key.startswith(f"{self._folder}/")
                if not ours and (lock.until_us or 0) > now - OTHERS_US:
                    continue
                if lock.held:
                    self._store.release(found.key, found.version)
                self._store.delete_version(found.key, found.version)
            except (Conflict, NotFound):
                continue

    @property
    def _attack(self) -> Attacks:
        return self._store.attacks()

    def _find(self, step: str, act: Callable[[], str]) -> None:
        """Run a step, which says what is wrong, or nothing; not again after an outage."""
        if any(finding.step == step for finding in self.findings):
            return
        try:
            wrong = act()
        except BidWitnessError as error:
            if isinstance(error, Unavailable) and not self._store.is_permanent(error):
                raise
            wrong = error.detail
        self.findings.append(Finding(step, not wrong, wrong))

    def _lock_at_put(self) -> str:
        for name, lock in (
            ("retained", Lock(self._until_us)),
            ("held", Lock(self._until_us, True)),
            ("free", UNLOCKED),
        ):
            self._put(name, lock)
            said = self._store.lock_of(self._key(name), self._made[name])
            if not said.covers(lock):
                return f"an object that was put {name} says that it is not"
        return ""

    def _tried(self, name: str, attack: Callable[[str, str], None]) -> str:
        attack(self._key(name), self._made[name])
        return "" if self._there(name) else f"the {name} object is gone"

    def _shortening(self) -> str:
        key, version = self._key("retained"), self._made["retained"]
        before = self._store.lock_of(key, version)
        self._attack.shorten(key, version, self._until_us - SECOND_US)
        after = self._store.lock_of(key, version)
        return "" if after.covers(before) else "the retention was shortened"

    def _batch(self) -> str:
        names = ("free", "retained", "held")
        self._attack.delete_many([(self._key(name), self._made[name]) for name in names])
        if not (self._there("retained") and self._there("held")):
            return "a locked object is gone"
        return "the object that was free is still there" if self._there("free") else ""

    def _overwrite(self) -> str:
        first = self._made["retained"]
        second = self._put("retained", UNLOCKED, b"other bytes")
        self._made["retained"] = first
        if second == first or not self._there("retained"):
            return "what was there before can no longer be read"
        return ""

    def _release(self) -> str:
        key, version = self._key("held"), self._made["held"]
        if not self._there("held"):  # removed before an outage
            return ""
        self._store.release(key, version)
        self._store.delete_version(key, version)
        return "it is still there" if self._there("held") else ""

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _put(self, name: str, lock: Lock, data: bytes | None = None) -> str:
        body = self._body(name) if data is None else data
        sha256 = digest_of(iter([body]))[0]
        stored = self._store.put(
            self._key(name), lambda: io.BytesIO(body), sha256, expect_absent=False, lock=lock
        )
        self._made[name] = stored.version
        return stored.version

    def _body(self, name: str) -> bytes:
        return f"{self._folder}/{name}".encode()

    def _there(self, name: str) -> bool:
        try:
            return self._store.read(self._key(name), self._made[name]) == self._body(name)
        except NotFound:
            return False
