"""Which streams bring worker processes down, and which must therefore be apart. Pure.

libav reads what strangers send, and what kills it kills all streams of its process. Whose thread
it was stands in the worker's crash note (``recorder.crash_note``): at its second crash that stream
gets a process of its own, and the others do not pay for it any more. Where the note names nobody
(memory ran out, or a thread of a library's own), all streams of the process are suspects: from the
second such crash on they are halved, until the one is alone.
"""

from collections.abc import Mapping, Sequence

HOUR_US = 3_600_000_000
# So long a stream that brought its worker down is kept apart after its last crash.
APART_US = 24 * HOUR_US
SECOND_CRASH = 2


class Isolation:
    """Counts crashes of an hour; ``pens`` names who must be apart. Times are monotonic µs."""

    def __init__(self) -> None:
        self._named: dict[str, list[int]] = {}
        self._suspected: dict[str, list[int]] = {}
        self._pens: dict[str, str] = {}
        self._last_us: dict[str, int] = {}
        self._halvings = 0

    def crashed(self, streams: Sequence[str], culprit: str | None, now_us: int) -> None:
        """A process with these streams has crashed, in the thread of ``culprit`` if that is known."""
        if len(streams) == 1:
            culprit = streams[0]
        if culprit is not None and culprit in streams:
            if len(_lately(self._named, culprit, now_us)) >= SECOND_CRASH:
                self._pens[culprit] = f"alone:{culprit}"
            self._last_us[culprit] = now_us
            return
        counts = [len(_lately(self._suspected, stream, now_us)) for stream in streams]
        for stream in streams:
            self._last_us[stream] = now_us
        if counts and min(counts) >= SECOND_CRASH:
            self._halvings += 1
            middle = len(streams) // 2
            for number, stream in enumerate(streams):
                self._pens[stream] = f"half:{self._halvings}.{int(number >= middle)}"

    def pens(self, now_us: int) -> Mapping[str, str]:
        """Give the pen of each stream that must be apart from those of other pens."""
        for stream, last_us in list(self._last_us.items()):
            if now_us - last_us > APART_US:
                del self._last_us[stream]
                self._pens.pop(stream, None)
                self._named.pop(stream, None)
                self._suspected.pop(stream, None)
        return dict(self._pens)

    def is_alone(self, stream: str) -> bool:
        """Say whether a stream is known to bring its worker down."""
        return self._pens.get(stream, "").startswith("alone:")


def _lately(crashes: dict[str, list[int]], stream: str, now_us: int) -> list[int]:
    """Add a crash and give those of the last hour."""
    kept = [at for at in crashes.get(stream, ()) if now_us - at < HOUR_US]
    crashes[stream] = [*kept, now_us]
    return crashes[stream]
