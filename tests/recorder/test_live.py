"""The process `live` over real sockets: who gets in, what she gets, and what if she is slow."""

import json
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.clips import TICK, picture_number
from support.live import FRAMES, LiveProcess, TapCamera, tap_camera
from support.stored import decode
from support.wait import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bidwitness.clock import SystemClock
from bidwitness.recorder import live_hub
from bidwitness.recorder.live_mux import BASE_S
from bidwitness.recorder.tap import socket_path
from bidwitness.secrets import SecretBox
from bidwitness.storage.media.boxes import read_fragment
from bidwitness.tickets import LiveTicket, LiveTickets
from bidwitness.words import Medium

STREAM = "s" * 16


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    # Longer than a socket's path may be in one piece.
    return tmp_path / ("deep" * 20) / "run"


@pytest.fixture
def live(tmp_path: Path, run_dir: Path) -> Iterator[LiveProcess]:
    with LiveProcess(run_dir, tmp_path / "live.key") as process:
        yield process


@pytest.fixture
def camera(run_dir: Path) -> Iterator[TapCamera]:
    with tap_camera(run_dir, STREAM) as camera:
        yield camera


@pytest.fixture
def tickets(tmp_path: Path) -> LiveTickets:
    return LiveTickets(SecretBox(tmp_path / "live.key"), SystemClock())


def frame_of(fragment: bytes) -> int:
    """The number of a fragment's picture, by its time."""
    return (read_fragment(fragment).dts - BASE_S * 90_000) // TICK


def watch(
    live: LiveProcess,
    tickets: LiveTickets,
    medium: Medium = Medium.PICTURE,
    buffer: int | None = None,
) -> ClientConnection:
    """Connect with a new ticket; ``buffer`` bounds what the network keeps for a slow one."""
    text = tickets.issue(LiveTicket(STREAM, medium))
    own = socket.socket()
    if buffer is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    own.connect(("127.0.0.1", live.port))
    return connect(
        f"ws://127.0.0.1:{live.port}/live",
        additional_headers={"Authorization": f"Ticket {text}"},
        compression=None,
        max_size=None,
        max_queue=1,
        close_timeout=0.2,
        ping_interval=None,
        proxy=None,
        sock=own,
    )


def said(viewer: ClientConnection) -> dict[str, object]:
    """The next message, which must be a text."""
    message = viewer.recv(timeout=10)
    assert isinstance(message, str), message[:40]
    body: dict[str, object] = json.loads(message)
    return body


def media(viewer: ClientConnection, messages: int) -> bytes:
    """So many binary messages, the init first."""
    parts = [viewer.recv(timeout=10) for _ in range(messages)]
    assert all(isinstance(part, bytes) for part in parts), parts
    return b"".join(part for part in parts if isinstance(part, bytes))


def numbers(data: bytes) -> list[int]:
    return [picture_number(image) for _, image in decode(data).pictures]


def test_picture_from_the_running_gop_on(
    live: LiveProcess, camera: TapCamera, tickets: LiveTickets
) -> None:
    camera.begin()
    camera.send(60)
    began = time.monotonic()
    with watch(live, tickets) as viewer:
        hello = said(viewer)
        assert time.monotonic() - began < 1
        assert hello["codecs"] == "avc1.42c00a"
        assert hello["mime"] == 'video/mp4; codecs="avc1.42c00a"'
        assert (hello["width"], hello["height"]) == (112, 64)
        assert abs(int(str(hello["utc_us"])) - SystemClock().utc_us()) < 10_000_000
        camera.send(20)
        assert numbers(media(viewer, 1 + 30)) == list(range(50, 80))
        # Another one comes later and gets the same GOP from its key frame on.
        with watch(live, tickets) as second:
            said(second)
            camera.send(3)
            assert numbers(media(second, 1 + 8)) == list(range(75, 83))


def test_sound_by_itself(live: LiveProcess, camera: TapCamera, tickets: LiveTickets) -> None:
    camera.begin()
    with watch(live, tickets, Medium.SOUND) as viewer:
        deadline = time.monotonic() + 10
        message: str | bytes | None = None
        while message is None and time.monotonic() < deadline:
            camera.send(5)
            try:
                message = viewer.recv(timeout=0.2)
            except TimeoutError:
                continue
        assert message is not None
        assert json.loads(message)["codecs"] == "flac"
        camera.send(25)
        data = media(viewer, 1 + 10)
        assert b"avc1" not in data
        assert len(decode(data).samples) == 10 * 800


