"""What a camera that cannot be recorded is said to lack: one clear message each."""

import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.clock import SystemClock
from bidwitness.errors import BidWitnessError, CameraError, InvalidInput
from bidwitness.recorder.packets import SourceLost
from bidwitness.recorder.source import RtspOpener
from bidwitness.words import GapCause, Medium

PASSWORD = "p@:/#?密 码"
OPEN = RtspOpener(SystemClock(), allow_loopback=True)


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    cameras = [
        small_camera("locked", title="room", user="管理员", password=PASSWORD),
        small_camera("open", title="room"),
    ]
    with running_simulator(cameras) as running:
        yield running


@contextmanager
def answering(data: bytes, heard: list[bytes] | None = None) -> Iterator[int]:
    """A server that says the same to everybody; gives its port. ``heard``: what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = [] if heard is None else heard

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def refusal(address: CameraAddress) -> str:
    with pytest.raises(BidWitnessError) as caught:
        OPEN(address, with_sound=True)
    assert isinstance(caught.value, CameraError | InvalidInput)
    return caught.value.detail


def test_a_login_of_any_characters_is_sent_right(simulator: RunningSimulator) -> None:
    address = parse_camera_address(simulator.url("locked", login=False))
    source = OPEN(address.with_login("管理员", PASSWORD), with_sound=True)
    assert [track.medium for track in source.tracks] == [Medium.PICTURE, Medium.SOUND]
    source.close()


@pytest.mark.parametrize("login", [("管理员", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_login(simulator: RunningSimulator, login: tuple[str, str]) -> None:
    address = parse_camera_address(simulator.url("locked", login=False)).with_login(*login)
    said = refusal(address)
    assert said == "The camera at 127.0.0.1 refuses this user name or password."


def test_no_login(simulator: RunningSimulator) -> None:
    said = refusal(parse_camera_address(simulator.url("locked", login=False)))
    assert said == "The camera wants a user name and a password."


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x",
            "Switch it to Digest, or use rtsps",
        ),
        ("302 Found\r\nLocation: rtsp://192.0.2.7/", "Give the address it really is at"),
    ],
)
def test_a_login_is_neither_sent_in_clear_nor_to_another_host(answer: str, fix: str) -> None:
    heard: list[bytes] = []
    with answering(f"RTSP/1.0 {answer}\r\nCSeq: 1\r\n\r\n".encode(), heard) as port:
        said = refusal(parse_camera_address(f"rtsp://u:secret@127.0.0.1:{port}/x"))
    assert fix in said
    assert len(heard) == 1 and b"Authorization" not in heard[0] and b"secret" not in heard[0]


def test_no_such_path(simulator: RunningSimulator) -> None:
    address = dataclasses.replace(parse_camera_address(simulator.url("open")), path="/nothing")
    assert refusal(address) == "The camera answers, but has no stream of this path."


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = refusal(parse_camera_address(f"rtsp://u:secret@127.0.0.1:{port}/x"))
    assert said == f"Nothing listens at port {port} of 127.0.0.1."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "What answers there does not speak RTSP."),
        (b"\x16\x03\x01", "What answers there does not speak RTSP."),
        (b"", "The camera hung up without an answer."),
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", "The camera at 127.0.0.1 "),
    ],
)
def test_not_a_camera(data: bytes, message: str) -> None:
    with answering(data) as port:
        said = refusal(parse_camera_address(f"rtsp://u:secret@127.0.0.1:{port}/x"))
    assert said.startswith(message) and "secret" not in said


def test_a_microphone_alone_that_cannot_be_kept_is_refused() -> None:
    sdp = b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\na=control:1\r\n"
    described = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n%s" % (len(sdp), sdp)
    with answering(described) as port:
        said = refusal(parse_camera_address(f"rtsp://127.0.0.1:{port}/x"))
    assert "sends sound alone, and it is G.726, which cannot be kept" in said


def test_loopback_is_refused_outside_tests(simulator: RunningSimulator) -> None:
    strict = RtspOpener(SystemClock(), allow_loopback=False)
    with pytest.raises(InvalidInput, match="inside this machine"):
        strict(parse_camera_address(simulator.url("open")), with_sound=True)


def test_only_what_is_wanted_is_pulled(simulator: RunningSimulator) -> None:
    source = OPEN(parse_camera_address(simulator.url("open")), with_sound=False)
    assert [track.medium for track in source.tracks] == [Medium.PICTURE]
    source.close()


def test_packets_come_at_once_when_somebody_watches(simulator: RunningSimulator) -> None:
    source = OPEN(parse_camera_address(simulator.url("open")), with_sound=True)
    source.hurry(lambda: True)
    arrivals: list[int] = []
    for packet in source.packets():
        if packet.track == 0:
            arrivals.append(packet.arrived_us)
        if len(arrivals) == 60:
            break
    source.close()
    steps = sorted(b - a for a, b in pairwise(arrivals[10:]))
    assert abs(steps[len(steps) // 2] - 40_000) < 15_000


def test_the_end_of_a_connection_has_its_cause(simulator: RunningSimulator) -> None:
    source = OPEN(parse_camera_address(simulator.url("open")), with_sound=True)
    with pytest.raises(SourceLost) as caught:
        for number, _ in enumerate(source.packets()):
            if number == 30:
                simulator.fault("drop", "open", "main", seconds=1)
    assert caught.value.cause is GapCause.NETWORK
    source.close()


def test_a_file_is_never_opened(tmp_path: Path) -> None:
    for address in (str(tmp_path / "x.mp4"), f"file:{tmp_path}", "concat:a|b", "subfile,,:x"):
        with pytest.raises(InvalidInput):
            parse_camera_address(address)
