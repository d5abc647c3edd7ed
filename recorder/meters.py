"""What is measured of a stream's pictures: rates, the distance of key frames, the usual frame rate.

Pure: times are the recorder's monotonic µs of arrival, which no camera can set.
"""

from collections import deque

from bidwitness.recorder.packets import Packet
from bidwitness.storage.spool.blob import US

# A session's first picture is a key frame, and nobody is shown the seam: five seconds of it are
# already much. The fix is the camera's own setting, a key frame every one or two seconds.
LONG_GOP_MS = 5000
# Key frames nearer than this are one that came in several packets.
_ONE_KEY_US = 20_000
# After a pause this long the distance of key frames says nothing about the camera's setting.
_PAUSE_US = US
_GOPS = 4

LOSS_US, LOSS_KNOWN_US = 60 * US, 10 * US
# A picture of a 4 Mbit/s stream is fifteen packets: of a thousand lost packets' pictures one in
# seventy is harmed, and all that refer to it. It is well again below a fifth of that.
LOSS_HIGH_PPM, LOSS_WELL_PPM = 1000, 200

RATE_US = 10 * US
# Below so many hundredths of the expected rate it is low, and well again above so many.
LOW_PERCENT, WELL_PERCENT = 60, 80
# So many measures in a row make a verdict: one may hold a short pause, which is a gap anyway.
LOW_MEASURES = 2
# A rate that was held for a minute in the last day is what the camera used to deliver.
_USUAL_MEASURES = 6
_USUAL_HOURS = 24
_HOUR_US = 3600 * US


class Meter:
    """Counts what arrives; gives rates since it was last read."""

    def __init__(self) -> None:
        self._pictures = 0
        self._bytes = 0
        self._sees = True
        self._last: tuple[int, int, int] | None = None

    def count(self, packet: Packet, picture: int | None) -> None:
        """Take a packet; ``picture`` is the place of the picture among the tracks, if it has one."""
        self._sees = picture is not None
        self._bytes += len(packet.data)
        if packet.track == picture:
            self._pictures += 1

    def read(self, now_us: int) -> tuple[int | None, int | None]:
        """Give pictures in a hundred seconds (if there are any) and kilobits a second."""
        before, self._last = self._last, (now_us, self._pictures, self._bytes)
        if before is None or now_us <= before[0]:
            return None, None
        elapsed = now_us - before[0]
        pictures, size = self._pictures - before[1], self._bytes - before[2]
        rate = pictures * 100 * US // elapsed if self._sees else None
        return rate, size * 8000 // elapsed


class Since:
    """Remembers when something last changed."""

    def __init__(self) -> None:
        self._value: object = None
        self._since_us = 0

    def of(self, value: object, now_us: int) -> int:
        """Give since when it is ``value``."""
        if value != self._value or not self._since_us:
            self._value, self._since_us = value, now_us
        return self._since_us


class GopMeter:
    """Measures how far key frames are apart."""

    def __init__(self) -> None:
        self._key_us: int | None = None
        self._picture_us = 0
        self._recent: deque[int] = deque(maxlen=_GOPS)
        self._longest_us: int | None = None

    def picture(self, at_us: int, *, key: bool) -> None:
        """Take a picture's arrival."""
        if self._key_us is not None and at_us - self._picture_us > _PAUSE_US:
            self._key_us = None
        self._picture_us = at_us
        if not key:
            return
        if self._key_us is not None:
            if at_us - self._key_us <= _ONE_KEY_US:
                return
            self._recent.append(at_us - self._key_us)
            self._longest_us = max(self._recent)
        self._key_us = at_us

    def pause(self) -> None:
        """The connection has ended: what comes next begins anew."""
        self._key_us = None
        self._recent.clear()
        self._longest_us = None

    @property
    def gop_ms(self) -> int | None:
        """Give the longest of the last GOPs, or the open one once that is too long itself."""
        key_us, longest_us = self._key_us, self._longest_us
        open_us = self._picture_us - key_us if key_us is not None else 0
        if longest_us is None and open_us <= LONG_GOP_MS * 1000:
            return None
        return max(longest_us or 0, open_us) // 1000


class LossMeter:
    """Says which part of a connection's packets was lost in the last minute."""

    def __init__(self) -> None:
        # Lost per million packets, and whether that is too much; None while it is not known.
        self.ppm: int | None = None
        self.high: bool | None = None
        self._marks: deque[tuple[int, int, int]] = deque()

    def begin(self) -> None:
        """A connection begins: it counts from nothing."""
        self.ppm = self.high = None
        self._marks.clear()

    def look(self, received: int, lost: int, now_us: int) -> None:
        """Take the counts of the connection so far."""
        marks = self._marks
        if marks and now_us - marks[-1][0] < US // 2:
            return
        marks.append((now_us, received, lost))
        while now_us - marks[0][0] > LOSS_US:
            marks.popleft()
        since_us, received_then, lost_then = marks[0]
        if now_us - since_us < LOSS_KNOWN_US:
            return
        missing = lost - lost_then
        self.ppm = missing * 1_000_000 // max(1, missing + received - received_then)
        self.high = self.ppm > (LOSS_WELL_PPM if self.high else LOSS_HIGH_PPM)


class RateWatch:
    """Compares the frame rate with what the camera declares, else with what it used to deliver."""

    def __init__(self) -> None:
        self.declared_fps: int | None = None
        # Whether it is low; None while nothing is known of this connection.
        self.low: bool | None = None
        # Frames in a hundred seconds over the last ten, and what is expected.
        self.centi_fps: int | None = None
        self._since_us: int | None = None
        self._pictures = 0
        self._lows = 0
        self._measures: deque[int] = deque(maxlen=_USUAL_MEASURES)
        self._hours: deque[tuple[int, int]] = deque(maxlen=_USUAL_HOURS)

    @property
    def expected_centi_fps(self) -> int | None:
        """Give what should come, in frames in a hundred seconds, if that is known."""
        if self.declared_fps:
            return self.declared_fps * 100
        return max((rate for _, rate in tuple(self._hours)), default=None)

    def begin(self) -> None:
        """A connection begins: what is measured belongs to it alone."""
        self.low = self.centi_fps = self._since_us = None
        self._pictures = self._lows = 0
        self._measures.clear()

    def picture(self, at_us: int) -> None:
        """Take a picture's arrival."""
        if self._since_us is None:
            # What lay there at the start comes at once: it is not counted.
            self._since_us = at_us + US
        if at_us < self._since_us:
            return
        self._pictures += 1
        elapsed = at_us - self._since_us
        if elapsed >= RATE_US:
            self._judge(self._pictures * 100 * US // elapsed)
            self._learn(at_us)
            self._since_us, self._pictures = at_us, 0

    def _judge(self, rate: int) -> None:
        self.centi_fps = rate
        self._measures.append(rate)
        expected = self.expected_centi_fps
        if expected is None:
            return
        if rate * 100 < expected * LOW_PERCENT:
            self._lows += 1
            self.low = self.low if self._lows < LOW_MEASURES else True
        else:
            self._lows = 0
            if not self.low or rate * 100 >= expected * WELL_PERCENT:
                self.low = False

    def _learn(self, at_us: int) -> None:
        if len(self._measures) < _USUAL_MEASURES:
            return
        held, hour = min(self._measures), at_us // _HOUR_US
        if self._hours and self._hours[-1][0] == hour:
            self._hours[-1] = (hour, max(held, self._hours[-1][1]))
            return
        self._hours.append((hour, held))
        while self._hours[0][0] <= hour - _USUAL_HOURS:
            self._hours.popleft()
