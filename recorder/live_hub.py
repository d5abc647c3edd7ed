"""One stream's live viewers: a connection to the worker's tap while somebody watches, fragments
for each track that is watched, and a bounded queue for each viewer.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.errors import DamageFound
from bidwitness.recorder.live_mux import LiveFragment, LiveInit, LiveMux, mux_of
from bidwitness.recorder.packets import SourceTrack
from bidwitness.recorder.tap import END, FRAME, PACKET, TRACKS, decode_packet, decode_tracks
from bidwitness.words import Medium

log = logging.getLogger(__name__)

# A viewer whose next message has waited for so long is behind, and goes on at a key frame.
BEHIND_US = 1_000_000
STALL_US = 3_000_000
RETRY_S = 0.5
# After the last viewer the tap stays connected: somebody turns a page and comes back.
LINGER_US = 5_000_000
# More than any packet of any camera.
MESSAGE_LIMIT = 64 << 20
RING_FRAGMENTS = 2000

STALLED = json.dumps({"state": "stalled"})
OFFLINE = json.dumps({"state": "offline"})


@dataclass(eq=False)
class Viewer:
    """Somebody who watches one track: what she still has to be sent."""

    medium: Medium
    clock: Clock
    _queue: deque[tuple[int, bool, str | bytes]] = field(default_factory=deque)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _behind: bool = False
    _greeted: bool = False
    # A camera that changes its picture's size has another one from then on.
    _init: LiveInit | None = None
    dropped: int = 0

    def say(self, text: str) -> None:
        """Queue a message about the stream; it is never dropped for being late."""
        self._put(True, text)

    def begin(self, init: LiveInit, utc_us: int) -> None:
        """Queue what a player needs before fragments: it starts anew with it."""
        self._queue.clear()
        self._behind = False
        self._greeted = True
        self._init = init
        hello = {
            "codecs": init.codecs,
            "mime": init.mime,
            "width": init.width,
            "height": init.height,
            "utc_us": utc_us,
        }
        self.say(json.dumps(hello))
        self._put(True, init.data)

    def fragment(self, init: LiveInit, fragment: LiveFragment) -> None:
        """Queue a fragment, unless she is so far behind that she is to go on at a key frame."""
        if not self._greeted or init is not self._init:
            if not fragment.key:
                return
            self.begin(init, fragment.utc_us)
        late = bool(self._queue) and self.clock.monotonic_us() - self._queue[0][0] > BEHIND_US
        if (late or self._behind) and fragment.key:
            self._drop()
            self._behind = False
        elif late or self._behind:
            self._behind = True
            self.dropped += 1
            return
        self._put(False, fragment.data)

    def _drop(self) -> None:
        kept = [item for item in self._queue if item[1]]
        self.dropped += len(self._queue) - len(kept)
        self._queue = deque(kept)

    def ended(self) -> None:
        """The camera's connection has ended: what comes next begins anew."""
        self._greeted = False

    def _put(self, stays: bool, message: str | bytes) -> None:
        self._queue.append((self.clock.monotonic_us(), stays, message))
        self._ready.set()

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Give what she is to be sent, as it comes."""
        while True:
            while self._queue:
                yield self._queue.popleft()[2]
            self._ready.clear()
            await self._ready.wait()


@dataclass
class _Track:
    """A track that is worked on. ``ring``: its fragments since the last key frame."""

    place: int
    mux: LiveMux
    last_us: int
    ring: list[LiveFragment] = field(default_factory=list)
    stalled: bool = False


class Hub:
    """All viewers of one stream."""

    def __init__(self, socket_path: Path, clock: Clock) -> None:
        self._path = socket_path
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._declared: tuple[SourceTrack, ...] = ()
        self._tracks: dict[Medium, _Track] = {}
        self._offline = False
        self._alone = False
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._task is None

    def enter(self, medium: Medium) -> Viewer:
        """Let a viewer in; she gets the running GOP at once."""
        viewer = Viewer(medium, self._clock)
        self._viewers.add(viewer)
        if self._task is None:
            self._offline = False
            self._task = asyncio.create_task(self._run(), name=f"live {self._path.stem}")
        if self._offline:
            viewer.say(OFFLINE)
        track = self._track(medium)
        if track is not None and track.mux.init is not None:
            for fragment in track.ring:
                viewer.fragment(track.mux.init, fragment)
            if track.stalled:
                viewer.say(STALLED)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    async def close(self) -> None:
        """Let go of the tap."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _track(self, medium: Medium) -> _Track | None:
        """Give the track of a medium; sound is only worked on once somebody listens."""
        if medium not in self._tracks and self._declared:
            found = mux_of(self._declared, medium)
            if found is not None:
                self._tracks[medium] = _Track(*found, self._clock.monotonic_us())
        return self._tracks.get(medium)

    async def _run(self) -> None:
        """Stay connected to the tap as long as somebody watches, and a little longer."""
        try:
            self._alone = False
            while not self._alone:
                try:
                    await self._follow()
                except (OSError, asyncio.IncompleteReadError, DamageFound) as error:
                    log.debug("live tap of %s: %s", self._path.stem, error)
                if not self._alone:
                    self._went_offline()
                    await asyncio.sleep(RETRY_S)
                    self._alone = not self._viewers
        finally:
            self._declared, self._tracks = (), {}
            if self._task is asyncio.current_task():
                self._task = None

    async def _follow(self) -> None:
        """Read one connection to the tap to its end."""
        connection = await asyncio.to_thread(_connected, self._path)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        watch = asyncio.create_task(self._watch(writer))
        try:
            while True:
                self._take(*await _message(reader))
        finally:
            watch.cancel()
            writer.close()

    async def _watch(self, writer: asyncio.StreamWriter) -> None:
        """Notice tracks that stand still, and that nobody watches any more."""
        seen_us = self._clock.monotonic_us()
        while True:
            await asyncio.sleep(RETRY_S)
            now = self._clock.monotonic_us()
            seen_us = now if self._viewers else seen_us
            if now - seen_us > LINGER_US:
                self._alone = True
                writer.close()
                return
            for medium, track in self._tracks.items():
                if not track.stalled and now - track.last_us > STALL_US:
                    track.stalled = True
                    self._tell(STALLED, medium)

    def _take(self, kind: int, body: bytes) -> None:
        if kind == TRACKS:
            self._end()
            self._offline = False
            self._declared = decode_tracks(body)
            for medium in {Medium.PICTURE, *(viewer.medium for viewer in self._viewers)}:
                self._track(medium)
        elif kind == END:
            self._went_offline()
        elif kind == PACKET:
            packet = decode_packet(body)
            for medium, track in self._tracks.items():
                if track.place == packet.track:
                    for fragment in track.mux.push(packet):
                        self._spread(medium, track, fragment)

    def _spread(self, medium: Medium, track: _Track, fragment: LiveFragment) -> None:
        track.last_us = self._clock.monotonic_us()
        track.stalled = False
        if fragment.key or len(track.ring) >= RING_FRAGMENTS:
            track.ring = []
        if medium is Medium.PICTURE and (fragment.key or track.ring):
            track.ring.append(fragment)
        assert track.mux.init is not None
        for viewer in self._viewers:
            if viewer.medium is medium:
                viewer.fragment(track.mux.init, fragment)

    def _end(self) -> None:
        self._declared, self._tracks = (), {}
        for viewer in self._viewers:
            viewer.ended()

    def _went_offline(self) -> None:
        self._end()
        if not self._offline:
            self._offline = True
            self._tell(OFFLINE)

    def _tell(self, state: str, medium: Medium | None = None) -> None:
        for viewer in self._viewers:
            if medium in (None, viewer.medium):
                viewer.say(state)


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    size, kind = FRAME.unpack(await reader.readexactly(FRAME.size))
    if size > MESSAGE_LIMIT:
        raise DamageFound("The tap sends a message that is too long.")
    return kind, await reader.readexactly(size)


def _connected(path: Path) -> socket.socket:
    """Connect to a socket whose path may be longer than the system allows in one piece."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        except OSError:
            connection.close()
            raise
        connection.setblocking(False)
        return connection
    finally:
        os.close(folder)
