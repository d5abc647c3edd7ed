"""Live through the API: who may watch, what she gets, and when it ends."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from support.api import RunningApi, running_api
from support.clips import TICK, picture_number
from support.clock import FakeClock
from support.live import LiveProcess, TapCamera, tap_camera
from support.stored import decode
from support.viewing import Scene
from support.wait import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bidwitness.api import live as live_route
from bidwitness.config import load_settings
from bidwitness.recorder.live_mux import BASE_S
from bidwitness.rights import Scope
from bidwitness.storage import people
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Roster, Session, Shift, User
from bidwitness.storage.media.boxes import read_fragment
from bidwitness.storage.rights import make_scope
from bidwitness.words import ProjectCategory, Role, SessionState


@pytest.fixture
def live(tmp_path: Path, clock: FakeClock) -> Iterator[LiveProcess]:
    settings = load_settings(data=tmp_path)
    with LiveProcess(settings.run_dir, settings.live_key_file, clock) as process:
        yield process


@pytest.fixture
def api(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock, live: LiveProcess
) -> Iterator[RunningApi]:
    with running_api(sqlite_index, tmp_path, clock=clock, live_port=live.port) as running:
        yield running


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock)


@pytest.fixture
def camera(api: RunningApi, scene: Scene) -> Iterator[TapCamera]:
    with tap_camera(api.parts.settings.run_dir, scene.stream) as camera:
        camera.begin()
        camera.send(30)
        yield camera


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_route, "RECHECK_S", 0.1)


@contextmanager
def watching(
    api: RunningApi,
    stream: str,
    username: str,
    *roles: Role,
    track: str = "picture",
    buffer: int | None = None,
) -> Iterator[ClientConnection]:
    """A signed-in browser's WebSocket."""
    with api.as_user(username, *roles) as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        own = socket.socket()
        if buffer is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        host, port = api.base.removeprefix("http://").split(":")
        own.connect((host, int(port)))
        with connect(
            f"{api.base.replace('http', 'ws')}/api/v1/live/{stream}?track={track}",
            sock=own,
            max_queue=1 if buffer else 16,
            additional_headers={"Cookie": cookie, "Origin": api.base},
            compression=None,
            max_size=None,
            proxy=None,
            ping_interval=None,
            close_timeout=0.2,
        ) as viewer:
            yield viewer


def said(viewer: ClientConnection) -> dict[str, object]:
    message = viewer.recv(timeout=10)
    assert isinstance(message, str), message[:40]
    body: dict[str, object] = json.loads(message)
    return body


def entries(api: RunningApi, action: str) -> list[AuditEntry]:
    with api.database.read() as orm:
        return list(orm.scalars(select(AuditEntry).where(AuditEntry.action == action)))


def ended_with(viewer: ClientConnection, code: int) -> None:
    """What is left is fragments and the word that it is over; then it is."""
    last: str | bytes = b""
    try:
        while True:
            last = viewer.recv(timeout=10)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        assert closed.rcvd.code == code
    assert json.loads(last) == {"state": "forbidden"}


def test_a_supervisor_watches_a_running_session(
    api: RunningApi, scene: Scene, camera: TapCamera
) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        hello = said(viewer)
        assert hello["mime"] == 'video/mp4; codecs="avc1.42c00a"'
        camera.send(10)
        # Only text would not be bytes, and none is sent after the first message.
        data = b"".join(bytes(viewer.recv(timeout=10)) for _ in range(1 + 15))  # type: ignore[arg-type]
        assert [picture_number(i) for _, i in decode(data).pictures] == list(range(25, 40))
    wait_until(lambda: bool(entries(api, "live.stop")), 10, "the end to be noted")
    (start,), (stop,) = entries(api, "live.start"), entries(api, "live.stop")
    assert start.allowed
    assert start.subject == f"stream:{scene.stream}"
    assert stop.facts["medium"] == "picture"
    assert stop.facts["bytes"] >= len(data)


def test_who_may_not_watch(api: RunningApi, scene: Scene, camera: TapCamera) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    for role in (Role.AUDITOR, Role.SYSTEM_ADMIN):
        with watching(api, scene.stream, f"a.{role}", role) as viewer:
            ended_with(viewer, 4403)
    refused = entries(api, "live.start")
    assert [entry.allowed for entry in refused] == [False, False]
    address = f"{api.base.replace('http', 'ws')}/api/v1/live/{scene.stream}"
    for headers, status in (({}, 401), ({"Origin": api.base}, 401)):
        with pytest.raises(InvalidStatus) as refusal:
            connect(address, additional_headers=headers, proxy=None).__enter__()
        assert refusal.value.response.status_code == status


def test_another_site_s_page_gets_nothing(api: RunningApi, scene: Scene, camera: TapCamera) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    with api.as_user("guard", Role.SUPERVISOR) as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with pytest.raises(InvalidStatus) as refusal:
            connect(
                f"{api.base.replace('http', 'ws')}/api/v1/live/{scene.stream}",
                additional_headers={"Cookie": cookie, "Origin": "http://evil.example"},
                proxy=None,
            ).__enter__()
        assert refusal.value.response.status_code == 403


