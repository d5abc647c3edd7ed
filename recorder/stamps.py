"""When pictures are decoded: RTP carries only when they are shown. Pure.

Pictures that refer to later ones (B-frames) come after these. How many pictures one may have to
wait for is in the stream's parameters; where it is not, it is learnt from the first that comes out
of order, which costs that one its exact time.
"""

from heapq import heapify, heappop, heappush

from bidwitness.recorder.packets import SourceTrack
from bidwitness.rtsp.units import Unit
from bidwitness.storage.media.nal import parse_access_unit
from bidwitness.storage.media.reorder import reorder_depth

_DEEPEST = 16
# Without a word about it in the parameters, more out of order than this is a bad stamp.
_DEEPEST_LEARNT = 4
_LEAP_S = 5


class DecodeTimes:
    """Gives each picture of one connection its decode time, in ticks of the track."""

    def __init__(self, track: SourceTrack) -> None:
        self._codec = track.codec
        self._rate = track.rate
        self._depth = 0
        self._known = False
        # Times at which pictures are shown that nothing has been decoded at yet: ``depth`` many.
        self._waiting: list[int] = []
        self._last_shown: int | None = None
        self._last = 0
        self._learn(parse_access_unit(track.extradata, track.codec).sets)

    def of(self, unit: Unit) -> int:
        """Give a picture's decode time; it is shown at ``unit.stamp``."""
        shown = unit.stamp
        if unit.key:
            self._learn(parse_access_unit(unit.data, self._codec).sets)
        before, self._last_shown = self._last_shown, shown
        if before is None or abs(shown - before) > _LEAP_S * self._rate:
            self._begin(shown)
        elif not self._known and shown < before and self._depth < _DEEPEST_LEARNT:
            self._deepen(self._depth + 1)
        if not self._depth:
            self._last = shown
            return shown
        heappush(self._waiting, shown)
        if len(self._waiting) > self._depth:
            self._last = max(self._last + 1, heappop(self._waiting))
        else:
            self._last += 1
        return self._last

    def _learn(self, sets: tuple[bytes, ...]) -> None:
        depth = reorder_depth(sets, self._codec)
        if depth is not None:
            self._known = True
            self._deepen(min(depth, _DEEPEST))

    def _deepen(self, depth: int) -> None:
        """Never less deep: what waits would have to come at once."""
        self._depth = max(depth, self._depth)

    def _begin(self, shown: int) -> None:
        step = self._rate // 25
        self._waiting = [shown - step * number for number in range(self._depth, 0, -1)]
        heapify(self._waiting)
        self._last = shown - step * (self._depth + 1)
