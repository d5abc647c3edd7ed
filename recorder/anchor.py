"""The recorder's UTC: the system's, fixed to the monotonic clock until the system clock steps."""

from bidwitness.clock import Clock
from bidwitness.storage.spool.blob import US

STEP_US = US


class ClockAnchor:
    """``utc_minus_monotonic`` for runs that begin now. ``check`` it every second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.utc_minus_monotonic = self._now()
        self.steps = 0
        # All steps together: whoever remembers an instant knows by it whether its clock still runs.
        self.stepped_us = 0

    def _now(self) -> int:
        return self._clock.utc_us() - self._clock.monotonic_us()

    def check(self) -> int | None:
        """Give by how much the system clock has stepped, if it has: runs must begin anew."""
        now = self._now()
        step = now - self.utc_minus_monotonic
        self.utc_minus_monotonic = now
        if abs(step) < STEP_US:
            return None
        self.steps += 1
        self.stepped_us += step
        return step

    def utc_us(self) -> int:
        """Give the recorder's UTC now."""
        return self._clock.monotonic_us() + self.utc_minus_monotonic
