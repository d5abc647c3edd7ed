"""The wall of a run: what ties its file time to the recorder's UTC and to the camera's. Pure.

The least delayed picture tells how far the camera's clock is from ours; the tie then moves by at
most 500 ppm. (What makes file ticks of stamps is ``ticks``.)
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

from bidwitness.recorder.lips import LipSync
from bidwitness.recorder.ticks import EARLY_SETTLING_US, SETTLE_US, TrackTimer
from bidwitness.storage.spool.blob import US
from bidwitness.words import ClockQuality

# A run's file time begins here, so that sound a little before the first picture fits.
RUN_BASE_US = 10 * US
SLEW_PPM = 500
LONGEST_SETTLE_US = 10 * US
BUCKET_US = 10 * US
BUCKETS = 6
# A pause this long may have stopped the camera's clock; then it stays behind for this long.
PAUSE_US = 2 * US
# The years 2000 to 2190: a camera that says another time has none.
EARLIEST_CAMERA_US = 946_684_800 * US
LATEST_CAMERA_US = 6_942_672_000 * US
CONFIRM_US = 3 * US


@dataclass(frozen=True, slots=True)
class WallJump:
    """The camera's clock stood still: ``file_us`` was first taken for ``before``, is ``after``."""

    file_us: int
    before_us: int
    after_us: int


class WallClock:
    """Ties file time to the recorder's UTC. ``utc_minus_monotonic`` is fixed for the run.

    For ``settle_us`` the least delayed picture counts at once, later only bit by bit.
    """

    def __init__(self, utc_minus_monotonic: int, settle_us: int = SETTLE_US) -> None:
        self._anchor = utc_minus_monotonic
        self._settle_us = settle_us
        self._offset: int | None = None
        self._first_arrived = 0
        self._last_arrived = 0
        self._slew_left = 0
        self._least: deque[tuple[int, int]] = deque(maxlen=BUCKETS)
        # What a pause may have changed: (file time after it, since when, least since then).
        self._paused: tuple[int, int, int] | None = None
        # (file time, camera minus file time) at each change, and the first one known.
        self._camera: list[tuple[int, int]] = []

    def observe(self, file_us: int, arrived_us: int, camera_us: int | None) -> WallJump | None:
        """Take a picture's times. Give the jump, once it is certain that there was one."""
        if camera_us is not None and EARLIEST_CAMERA_US <= camera_us < LATEST_CAMERA_US:
            self._observe_camera(file_us, camera_us)
        offset = arrived_us - file_us
        if self._offset is None:
            self._offset, self._first_arrived = offset, arrived_us
            self._last_arrived = arrived_us
        jump = self._look_for_pause(file_us, offset, arrived_us)
        bucket = arrived_us // BUCKET_US
        if self._least and self._least[-1][0] == bucket:
            self._least[-1] = (bucket, min(self._least[-1][1], offset))
        else:
            self._least.append((bucket, offset))
        if arrived_us - self._first_arrived < self._settle_us:
            self._offset = min(self._offset, offset)
        else:
            self._slew(arrived_us)
        self._last_arrived = arrived_us
        return jump

    @property
    def settled(self) -> bool:
        """Say whether the connection is old enough for its times to move slowly from now on."""
        return self._last_arrived - self._first_arrived >= self._settle_us

    @property
    def may_settle(self) -> bool:
        """Say whether it may be settled by ``settle`` for a good reason."""
        return self._last_arrived - self._first_arrived >= SETTLE_US

    def settle(self) -> None:
        """Let times move slowly from now on."""
        self._settle_us = 0

    def move(self, by_us: int) -> None:
        """File time of what comes from now on is so much later than it would have been."""
        if self._offset is not None:
            self._offset -= by_us
        self._least = deque(((b, least - by_us) for b, least in self._least), maxlen=BUCKETS)
        if self._paused is not None:
            at, since, least = self._paused
            self._paused = (at, since, least - by_us)

    def _slew(self, arrived_us: int) -> None:
        assert self._offset is not None
        target = min(least for _, least in self._least)
        self._slew_left += (arrived_us - self._last_arrived) * SLEW_PPM
        limit, self._slew_left = divmod(self._slew_left, US)
        self._offset += max(-limit, min(limit, target - self._offset))

    def _look_for_pause(self, file_us: int, offset: int, arrived_us: int) -> WallJump | None:
        assert self._offset is not None
        late = offset - self._offset > PAUSE_US
        if self._paused is None:
            if late and arrived_us - self._last_arrived > PAUSE_US:
                self._paused = (file_us, arrived_us, offset)
            return None
        if not late:
            self._paused = None  # the network held it back, and has caught up
            return None
        at, since, least = self._paused
        self._paused = (at, since, min(least, offset))
        if arrived_us - since < CONFIRM_US:
            return None
        before = self.recorder_us(at)
        self._offset, self._paused = self._paused[2], None
        self._least.clear()
        return WallJump(at, before, self.recorder_us(at))

    def _observe_camera(self, file_us: int, camera_us: int) -> None:
        offset = camera_us - file_us
        if not self._camera or self._camera[-1][1] != offset:
            if len(self._camera) > 1 and abs(self._camera[-1][1] - offset) < 1000:
                return  # rounding of the camera's reports
            self._camera.append((file_us, offset))
            del self._camera[1:-64]

    def monotonic_us(self, file_us: int) -> int:
        """Give the recorder's monotonic time of a file time, its delay on the way taken off."""
        return file_us + (self._offset or 0)

    def recorder_us(self, file_us: int) -> int:
        """Give the recorder's UTC of a file time."""
        return self.monotonic_us(file_us) + self._anchor

    def camera_us(self, file_us: int) -> int | None:
        """Give the camera's UTC of a file time; before its first report, reckoned back."""
        if not self._camera:
            return None
        place = bisect_right(self._camera, file_us, key=lambda known: known[0])
        return file_us + self._camera[max(place - 1, 0)][1]

    @property
    def camera_offset_us(self) -> int | None:
        """Give the camera's UTC minus the recorder's, by the newest report.

        It holds the least delay on the way, a few milliseconds.
        """
        if not self._camera or self._offset is None:
            return None
        return self._camera[-1][1] - self._offset - self._anchor

    def quality(self, file_us: int) -> ClockQuality:
        """Say where the camera's time of a file time comes from."""
        if not self._camera:
            return ClockQuality.ARRIVAL
        known = file_us >= self._camera[0][0]
        return ClockQuality.CAMERA if known else ClockQuality.EXTRAPOLATED


