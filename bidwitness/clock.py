"""The one injected clock. Nothing else in the project asks the system what time it is."""

import time
from typing import Protocol


class Clock(Protocol):
    """Gives the time in integer microseconds and waits.

    ``utc_us`` may step when the system clock is set; ``monotonic_us`` never does, and its
    zero means nothing. Durations are measured with ``monotonic_us`` only.
    """

    def utc_us(self) -> int: ...

    def monotonic_us(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def utc_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
