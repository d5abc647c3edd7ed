"""The one clock all virtual cameras run on: frame n is sent at T0 + n * 40 ms."""

from bidwitness.clock import Clock
from bidwitness.simulator.spec import FRAME_US, LOOP_SECONDS


class Genlock:
    """Maps frame numbers to instants. T0 is the last full 16 s of UTC before the start.

    UTC is read once and carried on by the monotonic clock: a step of the system clock moves
    no frame.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        utc = clock.utc_us()
        self._offset_us = utc - clock.monotonic_us()
        self.t0_us = utc - utc % (LOOP_SECONDS * 1_000_000)

    def now_us(self) -> int:
        """Give monotonic µs."""
        return self._clock.monotonic_us()

    def utc_us(self) -> int:
        """Give the cameras' UTC in µs."""
        return self.now_us() + self._offset_us

    def frame_now(self) -> int:
        """Give the number of the last frame whose instant has come."""
        return (self.utc_us() - self.t0_us) // FRAME_US

    def instant_us(self, frame: int) -> int:
        """Give the UTC µs at which a frame is sent."""
        return self.t0_us + frame * FRAME_US

    def wait_us(self, frame: int) -> int:
        """Give how long it is from now to a frame's instant; negative if it has passed."""
        return self.instant_us(frame) - self.utc_us()
