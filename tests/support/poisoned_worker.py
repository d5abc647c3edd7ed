"""The recorder's worker process, with one camera whose packets kill it: run by tests as a module.

The thread of the stream whose path is `POISON` is struck by a real SIGSEGV a second and a half after its
first packet, as a library that reads what a stranger sent would be.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator

from bidwitness.addresses import CameraAddress
from bidwitness.clock import Clock
from bidwitness.config import load_settings
from bidwitness.recorder.crash_note import CrashNote
from bidwitness.recorder.packets import Packet, PacketSource, Reception, SourceTrack
from bidwitness.recorder.record_worker import run_record_worker
from bidwitness.recorder.source import RtspOpener

POISON = "poison"
AFTER_US = 1_500_000


class _Poisoned:
    def __init__(self, inner: PacketSource) -> None:
        self._inner = inner

    @property
    def tracks(self) -> tuple[SourceTrack, ...]:
        return self._inner.tracks

    def packets(self) -> Iterator[Packet]:
        since: int | None = None
        for packet in self._inner.packets():
            since = packet.arrived_us if since is None else since
            if packet.arrived_us - since > AFTER_US:
                signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)
            yield packet

    def reception(self) -> Reception | None:
        return self._inner.reception()

    def hurry(self, urgent: Callable[[], bool]) -> None:
        self._inner.hurry(urgent)

    def close(self) -> None:
        self._inner.close()


class PoisonedOpener:
    """Dials as the recorder does."""

    def __init__(self, clock: Clock, *, allow_loopback: bool) -> None:
        self._open = RtspOpener(clock, allow_loopback=allow_loopback)

    def __call__(self, address: CameraAddress, *, with_sound: bool) -> PacketSource:
        source = self._open(address, with_sound=with_sound)
        return _Poisoned(source) if POISON in address.path else source


if __name__ == "__main__":
    run_record_worker(load_settings(), CrashNote(int(sys.argv[1])), PoisonedOpener)