class RunTimer:
    """The times of one run: a timer for each track, and the wall by the leading one.

    The leading track is the picture. A run begins with its first packet that can be kept.
    """

    def __init__(
        self,
        rates: tuple[int, ...],
        leading: int,
        utc_minus_monotonic: int,
        settle_us: int = SETTLE_US,
    ) -> None:
        self.wall = WallClock(utc_minus_monotonic, settle_us)
        self._timers = [TrackTimer(rate) for rate in rates]
        self._leading = leading
        # The leading track's first stamp in µs, and when it came.
        self._origin: tuple[int, int] | None = None
        self._started: set[int] = set()
        self._lips = LipSync(leading)

    @property
    def corrected(self) -> int:
        """Count the stamps that could not be true."""
        return sum(timer.corrected for timer in self._timers)

    def file_us(self, track: int, ticks: int) -> int:
        """Give a track's tick as µs of file time."""
        return ticks * US // self._timers[track].rate

    @property
    def moved_us(self) -> int:
        """Give how much later than first assumed the leading track lies by now, in file time."""
        return self._lips.moved_us

    def place(self, track: int, raw: int | None, arrived_us: int) -> int:
        """Give the file tick of a packet stamped ``raw``; the leading track's comes first."""
        if track not in self._started:
            self._start(track, raw, arrived_us)
        timer = self._timers[track]
        if track == self._leading and (step := self._lips.step_us(arrived_us)):
            ticks = step * timer.rate // US
            timer.move(ticks)
            self.wall.move(ticks * US // timer.rate)
            self._lips.moved(ticks * US // timer.rate)
        return timer.place(raw, arrived_us)

    def hear(self, track: int, ticks: int, camera_us: int, arrived_us: int) -> None:
        """Take the camera's time of a packet at ``ticks`` of its track, as its reports say."""
        if self.wall.settled:
            self._lips.hear(track, self.file_us(track, ticks), camera_us, arrived_us)

    def _start(self, track: int, raw: int | None, arrived_us: int) -> None:
        timer = self._timers[track]
        stamp = raw or 0
        if self._origin is None:
            assert track == self._leading, "the leading track begins a run"
            self._origin = (stamp * US // timer.rate, arrived_us)
        origin_us, origin_arrived = self._origin
        file_us = RUN_BASE_US + stamp * US // timer.rate - origin_us
        expected = RUN_BASE_US + arrived_us - origin_arrived
        if raw is None or abs(file_us - expected) > EARLY_SETTLING_US:
            file_us = expected  # the tracks do not share a clock
        timer.start(stamp, file_us * timer.rate // US, arrived_us)
        self._started.add(track)

    def observe(self, ticks: int, arrived_us: int, camera_us: int | None) -> WallJump | None:
        """Take the times of one of the leading track's packets (``ticks``: when it is shown)."""
        if camera_us is not None:
            self.hear(self._leading, ticks, camera_us, arrived_us)
        return self.wall.observe(self.file_us(self._leading, ticks), arrived_us, camera_us)
