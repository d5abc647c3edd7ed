"""How far sound is from its picture, by the camera's reports, when these come late. Pure.

A run begins before its camera has said how its tracks belong together; what it says later is held
against what was assumed, and the picture is moved: sound cannot be without losing samples.
"""

from bidwitness.storage.spool.blob import US

# Reports of a good camera agree within a few milliseconds; this much nobody notices.
APART_US = 20_000
# What is further apart is a clock of the camera that cannot be believed.
FURTHEST_US = US
# It must be said for so long (two reports), as well as that: a camera that sets its clock tells
# one track after the other.
CONFIRM_US = 8 * US
STEADY_US = 5_000
# A picture that is moved lasts so much more or less than it should.
PPM = 20_000
LONGEST_STEP_US = US // 5


class LipSync:
    """Tells by how much the leading track must be moved. Times are file time and arrival, in µs."""

    def __init__(self, leading: int) -> None:
        self._leading = leading
        # Of each track: the camera's time minus file time.
        self._said: dict[int, int] = {}
        # Since when it is said, and how far apart the tracks would be had nothing been moved.
        self._since: tuple[int, int] | None = None
        # By how much the leading track lies later than it would have.
        self.moved_us = 0
        self._left_us = 0
        self._last_us = 0

    def hear(self, track: int, file_us: int, camera_us: int, arrived_us: int) -> None:
        """Take the camera's time of a packet that lies at ``file_us``."""
        self._said[track] = camera_us - file_us
        others = [said for place, said in self._said.items() if place != self._leading]
        if self._leading not in self._said or not others:
            return
        apart = self._said[self._leading] - others[0]
        whole = apart + self.moved_us
        if self._since is None or abs(whole - self._since[1]) > STEADY_US:
            self._since, self._left_us = (arrived_us, whole), 0
        elif arrived_us - self._since[0] >= CONFIRM_US and (
            self._left_us or APART_US < abs(apart) <= FURTHEST_US
        ):
            self._left_us = apart

    def step_us(self, arrived_us: int) -> int:
        """Give by how much to move the leading track's next packet; ``moved`` must follow."""
        elapsed = min(max(0, arrived_us - self._last_us), LONGEST_STEP_US)
        self._last_us = arrived_us
        limit = elapsed * PPM // US
        return max(-limit, min(limit, self._left_us))

    def moved(self, by_us: int) -> None:
        """The leading track lies so much later from now on."""
        self._left_us -= by_us
        self.moved_us += by_us
        self._said[self._leading] -= by_us
