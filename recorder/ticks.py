"""File ticks out of what a camera stamps and when it arrives. Pure.

Ticks only ever rise. A stamp that cannot be true (backwards, repeated, from the future) is
replaced, and if the camera stays with it, its new line is joined to the old one. A camera whose
stamps run at another pace than time does is placed by arrival alone.
"""

from bidwitness.storage.spool.blob import US

# While a connection is young its first packets may come in a burst that waited in the camera.
SETTLE_US = 3 * US
EARLY_SETTLING_US = 2 * US
LONGEST_BURST_US = 10 * US
EARLY_US = US // 4
# As many packets on a new line of stamps make it the true one.
ADOPT_AFTER = 8
# RTP counts in 32 bits: at 90 kHz it starts again after 13 h 15 min.
WRAP = 1 << 32
SLOWEST_FPS = 4
FADE_PPM = 100
# Arrival tells where a packet belongs; up to here it is only bent towards that.
BEND_US = 3 * US
SOFT = 16
# Stamps are held against the clock for so long; within an eighth a network may be to blame.
PACE_US = 10 * US
WRONG_PACE, RIGHT_PACE = 12, 50


class TrackTimer:
    """Gives each packet of one track its file tick."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.corrected = 0
        self._shift = 0
        self._candidate: int | None = None
        self._on_candidate = 0
        self._last: int | None = None
        self._last_arrived = 0
        # The usual step between packets: by their stamps, and (times SOFT) by their arrival.
        self._step = max(1, rate // 25)
        self._arrival_step = self._step * SOFT
        # Arrival minus file time: of the first packet, and of the least delayed one.
        self._base = self._least = 0
        self._first_arrived = 0
        self._pace = _Pace(rate)

    def start(self, raw: int, file_ticks: int, arrived_us: int) -> None:
        """Say that the stamp ``raw`` is ``file_ticks``, before the first packet is placed."""
        self._shift = file_ticks - raw
        self._base = self._least = arrived_us - file_ticks * US // self.rate
        self._first_arrived = self._last_arrived = arrived_us

    def move(self, ticks: int) -> None:
        """Place what comes from now on so much later: less than a step between packets."""
        self._shift += ticks
        if self._candidate is not None:
            self._candidate += ticks
        self._base -= ticks * US // self.rate
        self._least -= ticks * US // self.rate

    def place(self, raw: int | None, arrived_us: int) -> int:
        """Give the file tick of a packet stamped ``raw`` (None: no stamp)."""
        was_true = self._pace.is_true
        self._pace.look(raw, arrived_us)
        placed = None
        if raw is not None and self._pace.is_true:
            if not was_true:
                self._candidate = self._by_arrival(arrived_us) - raw
            placed = self._by_stamp(raw, arrived_us)
        if placed is None:
            placed = self._by_arrival(arrived_us)
            self.corrected += 1
            if raw is not None:
                self._candidate, self._on_candidate = placed - raw, 1
        self._learn(placed, arrived_us)
        return placed

    def _learn(self, placed: int, arrived_us: int) -> None:
        elapsed = max(0, arrived_us - self._last_arrived)
        if self._last is not None:
            # What a step usually is; after a hole it says nothing.
            if self._candidate is None and placed - self._last <= self.rate // SLOWEST_FPS:
                self._step = placed - self._last
            if elapsed <= US:
                self._arrival_step += elapsed * self.rate // US - self._arrival_step // SOFT
        # The camera's clock may be slower than ours: what was the least delay once fades.
        fading = self._least + elapsed * FADE_PPM // US
        self._least = min(fading, arrived_us - placed * US // self.rate)
        self._last, self._last_arrived = placed, arrived_us

    def _by_stamp(self, raw: int, arrived_us: int) -> int | None:
        if self._plausible(raw + self._shift, arrived_us):
            self._candidate = None
            return raw + self._shift
        for wrapped in (self._shift + WRAP, self._shift - WRAP):
            near = self._last is not None and abs(raw + wrapped - self._last) < 10 * self.rate
            if near and self._plausible(raw + wrapped, arrived_us):
                self._shift = wrapped
                return raw + wrapped
        if self._candidate is None or not self._plausible(raw + self._candidate, arrived_us):
            return None
        self._on_candidate += 1
        placed = raw + self._candidate
        if self._on_candidate >= ADOPT_AFTER:
            self._shift, self._candidate = self._candidate, None
        return placed

    def _plausible(self, ticks: int, arrived_us: int) -> bool:
        """A packet comes after the one before, and not before it was made."""
        if ticks < 0 or (self._last is not None and ticks <= self._last):
            return False
        delay = arrived_us - ticks * US // self.rate
        if arrived_us - self._first_arrived < SETTLE_US:
            burst = self._base - delay <= LONGEST_BURST_US
            return burst and self._least - delay <= EARLY_SETTLING_US
        return self._least - delay <= EARLY_US

    def _by_arrival(self, arrived_us: int) -> int:
        """Where the least delayed packets say it belongs, but after the one before.

        Arrival jitters, pictures do not: the usual step is only bent a little towards it.
        """
        ticks = (arrived_us - self._least) * self.rate // US
        if self._last is None:
            return ticks
        step = self._step if self._pace.is_true else self._arrival_step // SOFT
        off = ticks - self._last - step
        if abs(off) * US > BEND_US * self.rate:
            return max(ticks, self._last + max(1, step // 4))
        # Late may be the network's doing, early can only be ours.
        bend = off if off < 0 else max(0, off - EARLY_US * self.rate // US)
        return self._last + max(step + bend // SOFT, step * 3 // 4, 1)


class _Pace:
    """Says whether stamps run as time does."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since: tuple[int, int] | None = None
        self._last_raw = self._last_us = 0
        self.is_true = True

    def look(self, raw: int | None, arrived_us: int) -> None:
        """Take a stamp; a leap or a pause says nothing about the pace."""
        if raw is None:
            return
        leapt = abs(raw - self._last_raw) > self._rate or arrived_us - self._last_us > US
        self._last_raw, self._last_us = raw, arrived_us
        if self._since is None or leapt:
            self._since = (raw, arrived_us)
            return
        since_raw, since_us = self._since
        elapsed = arrived_us - since_us
        if elapsed < PACE_US:
            return
        off = abs((raw - since_raw) * US // self._rate - elapsed)
        if off * WRONG_PACE > elapsed:
            self.is_true = False
        elif off * RIGHT_PACE <= elapsed:
            self.is_true = True
        self._since = (raw, arrived_us)
