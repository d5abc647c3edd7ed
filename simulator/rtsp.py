"""The RTSP side: connections, sessions, and the two ways packets leave."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote, urlsplit

from bidwitness.simulator import wire
from bidwitness.simulator.rtp import datagrams, interleaved, on_channel
from bidwitness.simulator.sdp import describe
from bidwitness.simulator.spec import Auth
from bidwitness.simulator.streams import ServedStream, Viewer

log = logging.getLogger(__name__)

REALM = "virtual camera"
SESSION_SECONDS = 60
_UNSENT_SECONDS = 4
"""A viewer on TCP that is this far behind is disconnected."""
_KERNEL_BUFFER = 512 * 1024
_UDP_BURST = 24
_UDP_PAUSE = 0.002
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"

_ALGORITHMS: dict[Auth, tuple[str, ...]] = {
    Auth.DIGEST: (wire.MD5,),
    Auth.SHA256: (wire.SHA256,),
    Auth.EITHER: (wire.SHA256, wire.MD5),
    Auth.BASIC: (),
}


@dataclass(slots=True)
class Totals:
    """What happened on all connections since the start."""

    connections: int = 0
    open: int = 0
    refused_logins: int = 0
    slow: int = 0


@dataclass(slots=True)
class Hub:
    """What all connections share."""

    streams: Mapping[str, ServedStream]
    rtp: socket.socket
    rtcp: socket.socket
    totals: Totals = field(default_factory=Totals)
    connections: "set[Connection]" = field(default_factory=set)


class TcpWire:
    """Sends interleaved on the RTSP connection; one write a frame."""

    def __init__(self, connection: "Connection", channels: dict[int, tuple[int, int]]) -> None:
        self._connection = connection
        self._channels = channels
        self._parts: list[bytes | bytearray] = []

    def packets(self, track: int, data: bytearray, starts: tuple[int, ...]) -> None:
        channel = self._channels[track][0]
        self._parts.append(on_channel(data, starts, channel) if channel else data)

    def report(self, track: int, packet: bytes) -> None:
        self._parts.append(interleaved(self._channels[track][1], packet))

    def flush(self) -> None:
        self._connection.send_media(b"".join(self._parts))
        self._parts.clear()

    def close(self) -> None:
        self._connection.abort()


class UdpWire:
    """Sends datagrams, large frames in small bursts as cameras do."""

    def __init__(
        self, connection: "Connection", hub: Hub, host: str, ports: dict[int, tuple[int, int]]
    ) -> None:
        self._connection, self._hub = connection, hub
        self._to = {track: ((host, a), (host, b)) for track, (a, b) in ports.items()}
        self._queue: list[tuple[memoryview, tuple[str, int]]] = []

    def packets(self, track: int, data: bytearray, starts: tuple[int, ...]) -> None:
        to = self._to[track][0]
        self._queue += [(packet, to) for packet in datagrams(data, starts)]

    def report(self, track: int, packet: bytes) -> None:
        self._send(self._hub.rtcp, packet, self._to[track][1])

    def flush(self) -> None:
        burst, self._queue = self._queue[:_UDP_BURST], self._queue[_UDP_BURST:]
        for packet, to in burst:
            self._send(self._hub.rtp, packet, to)
        if self._queue:
            asyncio.get_running_loop().call_later(_UDP_PAUSE, self.flush)

    def close(self) -> None:
        self._connection.abort()

    @staticmethod
    def _send(through: socket.socket, packet: bytes | memoryview, to: tuple[str, int]) -> None:
        try:
            through.sendto(packet, to)
        except OSError:
            # As on any network: a datagram that finds no room or no listener is lost.
            log.debug("a datagram was lost")


@dataclass(slots=True)
class Session:
    """One RTSP session of a connection: a stream, its tracks set up, and whether it plays."""

    stream: ServedStream
    key: str
    tcp: bool
    pairs: dict[int, tuple[int, int]]
    viewer: Viewer | None = None


class Connection(asyncio.Protocol):
    """One client. It may hold one session, as cameras' clients do."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._buffer = bytearray()
        self._nonce = secrets.token_hex(16)
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Else the kernel lets it grow to many seconds of picture, as no camera does.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        self._hub.connections.add(self)
        self._hub.totals.connections += 1
        self._hub.totals.open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_session()
        self._hub.connections.discard(self)
        self._hub.totals.open -= 1

    def abort(self) -> None:
        """Close at once, without a word."""
        self._end_session()
        if self._transport:
            self._transport.abort()

    def send_media(self, data: bytes) -> None:
        """Send packets; a client that does not read is disconnected, not buffered for ever."""
        if not self._transport or self._transport.is_closing():
            return
        self._transport.write(data)
        unsent = self._transport.get_write_buffer_size()
        if unsent and self._session:
            spec = self._session.stream.spec
            limit = spec.rate(self._session.stream.role) // 8 * _UNSENT_SECONDS
            if unsent > max(limit, 1 << 20):
                self._hub.totals.slow += 1
                log.warning("a viewer reads too slowly and is disconnected")
                self.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while request := wire.take_request(self._buffer):
                self._answer(request)
        except wire.BadMessage as error:
            log.warning("a connection is closed: %s", error)
            self.abort()

    def _answer(self, request: wire.Request) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        stream, track = self._find(request.url)
        if stream and stream.refuses():
            self.abort()
            return
        status, headers, body = self._act(request, stream, track)
        data = wire.answer(status, request.headers.get("cseq", "0"), headers, body)
        self._transport.write(data)
        if request.method == "PLAY" and status == 200:
            self._begin()
        elif request.method == "TEARDOWN" and status == 200:
            self._transport.close()

    def _find(self, url: str) -> tuple[ServedStream | None, int | None]:
        """Find stream and track (None: all) by an address /camera/role[/trackN]."""
        parts = [part for part in unquote(urlsplit(url).path).split("/") if part]
        track = None
        if len(parts) == 3 and parts[2] in ("track0", "track1"):
            track = int(parts.pop()[-1])
        stream = self._hub.streams.get("/".join(parts))
        if stream and track is not None and track not in stream.tracks:
            return None, None
        return stream, track

    def _act(
        self, request: wire.Request, stream: ServedStream | None, track: int | None
    ) -> tuple[int, dict[str, str], bytes]:
        if request.method == "OPTIONS":
            return 200, {"Public": _METHODS}, b""
        if stream is None:
            return 404, {}, b""
        if not self._is_allowed(request, stream):
            if "authorization" in request.headers:
                self._hub.totals.refused_logins += 1
            asked = "\n".join(
                wire.challenge(REALM, self._nonce, algorithm)
                for algorithm in _ALGORITHMS[stream.spec.auth]
            )
            if stream.spec.auth is Auth.BASIC:
                asked = f'Basic realm="{REALM}"'
            return 401, {"WWW-Authenticate": asked}, b""
        if request.method == "DESCRIBE":
            return self._describe(request, stream)
        if request.method == "SETUP":
            return self._set_up(request, stream, track)
        if request.method not in ("PLAY", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"):
            return 501, {}, b""
        session = self._session
        named = request.headers.get("session", "").partition(";")[0]
        if session is None or (named and named != session.key) or session.stream is not stream:
            if request.method in ("GET_PARAMETER", "SET_PARAMETER") and not named:
                return 200, {}, b""
            return 454, {}, b""
        if request.method == "PLAY":
            return 200, self._play_headers(request, session), b""
        return 200, {"Session": session.key}, b""

    def _is_allowed(self, request: wire.Request, stream: ServedStream) -> bool:
        spec = stream.spec
        given = request.headers.get("authorization", "")
        if spec.auth is Auth.BASIC:
            return not spec.user or wire.is_basic_authorized(
                given, user=spec.user, password=spec.password
            )
        return not spec.user or wire.is_authorized(
            given,
            request.method,
            realm=REALM,
            nonce=self._nonce,
            user=spec.user,
            password=spec.password,
            algorithms=_ALGORITHMS[spec.auth],
        )

    def _describe(
        self, request: wire.Request, stream: ServedStream
    ) -> tuple[int, dict[str, str], bytes]:
        host = self._transport.get_extra_info("sockname")[0] if self._transport else ""
        headers = {
            "Content-Base": request.url.rstrip("/") + "/",
            "Content-Type": "application/sdp",
        }
        return 200, headers, describe(stream, host).encode()

    def _set_up(
        self, request: wire.Request, stream: ServedStream, track: int | None
    ) -> tuple[int, dict[str, str], bytes]:
        session = self._session
        named = request.headers.get("session", "").partition(";")[0]
        if named and (session is None or named != session.key):
            return 454, {}, b""
        if track is None:
            if len(stream.tracks) > 1:
                return 459, {}, b""
            track = stream.tracks[0]
        free = 2 * len(session.pairs) if session else 0
        chosen = wire.choose_transport(request.headers.get("transport", ""), free)
        if chosen is None or (session and session.tcp != chosen.tcp):
            return 461, {}, b""
        if session is None:
            session = Session(stream, secrets.token_hex(8), chosen.tcp, {})
            self._session = session
        elif session.stream is not stream or session.viewer:
            return 455, {}, b""
        session.pairs[track] = chosen.pair
        a, b = chosen.pair
        ssrc = f"ssrc={stream.counters[track].ssrc:08X}"
        if chosen.tcp:
            transport = f"RTP/AVP/TCP;unicast;interleaved={a}-{b};{ssrc}"
        else:
            ports = f"{self._hub.rtp.getsockname()[1]}-{self._hub.rtcp.getsockname()[1]}"
            transport = f"RTP/AVP;unicast;client_port={a}-{b};server_port={ports};{ssrc}"
        return (
            200,
            {"Transport": transport, "Session": f"{session.key};timeout={SESSION_SECONDS}"},
            b"",
        )

    def _play_headers(self, request: wire.Request, session: Session) -> dict[str, str]:
        base = request.url.rstrip("/")
        frame = session.stream.frame_now()
        info = [
            f"url={base}/track{track};rtptime={session.stream.timestamp(track, frame)}"
            for track in sorted(session.pairs)
        ]
        return {"Session": session.key, "Range": "npt=now-", "RTP-Info": ",".join(info)}

    def _begin(self) -> None:
        session = self._session
        if session is None or session.viewer or self._transport is None:
            return
        way: TcpWire | UdpWire
        if session.tcp:
            way = TcpWire(self, session.pairs)
        else:
            host = self._transport.get_extra_info("peername")[0]
            way = UdpWire(self, self._hub, host, session.pairs)
        session.viewer = session.stream.add(way, frozenset(session.pairs))

    def _end_session(self) -> None:
        if self._session and self._session.viewer:
            self._session.stream.remove(self._session.viewer)
        self._session = None
