"""Slow down who guesses passwords, without ever shutting the real user out for good."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

from bidwitness.clock import Clock
from bidwitness.errors import TooMany

MINUTE_US = 60_000_000
# So many keys at most are remembered; the longest unused is forgotten first.
MAX_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``failures`` in any ``window_us``."""

    failures: int
    window_us: int


# One person mistyping; one address trying many names; many addresses trying one name. The last
# must not let strangers keep a user out: a browser or an address that she has signed in from
# before is not bound by it.
BY_BOTH = Limit(5, 5 * MINUTE_US)
BY_ADDRESS = Limit(20, 5 * MINUTE_US)
BY_USER = Limit(50, 15 * MINUTE_US)
# A code has six digits, and who tries them has the password already.
BY_CODES = Limit(10, 60 * MINUTE_US)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a try comes from, and what is known of it for the user it is for.

    ``device`` is the id of a browser that she has signed in with, ``own_address`` whether she has
    signed in from the address.
    """

    address: str
    device: str | None = None
    own_address: bool = False


Keys = tuple[tuple[tuple[str, str, str], Limit], ...]


class LoginLimiter:
    """Counts failed logins per address, per user and per both, in memory of this process.

    A refused attempt is not counted, so every limit ends by itself within its window. What a known
    browser does wrong counts for that browser alone, and nothing that others do counts for it.
    """

    def __init__(self, clock: Clock, by_user: Limit = BY_USER) -> None:
        self._clock = clock
        self._by_user = by_user
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str, str], deque[int]] = OrderedDict()

    def check(self, origin: Origin, username: str) -> None:
        """Raise ``TooMany``, saying when to try again, if this login must wait."""
        now = self._clock.monotonic_us()
        with self._lock:
            longest = self._longest_wait_us(origin, username, now)
        if longest > 0:
            seconds = -(-longest // 1_000_000)
            raise TooMany(
                f"Too many failed logins. Try again in {seconds} s.", retry_after_s=seconds
            )

    def failed(self, origin: Origin, username: str) -> bool:
        """Count one failed login; tell whether the next must wait."""
        now = self._clock.monotonic_us()
        with self._lock:
            for key, _ in self._keys(origin, username):
                self._failures.setdefault(key, deque()).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > MAX_KEYS:
                self._failures.popitem(last=False)
            return self._longest_wait_us(origin, username, now) > 0

    def succeeded(self, origin: Origin, username: str) -> None:
        """Forget the failures of this user from this browser, else from this address."""
        with self._lock:
            self._failures.pop(self._keys(origin, username)[0][0], None)

    def _longest_wait_us(self, origin: Origin, username: str, now: int) -> int:
        return max(self._wait_us(key, limit, now) for key, limit in self._keys(origin, username))

    def _wait_us(self, key: tuple[str, str, str], limit: Limit, now: int) -> int:
        times = self._failures.get(key)
        while times and times[0] <= now - limit.window_us:
            times.popleft()
        if not times:
            self._failures.pop(key, None)
            return 0
        if len(times) < limit.failures:
            return 0
        return times[-limit.failures] + limit.window_us - now

    def _keys(self, origin: Origin, username: str) -> Keys:
        name = username.lower()[:120]
        if origin.device is not None:
            return ((("device", origin.device, name), BY_BOTH),)
        both = (("both", origin.address, name), BY_BOTH)
        address = (("address", origin.address, ""), BY_ADDRESS)
        if origin.own_address:
            return (both, address)
        return (both, address, (("user", "", name), self._by_user))


CAMERAS_BUSY = "Other cameras are being tried. Try again in a moment."


class Tries:
    """Lets a few things happen at once and refuses more, instead of queueing them."""

    def __init__(self, at_once: int = 3, busy: str = CAMERAS_BUSY) -> None:
        self._busy = busy
        self._free = threading.BoundedSemaphore(at_once)

    def __enter__(self) -> None:
        """Take a place. Raises ``TooMany`` if none is free."""
        if not self._free.acquire(blocking=False):
            raise TooMany(self._busy, retry_after_s=5)

    def __exit__(self, *_: object) -> None:
        self._free.release()
