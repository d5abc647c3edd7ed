"""Encoded packets for live viewers, out of a worker by unix socket: one camera pull serves all.

Each stream has a socket ``run/live/<stream>.sock``. Whoever connects gets the tracks, the packets
since the last key frame, then every packet as it arrives. Messages are framed as
``length u32, kind u8, payload`` (little endian; length counts the payload):

- ``TRACKS``: JSON ``[{medium, codec, rate, extradata (base64), channels}]``, at each connection
- ``PACKET``: ``track u8, key u8, pts i64, dts i64, duration i64, utc_us i64``, then the data
- ``END``: the camera's connection has ended; ``TRACKS`` follows when it is back

A time stamp that the camera did not give is ``NO_TIME``. A subscriber that cannot keep up loses
packets up to the next key frame; the recording never waits for it.
"""

import base64
import json
import logging
import os
import selectors
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.errors import DamageFound
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.words import Medium

log = logging.getLogger(__name__)

TRACKS, PACKET, END = 0, 1, 2
NO_TIME = -(2**63)
FRAME = struct.Struct("<IB")
HEAD = struct.Struct("<BBqqqq")
# What a subscriber may lag behind, and what is kept of a GOP without end.
REFUSED_S = 0.1
QUEUE_BYTES = 4 << 20
RING_BYTES = 8 << 20


def socket_path(run_dir: Path, stream_id: str) -> Path:
    """Give where a stream's packets are to be had."""
    return run_dir / "live" / f"{stream_id}.sock"


def encode_tracks(tracks: tuple[SourceTrack, ...]) -> bytes:
    """Give the message that describes a connection."""
    listed = [
        {
            "medium": track.medium.value,
            "codec": track.codec,
            "rate": track.rate,
            "extradata": base64.b64encode(track.extradata).decode(),
            "channels": track.channels,
        }
        for track in tracks
    ]
    body = json.dumps(listed).encode()
    return FRAME.pack(len(body), TRACKS) + body


