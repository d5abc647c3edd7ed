"""A clock that only tests move."""

import threading

START_US = 1_700_000_000_000_000


class FakeClock:
    """Stands still until it is told to move; ``sleep`` moves it instead of waiting."""

    def __init__(self, utc_us: int = START_US, monotonic_us: int = 1_000_000) -> None:
        self._utc_us = utc_us
        self._monotonic_us = monotonic_us
        self._lock = threading.Lock()

    def utc_us(self) -> int:
        return self._utc_us

    def monotonic_us(self) -> int:
        return self._monotonic_us

    def sleep(self, seconds: float) -> None:
        self.advance(round(seconds * 1_000_000))

    def advance(self, by_us: int) -> None:
        """Let ``by_us`` microseconds pass on both times."""
        with self._lock:
            self._utc_us += by_us
            self._monotonic_us += by_us

    def step(self, by_us: int) -> None:
        """Set the system clock forward or back: only the time of day jumps."""
        with self._lock:
            self._utc_us += by_us

    def set_utc(self, utc_us: int) -> None:
        """Let time pass up to ``utc_us``, or step back to it."""
        if utc_us >= self._utc_us:
            self.advance(utc_us - self._utc_us)
        else:
            self.step(utc_us - self._utc_us)
