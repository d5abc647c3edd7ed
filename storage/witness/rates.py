"""So many requests a minute from an address, and no more."""

import threading
from collections import OrderedDict

from bidwitness.clock import Clock

MINUTE_US = 60_000_000
# The longest unused is forgotten first.
MAX_ADDRESSES = 10_000


class Rates:
    """A bucket for each address, that fills up again in a minute."""

    def __init__(self, clock: Clock, a_minute: int) -> None:
        self._clock = clock
        self._a_minute = a_minute
        self._guard = threading.Lock()
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Say whether another request of this address may be answered."""
        now = self._clock.monotonic_us()
        full = self._a_minute * MINUTE_US
        with self._guard:
            level, at = self._buckets.pop(address, (full, now))
            level = min(full, level + (now - at) * self._a_minute)
            allowed = level >= MINUTE_US
            self._buckets[address] = (level - MINUTE_US if allowed else level, now)
            while len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        return allowed
