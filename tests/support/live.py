"""A camera at a worker's tap, and the process `live` beside it, both in this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from support.clips import TICK, make_clip
from support.wait import wait_until

from bidwitness.clock import Clock, SystemClock
from bidwitness.recorder.live import LiveServer
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.tap import LiveTap
from bidwitness.secrets import SecretBox
from bidwitness.storage.media import g711
from bidwitness.tickets import LiveTickets
from bidwitness.words import Medium

FRAMES = 500
TRACKS = (
    SourceTrack(Medium.PICTURE, "h264", 90_000),
    SourceTrack(Medium.SOUND, g711.ALAW, 8000, channels=1),
)


@dataclass
class TapCamera:
    """Sends numbered pictures and 20 ms packets of sound into a tap, as fast as it is told."""

    run_dir: Path
    stream_id: str
    clock: Clock = field(default_factory=SystemClock)
    frame: int = 0
    # Bytes that every picture is longer than it need be.
    padding: int = 0
    # Makes sound that is nowhere twice, which ``heard`` keeps.
    noise: Random | None = None
    heard: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tap = LiveTap(self.run_dir, self.clock)
        self.tap.start()

    def begin(self) -> None:
        """The recorder has connected to the camera."""
        self.tap.begin(self.stream_id, TRACKS)

    def end(self) -> None:
        self.tap.end(self.stream_id)

    def send(self, frames: int) -> None:
        """Send pictures with the sound that goes with them."""
        pictures = make_clip(frames=FRAMES, gop=25, size=64).pictures
        filler = b"\x0c" + b"\xff" * self.padding + b"\x80" if self.padding else b""
        filler = len(filler).to_bytes(4) + filler if filler else b""
        for _ in range(frames):
            unit = pictures[self.frame % FRAMES]
            at = self.frame * TICK
            now = self.clock.monotonic_us()
            self.tap.packet(
                self.stream_id, Packet(0, unit.data + filler, at, at, TICK, unit.key, now)
            )
            for half in range(2):
                pts = self.frame * 320 + half * 160
                sound = bytes([pts // 160 % 256]) * 160
                if self.noise is not None:
                    sound = self.noise.randbytes(160)
                    self.heard.append(sound)
                self.tap.packet(self.stream_id, Packet(1, sound, pts, pts, 160, True, now))
            self.frame += 1

    def stop(self) -> None:
        self.tap.stop()


class LiveProcess:
    """`live` in a thread; ``port`` is where it listens."""

    def __init__(self, run_dir: Path, key_file: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._tickets = LiveTickets(SecretBox(key_file), self._clock)
        self._run_dir = run_dir
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.port != 0, 5, "live to listen")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = LiveServer(self._run_dir, self._tickets, self._clock)
        async with server.listening("127.0.0.1", 0) as listening:
            self.port = listening.sockets[0].getsockname()[1]
            await self._stop.wait()


@contextmanager
def tap_camera(run_dir: Path, stream_id: str) -> Iterator[TapCamera]:
    camera = TapCamera(run_dir, stream_id)
    try:
        yield camera
    finally:
        camera.stop()