def decode_tracks(body: bytes) -> tuple[SourceTrack, ...]:
    """Read the payload of ``TRACKS``. Raises ``DamageFound`` for anything else."""
    try:
        return tuple(
            SourceTrack(
                Medium(item["medium"]),
                str(item["codec"]),
                int(item["rate"]),
                base64.b64decode(item["extradata"], validate=True),
                int(item["channels"]),
            )
            for item in json.loads(body)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamageFound(f"The tap's tracks cannot be read: {error}") from None


def encode_packet(packet: Packet, utc_us: int) -> bytes:
    """Give the message of a packet that arrived at ``utc_us``."""
    head = HEAD.pack(
        packet.track,
        packet.key,
        NO_TIME if packet.pts is None else packet.pts,
        NO_TIME if packet.dts is None else packet.dts,
        packet.duration,
        utc_us,
    )
    return FRAME.pack(len(head) + len(packet.data), PACKET) + head + packet.data


def decode_packet(body: bytes) -> Packet:
    """Read the payload of ``PACKET``; ``arrived_us`` is UTC here. Raises ``DamageFound``."""
    try:
        track, key, pts, dts, duration, utc_us = HEAD.unpack_from(body)
    except struct.error as error:
        raise DamageFound(f"The tap's packet cannot be read: {error}") from None
    return Packet(
        track,
        body[HEAD.size :],
        None if pts == NO_TIME else pts,
        None if dts == NO_TIME else dts,
        duration,
        bool(key),
        utc_us,
    )


class _Subscriber:
    """One connection: a bounded queue, emptied by a thread of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._closed = False
        # Set while packets are being dropped up to the next key frame.
        self._behind = False
        self._thread = threading.Thread(target=self._send, daemon=True, name="tap")
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, message: bytes, *, restart: bool) -> None:
        """Queue a message; ``restart``: a viewer can begin with it."""
        with self._ready:
            if self._behind and restart:
                self._behind = False
            elif self._bytes + len(message) > QUEUE_BYTES:
                self._behind = True
            if self._behind:
                return
            self._queue.append(message)
            self._bytes += len(message)
            self._ready.notify()

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify()

    def _send(self) -> None:
        try:
            while True:
                with self._ready:
                    self._ready.wait_for(lambda: self._queue or self._closed)
                    if not self._queue:
                        return
                    message = self._queue.popleft()
                    self._bytes -= len(message)
                self._connection.sendall(message)
        except OSError:
            log.debug("a live subscriber has gone")
        finally:
            self._closed = True
            self._connection.close()


@dataclass
class _Stream:
    """What is kept of one stream for whoever comes next."""

    listener: socket.socket
    path: Path
    tracks: tuple[SourceTrack, ...] = ()
    ring: list[tuple[Packet, int]] = field(default_factory=list)
    ring_bytes: int = 0
    subscribers: list[_Subscriber] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class LiveTap:
    """The taps of one worker process."""

    def __init__(self, run_dir: Path, clock: Clock) -> None:
        self._run_dir = run_dir
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, daemon=True, name="tap-accept")

    def start(self) -> None:
        self._thread.start()

    def begin(self, stream_id: str, tracks: tuple[SourceTrack, ...]) -> None:
        """A connection to the camera stands: tell those who wait.

        Raises ``OSError`` if there can be no socket for them.
        """
        stream = self._streams.get(stream_id) or self._open(stream_id)
        with stream.lock:
            stream.tracks, stream.ring, stream.ring_bytes = tracks, [], 0
            for subscriber in stream.subscribers:
                subscriber.put(encode_tracks(tracks), restart=True)

    def packet(self, stream_id: str, packet: Packet) -> None:
        """Pass a packet on."""
        stream = self._streams[stream_id]
        utc_us = self._clock.utc_us()
        leads = packet.key and stream.tracks[packet.track].medium is Medium.PICTURE
        with stream.lock:
            if leads:
                stream.ring, stream.ring_bytes = [], 0
            if stream.ring_bytes < RING_BYTES:
                stream.ring.append((packet, utc_us))
                stream.ring_bytes += len(packet.data)
            if not stream.subscribers:
                return
            stream.subscribers = [s for s in stream.subscribers if not s.closed]
            message = encode_packet(packet, utc_us)
            for subscriber in stream.subscribers:
                subscriber.put(message, restart=leads)

    def end(self, stream_id: str) -> None:
        """The connection has ended."""
        stream = self._streams[stream_id]
        with stream.lock:
            stream.tracks, stream.ring, stream.ring_bytes = (), [], 0
            for subscriber in stream.subscribers:
                subscriber.put(FRAME.pack(0, END), restart=True)

    def watched(self, stream_id: str) -> bool:
        """Say whether anybody takes this stream's packets now."""
        stream = self._streams.get(stream_id)
        return stream is not None and bool(stream.subscribers)

    def stop(self) -> None:
        """Close every socket."""
        self._wake.close()
        self._thread.join()
        for stream in self._streams.values():
            stream.listener.close()
            stream.path.unlink(missing_ok=True)
            for subscriber in stream.subscribers:
                subscriber.close()
        self._selector.close()
        self._woken.close()

    def _open(self, stream_id: str) -> _Stream:
        path = socket_path(self._run_dir, stream_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(listener, path)
            path.chmod(0o600)
            listener.listen()
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        stream = self._streams[stream_id] = _Stream(listener, path)
        self._selector.register(listener, selectors.EVENT_READ, stream)
        return stream

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                self._admit(key.data)

    def _admit(self, stream: _Stream) -> None:
        try:
            connection, _ = stream.listener.accept()
        except OSError:
            # Out of file handles, say: who knocks goes on knocking, and must not cost all the CPU.
            self._clock.sleep(REFUSED_S)
            return
        connection.setblocking(True)
        subscriber = _Subscriber(connection)
        with stream.lock:
            if stream.tracks:
                subscriber.put(encode_tracks(stream.tracks), restart=True)
            for packet, utc_us in stream.ring:
                subscriber.put(encode_packet(packet, utc_us), restart=False)
            stream.subscribers.append(subscriber)


def _bind(listener: socket.socket, path: Path) -> None:
    """Bind to a path of any length: the system allows some 100 bytes, folders may be deeper."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
