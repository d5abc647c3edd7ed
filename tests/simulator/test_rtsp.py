"""The protocol's edges, by a client that speaks it by hand."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.wait import wait_until


class Client:
    """Sends requests and reads answers; packets in between are thrown away."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._buffer = b""
        self._number = 0

    def ask(self, method: str, path: str = "", **headers: str) -> tuple[int, str]:
        self._number += 1
        lines = [f"{method} {self.url}{path} RTSP/1.0", f"CSeq: {self._number}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self._answer()

    def _answer(self) -> tuple[int, str]:
        while True:
            while self._buffer[:1] == b"$":
                self._need(4)
                self._need(size := 4 + int.from_bytes(self._buffer[2:4]))
                self._buffer = self._buffer[size:]
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if found and self._buffer[:1] == b"R":
                text = head.decode()
                length = re.search(r"Content-Length: (\d+)", text)
                size = len(head) + 4 + (int(length[1]) if length else 0)
                self._need(size)
                body = self._buffer[len(head) + 4 : size].decode()
                self._buffer = self._buffer[size:]
                return int(text.split(" ")[1]), text + "\n" + body
            self._need(len(self._buffer) + 1)

    def _need(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("closed")
            self._buffer += data

    def set_up(self, track: int = 0, **headers: str) -> str:
        transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
        status, text = self.ask("SETUP", f"/track{track}", Transport=transport, **headers)
        assert status == 200, text
        found = re.search(r"Session: (\w+);timeout=60", text)
        assert found
        return found[1]


@contextmanager
def client(simulator: RunningSimulator, camera: str = "plain") -> Iterator[Client]:
    made = Client(simulator.url(camera, login=False))
    try:
        yield made
    finally:
        made.socket.close()


def test_a_whole_conversation(cameras: RunningSimulator) -> None:
    with client(cameras) as c:
        status, text = c.ask("OPTIONS")
        assert status == 200 and "DESCRIBE" in text
        status, text = c.ask("DESCRIBE", Accept="application/sdp")
        assert status == 200
        assert f"Content-Base: {c.url}/" in text
        for line in ("a=rtpmap:96 H264/90000", "a=rtpmap:8 PCMA/8000", "a=control:track1"):
            assert line in text
        assert re.search(r"sprop-parameter-sets=\S+,\S+", text)
        key = c.set_up(0)
        assert c.set_up(1, Session=key) == key
        status, text = c.ask("PLAY", Session=key, Range="npt=now-")
        assert status == 200
        assert re.search(r"RTP-Info: url=\S+/track0;rtptime=\d+,url=\S+/track1;rtptime=\d+", text)
        assert c.ask("GET_PARAMETER", Session=key)[0] == 200
        wait_until(
            lambda: cameras.camera("plain")["state"]["main"]["viewers"] == 1, 5, "the viewer"
        )
        assert c.ask("TEARDOWN", Session=key)[0] == 200
        with pytest.raises(ConnectionError):
            c.ask("OPTIONS")
    wait_until(
        lambda: cameras.camera("plain")["state"]["main"]["viewers"] == 0, 5, "the viewer's end"
    )


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DESCRIBE", "/nothing", {}, 404),
        ("SETUP", "/track7", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}, 404),
        ("SETUP", "", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}, 459),
        ("SETUP", "/track0", {"Transport": "RTP/AVP;multicast"}, 461),
        ("SETUP", "/track0", {}, 461),
        ("SETUP", "/track0", {"Session": "12345678", "Transport": "RTP/AVP/TCP"}, 454),
        ("PLAY", "", {"Session": "12345678"}, 454),
        ("PLAY", "", {}, 454),
        ("TEARDOWN", "", {"Session": "12345678"}, 454),
        ("RECORD", "", {}, 501),
    ],
)
def test_what_cannot_be_done_is_said_by_its_number(
    cameras: RunningSimulator, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with client(cameras) as c:
        assert c.ask(method, path, **headers)[0] == status
        # The connection is still good.
        assert c.ask("OPTIONS")[0] == 200


def test_a_track_of_another_stream_or_transport_is_refused(cameras: RunningSimulator) -> None:
    with client(cameras) as c:
        key = c.set_up(0)
        udp = "RTP/AVP;unicast;client_port=5000-5001"
        assert c.ask("SETUP", "/track1", Session=key, Transport=udp)[0] == 461
        c.url = c.url.replace("/main", "/sub")
        tcp = "RTP/AVP/TCP;unicast;interleaved=2-3"
        assert c.ask("SETUP", "/track1", Session=key, Transport=tcp)[0] == 455


@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"])
def test_nothing_but_options_goes_without_the_password(
    cameras: RunningSimulator, method: str
) -> None:
    with client(cameras, "locked") as c:
        assert c.ask("OPTIONS")[0] == 200
        status, text = c.ask(method)
        assert status == 401
        assert 'WWW-Authenticate: Digest realm="' in text
        forged = 'Digest username="operator", nonce="x", uri="/", response="00"'
        assert c.ask(method, Authorization=forged)[0] == 401


def test_garbage_closes_only_its_own_connection(cameras: RunningSimulator) -> None:
    with client(cameras) as good, client(cameras) as bad:
        bad.socket.sendall(b"\x16\x03\x01 this is not RTSP\r\n\r\n")
        with pytest.raises(ConnectionError):
            bad.ask("OPTIONS")
        assert good.ask("OPTIONS")[0] == 200


def test_a_viewer_that_does_not_read_is_disconnected() -> None:
    spec = small_camera("greedy", bitrate=4_000_000, sound="none")
    with running_simulator([spec]) as simulator, client(simulator, "greedy") as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = c.set_up(0)
        c.socket.sendall(f"PLAY {c.url} RTSP/1.0\r\nCSeq: 9\r\nSession: {key}\r\n\r\n".encode())
        wait_until(lambda: simulator.status()["slow_viewers"] == 1, 30, "the disconnection")
        assert simulator.status()["connections"] == 0
