"""Several volumes: a writer each, and which of them a stream's segments go to.

A stream lives on one volume at a time. Which, follows from its name, so that streams spread and come
back to the same disk; a volume that is not there, fails or is full is passed over, and the spool itself
is the last resort. A stream leaves its volume when that fails or refuses it and another would not.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.recorder.writer import StreamSink, VolumeWriter
from bidwitness.storage.spool.blob import US
from bidwitness.storage.spool.volumes import is_present
from bidwitness.words import GapCause

log = logging.getLogger(__name__)

# A volume that has failed is not chosen again for so long.
AVOIDED_US = 60 * US


class WriterPool:
    """The writers of a process. ``last``: the spool's own, taken when no other can be."""

    def __init__(
        self,
        writers: Sequence[VolumeWriter],
        last: VolumeWriter,
        clock: Clock,
        *,
        present: Callable[[Path], bool] = is_present,
    ) -> None:
        self._writers = writers
        self._last = last
        self._clock = clock
        self._present = present
        self._homes: dict[StreamSink, VolumeWriter] = {}
        self._failed_us: dict[VolumeWriter, int] = {}

    def start(self) -> None:
        for writer in (*self._writers, self._last):
            writer.start()

    def stop(self) -> None:
        """Write and sync all that was handed over, and end."""
        for writer in (*self._writers, self._last):
            writer.stop()

    def sink(self, stream: str, *, in_session: bool = True) -> StreamSink:
        """Bring a stream in order on all volumes and give its sink on one of them.

        Raises ``OSError`` if not even the last takes it, ``DamageFound`` if its journal is broken.
        """
        order = self._order(stream, in_session)
        for writer in order:
            try:
                sink = writer.sink(stream, in_session=in_session)
            except OSError:
                if writer is order[-1]:
                    raise
                self._avoid(writer)
                continue
            self._homes[sink] = writer
            return sink
        raise AssertionError("the spool's own writer is always in the order")

    def elsewhere(self, sink: StreamSink) -> bool:
        """Say whether another volume would take what this one does not."""
        home = self._homes.get(sink)
        return any(
            writer is not home
            and self._is_well(writer)
            and writer.refusal(in_session=sink.in_session) is None
            for writer in (*self._writers, self._last)
        )

    def release(self, sink: StreamSink) -> None:
        """A stream ends, or leaves its volume: what it handed over is written, if that is possible."""
        writer = self._homes.pop(sink)
        if sink.trouble is GapCause.DISK and sink.refusal is None:
            self._avoid(writer)
        writer.release(sink)

    def _order(self, stream: str, in_session: bool) -> list[VolumeWriter]:
        def rank(writer: VolumeWriter) -> tuple[bool, bool, bool, bytes]:
            refused = writer.refusal(in_session=in_session) is not None
            name = hashlib.sha256(f"{writer.volume}\0{stream}".encode()).digest()
            return not self._is_well(writer), refused, writer is self._last, name

        there = [w for w in self._writers if self._present(w.volume)]
        return sorted((*there, self._last), key=rank)

    def _is_well(self, writer: VolumeWriter) -> bool:
        since = self._failed_us.get(writer)
        lately = since is not None and self._clock.monotonic_us() - since < AVOIDED_US
        return not lately and (writer is self._last or self._present(writer.volume))

    def _avoid(self, writer: VolumeWriter) -> None:
        self._failed_us[writer] = self._clock.monotonic_us()
        log.error("a volume fails", extra={"facts": {"volume": str(writer.volume)}})
