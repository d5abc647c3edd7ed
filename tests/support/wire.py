"""What really went to somebody: a relay before the API that keeps every byte the server sends."""

import socket
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO

from support.api import RunningApi

# What is looked for: any so many bytes of a track, wherever in its samples they stand.
GRAM = 16
# Of fewer different bytes it might stand anywhere: fill, headers, a run of zeros.
VARIED = 9


@dataclass
class Wire:
    """One person's way to the API. ``api`` is the same API, come to by this way."""

    api: RunningApi
    # One a connection, so that what two send at once is not mixed.
    heard: list[bytearray] = field(default_factory=list)

    def found(self, wanted: set[bytes], *more: bytes) -> set[bytes]:
        """Give what of ``wanted`` (see ``grams_of``) crossed the wire, or stands in ``more``."""
        return {
            gram
            for data in (*map(bytes, self.heard), *more)
            for at in range(len(data) - GRAM + 1)
            if (gram := data[at : at + GRAM]) in wanted
        }


@contextmanager
def tapped(api: RunningApi) -> Iterator[Wire]:
    """Relay to the API until the block ends."""
    host, port = api.base.removeprefix("http://").split(":")
    with socket.create_server((host, 0)) as listener:
        own = f"http://{host}:{listener.getsockname()[1]}"
        wire = Wire(replace(api, base=own))
        relay = _Relay(listener, (host, int(port)), wire.heard)
        relay.start()
        try:
            yield wire
        finally:
            relay.stop()


class _Relay:
    def __init__(
        self, listener: socket.socket, target: tuple[str, int], heard: list[bytearray]
    ) -> None:
        self._listener, self._target, self._heard = listener, target, heard
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def start(self) -> None:
        self._threads[0].start()

    def stop(self) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                kept = bytearray()
                self._heard.append(kept)
                self._pump(near, far, bytearray())
                self._pump(far, near, kept)

    def _pump(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        def run() -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    kept.extend(data)
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()


def grams_of(samples: Iterable[bytes]) -> set[bytes]:
    """Give what is looked for of a track: its samples in steps, without what says nothing."""
    return {
        gram
        for sample in samples
        for at in range(0, len(sample) - GRAM + 1, GRAM)
        if len(set(gram := sample[at : at + GRAM])) >= VARIED
    }


def unpacked(package: bytes) -> list[bytes]:
    """Give what lies in a package, so that nothing hides in how it is packed."""
    with zipfile.ZipFile(BytesIO(package)) as bag:
        return [bag.read(name) for name in bag.namelist()]
