"""A network cable between a recorder and a camera, that a test may cut, freeze and spoil.

It is a proxy on loopback. While it is cut, nothing passes and nobody is told: what was sent waits
as it would in TCP's own queues, and who dials is not even refused.
"""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

POLL_S = 0.05
CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)


class _Link:
    """One connection through the cable."""

    def __init__(self, near: socket.socket, far: socket.socket, cable: "Cable") -> None:
        self.near, self.far = near, far
        for end in (near, far):
            end.settimeout(None)
        self.dead = False
        # Noise to put among the next bytes for the recorder.
        self.noise = b""
        self._cable = cable
        self.threads = [
            threading.Thread(target=self._pump, args=ends, daemon=True)
            for ends in ((near, far), (far, near))
        ]

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        # Both ends stay blocking: a time limit set for one direction would be the other's as well.
        # A closed socket has no number to wait on.
        with suppress(OSError, ValueError):
            while not self._cable.closed:
                # A cut cable takes nothing from the sender either: it waits in the sender's queue.
                if self.dead or not self._cable.flows.wait(POLL_S):
                    time.sleep(POLL_S if self.dead else 0)
                    continue
                if not select.select([source], [], [], POLL_S)[0]:
                    continue
                data = source.recv(CHUNK)
                if not data:
                    break
                if target is self.near:
                    data, self.noise = self.noise + data, b""
                    time.sleep(self._cable.delay_s)
                target.sendall(data)
        if not self.dead:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Both sides are told that the other is gone."""
        for end in (self.near, self.far):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Cable:
    """Passes connections on to ``upstream`` (host and port). Made by ``laid``."""

    def __init__(self, upstream: tuple[str, int], delay_s: float = 0) -> None:
        self.upstream = upstream
        self.delay_s = delay_s
        self.closed = False
        self.flows = threading.Event()
        self.flows.set()
        self.dialled = 0
        self._links: list[_Link] = []
        self._refusing = False
        # With its one place taken, who dials gets no answer at all, as without a cable.
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._listener.settimeout(POLL_S)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def url(self, url: str) -> str:
        """Give an address of the camera by way of this cable."""
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{netloc[0]}{netloc[1]}127.0.0.1:{self.port}").geturl()

    def _serve(self) -> None:
        while not self.closed:
            if not self.flows.wait(POLL_S):
                continue
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            if near.getpeername() in [filler.getsockname() for filler in self._fillers]:
                near.close()
                continue
            self.dialled += 1
            try:
                far = None if self._refusing else socket.create_connection(self.upstream, 2)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            link = _Link(near, far, self)
            self._links.append(link)
            for thread in link.threads:
                thread.start()

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self.flows.clear()
        time.sleep(2 * POLL_S)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def join(self) -> None:
        """It is plugged in again: what waited comes, as TCP sends it again."""
        self.flows.set()

    def forget(self) -> None:
        """The camera's end has forgotten all connections, and says so to nobody."""
        for link in self._links:
            link.dead = True

    def spoil(self, size: int) -> None:
        """Put so much noise between the next bytes to the recorder."""
        for link in self._links:
            link.noise = os.urandom(size)

    def reboot(self, upstream: tuple[str, int]) -> None:
        """The camera resets all connections and refuses new ones until ``booted``."""
        self._refusing = True
        self.upstream = upstream
        for link in self._links:
            link.dead = True
            link.reset()

    def booted(self) -> None:
        self._refusing = False

    def close(self) -> None:
        self.closed = True
        self.flows.set()
        self._thread.join()
        self._listener.close()
        for filler in self._fillers:
            filler.close()
        for link in self._links:
            link.dead = True
            link.reset()
            for thread in link.threads:
                thread.join()


@contextmanager
def laid(url: str, delay_s: float = 0) -> Iterator[Cable]:
    """Lay a cable to the camera at ``url``."""
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    cable = Cable((parts.hostname, parts.port), delay_s)
    try:
        yield cable
    finally:
        cable.close()
