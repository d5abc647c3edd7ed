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
# is the loosest: it must not let strangers keep a user out.
BY_BOTH = Limit(5, 5 * MINUTE_US)
BY_ADDRESS = Limit(20, 5 * MINUTE_US)
BY_USER = Limit(50, 15 * MINUTE_US)


class LoginLimiter:
    """Counts failed logins per address, per user and per both, in memory of this process.

    A refused attempt is not counted, so every limit ends by itself within its window.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str, str], deque[int]] = OrderedDict()

    def check(self, address: str, username: str) -> None:
        """Raise ``TooMany``, saying when to try again, if this login must wait."""
        now = self._clock.monotonic_us()
        with self._lock:
            waits = [
                wait
                for key, limit in _keys(address, username)
                if (wait := self._wait_us(key, limit, now)) > 0
            ]
        if waits:
            seconds = -(-max(waits) // 1_000_000)
            raise TooMany(
                f"Too many failed logins. Try again in {seconds} s.", retry_after_s=seconds
            )

    def failed(self, address: str, username: str) -> None:
        """Count one failed login."""
        now = self._clock.monotonic_us()
        with self._lock:
            for key, _ in _keys(address, username):
                self._failures.setdefault(key, deque()).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > MAX_KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, address: str, username: str) -> None:
        """Forget the failures of this user from this address."""
        with self._lock:
            self._failures.pop(_keys(address, username)[0][0], None)

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


def _keys(address: str, username: str) -> tuple[tuple[tuple[str, str, str], Limit], ...]:
    name = username.lower()[:120]
    return (
        (("both", address, name), BY_BOTH),
        (("address", address, ""), BY_ADDRESS),
        (("user", "", name), BY_USER),
    )


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