def test_nobody_gets_in_without_a_ticket(
    live: LiveProcess, camera: TapCamera, tickets: LiveTickets, tmp_path: Path
) -> None:
    camera.begin()
    good = tickets.issue(LiveTicket(STREAM, Medium.PICTURE))
    other = LiveTickets(SecretBox(tmp_path / "other.key"), SystemClock())
    forged = other.issue(LiveTicket(STREAM, Medium.PICTURE))
    address = f"ws://127.0.0.1:{live.port}/live"
    for headers in ({}, {"Authorization": f"Bearer {good}"}, {"Authorization": f"Ticket {forged}"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(address, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == 401
    first = connect(address, additional_headers={"Authorization": f"Ticket {good}"}, proxy=None)
    with first, pytest.raises(InvalidStatus):
        connect(address, additional_headers={"Authorization": f"Ticket {good}"}, proxy=None)


def test_a_camera_that_goes_and_comes_back(
    live: LiveProcess, camera: TapCamera, tickets: LiveTickets
) -> None:
    camera.begin()
    camera.send(30)
    with watch(live, tickets) as viewer:
        assert "codecs" in said(viewer)
        media(viewer, 1 + 5)
        camera.end()
        assert said(viewer) == {"state": "offline"}
        camera.frame = 100
        camera.begin()
        camera.send(10)
        assert "codecs" in said(viewer)
        assert numbers(media(viewer, 1 + 10)) == list(range(100, 110))


def test_a_picture_that_stands_still_is_said(
    live: LiveProcess, camera: TapCamera, tickets: LiveTickets
) -> None:
    camera.begin()
    camera.send(26)
    with watch(live, tickets) as viewer:
        said(viewer)
        media(viewer, 2)
        assert said(viewer) == {"state": "stalled"}
        camera.send(1)
        media(viewer, 1)


def test_a_stream_nobody_records_is_offline_until_somebody_does(
    live: LiveProcess, tickets: LiveTickets, run_dir: Path
) -> None:
    with watch(live, tickets) as viewer:
        assert said(viewer) == {"state": "offline"}
        with tap_camera(run_dir, STREAM) as camera:
            camera.begin()
            camera.send(5)
            assert "codecs" in said(viewer)
            assert numbers(media(viewer, 1 + 5)) == list(range(5))
        assert said(viewer) == {"state": "offline"}


def test_a_slow_viewer_goes_on_at_a_key_frame_and_delays_nobody(
    live: LiveProcess, camera: TapCamera, tickets: LiveTickets
) -> None:
    """Pictures of 40 KB; one viewer takes nothing for two seconds, another one takes all."""
    camera.padding = 40_000
    camera.begin()
    camera.send(1)
    with watch(live, tickets, buffer=65_536) as slow, watch(live, tickets) as quick:
        for viewer in (slow, quick):
            said(viewer)
            media(viewer, 2)
        end = time.monotonic() + 2
        while camera.frame < FRAMES - 60 and time.monotonic() < end:
            camera.send(1)
            media(quick, 1)
            time.sleep(0.01)
        sent = camera.frame
        assert sent > 50
        got: list[int] = []
        while not got or got[-1] < sent:
            camera.send(1)
            media(quick, 1)
            got.append(frame_of(media(slow, 1)))
    jumps = [b for a, b in pairwise(got) if b != a + 1]
    assert jumps, "nothing was dropped"
    assert all(number % 25 == 0 for number in jumps), f"it went on within a GOP: {got}"


def test_the_tap_is_let_go_when_nobody_watches(
    live: LiveProcess,
    camera: TapCamera,
    tickets: LiveTickets,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_hub, "LINGER_US", 300_000)
    camera.begin()
    camera.send(5)
    with watch(live, tickets) as viewer:
        said(viewer)
    stream = camera.tap._streams[STREAM]
    assert socket_path(run_dir, STREAM).exists()

    def left() -> bool:
        camera.send(1)
        return not [s for s in stream.subscribers if not s.closed]

    wait_until(left, 20, "live to let go of the tap")


def test_a_live_that_stops_ends_its_viewers(
    tmp_path: Path, run_dir: Path, camera: TapCamera, tickets: LiveTickets
) -> None:
    with LiveProcess(run_dir, tmp_path / "live.key") as process:
        camera.begin()
        camera.send(5)
        opened = watch(process, tickets)
        viewer = opened.__enter__()
        said(viewer)
    with pytest.raises(ConnectionClosed):
        while True:
            viewer.recv(timeout=5)
    opened.__exit__(None, None, None)
