"""A bound on bytes a second."""

from bidwitness.clock import Clock

# So much of what was not moved is made up for, and no more.
SAVED_S = 2


class Pace:
    """Says whether more may be moved now. ``bytes_per_s`` holds on average: a thing is moved whole,
    and what it was more is waited for before the next. 0 is no bound."""

    def __init__(self, clock: Clock, bytes_per_s: int) -> None:
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._allowance = 0
        self._paid_us = clock.monotonic_us()

    def renew(self) -> None:
        """Add what the time since the last call has earned."""
        now = self._clock.monotonic_us()
        earned = (now - self._paid_us) * self._bytes_per_s // 1_000_000
        self._allowance = min(self._allowance + earned, SAVED_S * self._bytes_per_s)
        self._paid_us = now

    def allows(self, size: int) -> bool:
        """Say whether something of this size may be moved now; if so, it is counted as moved."""
        if self._bytes_per_s and self._allowance <= 0:
            return False
        self._allowance -= size
        return True