@pytest.mark.usefixtures("often")
def test_it_ends_when_the_right_does(api: RunningApi, scene: Scene, camera: TapCamera) -> None:
    session = scene.session(0, None, state=SessionState.RECORDING)
    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        assert "codecs" in said(viewer)
        with api.database.write() as orm:
            orm.get_one(Session, session).state = SessionState.ENDED
        begun = time.monotonic()
        ended_with(viewer, 4403)
        assert time.monotonic() - begun < 5
    wait_until(lambda: bool(entries(api, "live.stop")), 10, "the end to be noted")
    assert entries(api, "live.stop")[0].facts["why"] == "forbidden"


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("lost", ["roster", "role", "scope", "shift"])
def test_it_ends_whatever_the_right_hung_on(
    api: RunningApi, scene: Scene, camera: TapCamera, lost: str
) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        assert "codecs" in said(viewer)
        lose(api, lost)
        ended_with(viewer, 4403)
    wait_until(lambda: bool(entries(api, "live.stop")), 10, "the end to be noted")


def lose(api: RunningApi, what: str) -> None:
    with api.database.write() as orm:
        user = orm.scalars(select(User).where(User.username == "guard")).one()
        match what:
            case "roster":
                orm.scalars(select(Roster)).one().ended_us = 1
            case "role":
                people.set_roles(orm, Who("test"), 1, user, [Role.DIRECTOR])
            case "scope":
                land = Scope(category=ProjectCategory.LAND)
                make_scope(orm, Who("test"), 1, user.id, Role.SUPERVISOR, land, "moved")
            case "shift":
                orm.scalars(select(Shift)).one().until_us = 1


def test_nothing_is_sent_while_nobody_answers_whether_it_may_be(
    api: RunningApi, scene: Scene, camera: TapCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question hangs: what was allowed a while ago is not allowed for ever."""
    monkeypatch.setattr(live_route, "RECHECK_S", 0.1)
    monkeypatch.setattr(live_route, "GRACE_S", 0.3)
    scene.session(0, None, state=SessionState.RECORDING)
    answered, asked = threading.Event(), threading.Event()
    check = live_route.Sight.check

    def hang(sight: live_route.Sight) -> None:
        asked.set()
        answered.wait(20)
        check(sight)

    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        assert "codecs" in said(viewer)
        monkeypatch.setattr(live_route.Sight, "check", hang)
        asked.wait(10)

        def silent() -> bool:
            camera.send(1)
            try:
                viewer.recv(timeout=0.4)
            except TimeoutError:
                return True
            return False

        try:
            wait_until(silent, 10, "the bytes to stop")
        finally:
            answered.set()
        # With the answer they go on.
        wait_until(lambda: not silent(), 10, "the bytes to go on")


@pytest.mark.usefixtures("often")
def test_it_ends_with_the_login(api: RunningApi, scene: Scene, camera: TapCamera) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        assert "codecs" in said(viewer)
        with api.database.write() as orm:
            orm.scalars(select(User).where(User.username == "guard")).one().disabled = True
        ended_with(viewer, 4401)


def test_a_camera_that_is_gone_is_said(api: RunningApi, scene: Scene, camera: TapCamera) -> None:
    scene.session(0, None, state=SessionState.RECORDING)
    with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
        assert "codecs" in said(viewer)
        camera.end()
        while isinstance(message := viewer.recv(timeout=10), bytes):
            pass
        assert json.loads(message) == {"state": "offline"}


def test_a_slow_viewer_sees_what_is_new_not_what_waited(
    api: RunningApi, scene: Scene, camera: TapCamera, clock: FakeClock
) -> None:
    """All the way to the browser: little waits, and after a pause she is where the others are."""
    scene.session(0, None, state=SessionState.RECORDING)
    camera.padding = 40_000
    with watching(api, scene.stream, "guard", Role.SUPERVISOR, buffer=65_536) as viewer:
        assert "codecs" in said(viewer)
        for _ in range(200):
            camera.send(1)
            # `live` measures how long she has waited by the clock it shares with this test.
            clock.advance(40_000)
            time.sleep(0.01)
        newest = camera.frame
        got: list[int] = []
        while len(got) < 2 or got[-1] == got[-2] + 1:
            message = viewer.recv(timeout=10)
            if isinstance(message, bytes) and message[4:8] == b"moof":
                got.append((read_fragment(message).dts - BASE_S * 90_000) // TICK)
    old = len(got) - 1
    assert old < 60, f"{old} pictures of 40 KB waited somewhere on the way"
    assert got[-1] % 25 == 0
    assert newest - got[-1] <= 75, "she goes on far behind the others"


def test_without_live_the_viewer_is_told_to_come_again(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    with running_api(sqlite_index, tmp_path, clock=clock, live_port=1) as api:
        scene = Scene(api.database, api.parts.settings.spool, clock)
        scene.session(0, None, state=SessionState.RECORDING)
        with watching(api, scene.stream, "guard", Role.SUPERVISOR) as viewer:
            assert said(viewer) == {"state": "offline"}
            with pytest.raises(ConnectionClosed) as closed:
                viewer.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013


def test_nobody_watches_a_stream_that_is_none(api: RunningApi) -> None:
    with pytest.raises(InvalidStatus) as refusal, watching(api, "nosuch", "guard", Role.SUPERVISOR):
        pass
    assert refusal.value.response.status_code == 404
