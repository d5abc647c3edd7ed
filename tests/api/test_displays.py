"""Displays: registered, paired once, seen by nobody's name, watched by whoever signs in on top."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of, put_on_duty, running_api
from support.clock import FakeClock
from support.factories import HOUR, MINUTE, a_room, streams_of
from support.places import a_claim, a_session
from support.wait import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import serve

from bidwitness.api import live as live_route
from bidwitness.api.security import COOKIE, DISPLAY_COOKIE
from bidwitness.storage.displays import CODE_LIFE_US, RENEW_US
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    AuditEntry,
    Claim,
    ClassifiedInterval,
    Display,
    Login,
    Roster,
)
from bidwitness.storage.trail.keeping import entry_kept_until
from bidwitness.words import Role, RoomKind, SessionKind, SessionState, StreamRole

V1 = "/api/v1"
WRONG = "AAAA-BBBB-CCCC"


@dataclass
class Hall:
    """A centre with an evaluation and an opening that run, and nobody on duty yet."""

    api: RunningApi
    clock: FakeClock
    security: httpx.Client
    supervision: str
    rooms: dict[str, str]
    streams: dict[str, str]
    guard: str

    def register(self, name: str = "墙一", status: int = 201, **more: object) -> Any:
        body = {"name": name, "room_id": self.supervision, "reason": "监督室大屏", **more}
        body = {key: value for key, value in body.items() if value is not None}
        answer = self.security.post(f"{V1}/displays", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    @contextmanager
    def display(self, **more: object) -> Iterator[httpx.Client]:
        """Give the browser of a display that was registered and paired."""
        with self.api.client() as client:
            made = self.register(**more)
            assert pair(client, made["code"]).status_code == 204
            client.headers["X-Display"] = made["display"]["id"]
            yield client

    def on_duty(self) -> str:
        with self.api.database.write() as orm:
            return put_on_duty(orm, self.guard)

    def end_duty(self, roster: str) -> None:
        with self.api.database.write() as orm:
            orm.get_one(Roster, roster).ended_us = self.clock.utc_us()

    def entries(self, action: str) -> list[AuditEntry]:
        with self.api.database.read() as orm:
            query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
            return list(orm.scalars(query))


def pair(client: httpx.Client, code: str) -> httpx.Response:
    return client.post(f"{V1}/display/pair", json={"code": code})


def sign_in(client: httpx.Client, username: str = "zhou") -> None:
    body = {"username": username, "password": PASSWORD}
    assert client.post(f"{V1}/auth/login", json=body).status_code == 200


def shown(client: httpx.Client) -> dict[str, str | None]:
    """By room: empty if its camera is shown, else why not."""
    rooms = client.get(f"{V1}/display").json()["rooms"]
    return {room["name"]: room["cameras"][0]["why"] for room in rooms}


@contextmanager
def socket_of(client: httpx.Client, path: str) -> Iterator[ClientConnection]:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    base = str(client.base_url).rstrip("/")
    with connect(
        f"{base.replace('http', 'ws')}{V1}/{path}",
        additional_headers={"Cookie": cookie, "Origin": base},
        compression=None,
        proxy=None,
        close_timeout=0.2,
    ) as viewer:
        yield viewer


def state_of(client: httpx.Client, path: str) -> str:
    """The first word of a live socket: `live` does not run, which who is let in is told."""
    with socket_of(client, path) as viewer:
        return str(json.loads(viewer.recv(timeout=10))["state"])


@pytest.fixture
def hall(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Hall]:
    with running_api(sqlite_index, tmp_path, clock=clock, live_port=1) as api:
        rooms: dict[str, str] = {}
        streams: dict[str, str] = {}
        for kind in (RoomKind.EVALUATION, RoomKind.OPENING, RoomKind.REST):
            with sqlite_index.write() as orm:
                room = a_room(orm, kind.value, kind, sub=False)
                (stream,) = streams_of(orm, room, role=StreamRole.MAIN)
            rooms[kind.value], streams[kind.value] = room.id, stream
            sitting = SessionKind(kind.value) if kind != RoomKind.REST else SessionKind.OPENING
            session = a_session(sqlite_index, state=SessionState.RECORDING, kind=sitting)
            a_claim(sqlite_index, session, stream, clock.utc_us() - HOUR, None)
        with sqlite_index.write() as orm:
            supervision = a_room(orm, "监督室", RoomKind.SUPERVISION, cameras=0).id
        guard = api.add_user("zhou", Role.SUPERVISOR, on_duty=False)
        with api.as_user("sec", Role.SECURITY_ADMIN) as security:
            yield Hall(api, clock, security, supervision, rooms, streams, guard)


def test_it_is_registered_paired_once_and_listed(hall: Hall) -> None:
    made = hall.register(scope={"room_kind": "evaluation", "room_ids": [hall.rooms["evaluation"]]})
    display, code = made["display"], made["code"]
    assert made["path"] == "/display"
    assert made["expires_at"] == hall.clock.utc_us() + CODE_LIFE_US == display["code_until"]
    assert (display["room"], display["in_supervision"]) == ("监督室", True)
    with hall.api.client() as browser, hall.api.client() as other:
        problem_of(browser.get(f"{V1}/display"), 401, "unauthenticated")
        # As people type: small letters, blanks for dashes.
        answer = pair(browser, f" {code.replace('-', ' ').lower()} ")
        assert answer.status_code == 204
        (cookie,) = [h for h in answer.headers.get_list("set-cookie") if DISPLAY_COOKIE in h]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {p.strip() for p in cookie.split(";")}
        problem_of(pair(other, code), 401, "unauthenticated")
        assert browser.get(f"{V1}/display").json()["name"] == "墙一"
    (row,) = hall.security.get(f"{V1}/displays").json()["items"]
    assert (row["seen_from"], row["code_until"]) == ("127.0.0.1", None)
    assert row["paired_at"] == row["seen_at"] == hall.clock.utc_us()
    # Neither the code nor the credential is in the index, nor in the trail.
    token = cookie.partition("=")[2].partition(";")[0]
    with hall.api.database.read() as orm:
        kept = orm.scalars(select(Display)).one()
        said = [str(entry.facts) for entry in orm.scalars(select(AuditEntry))]
    assert token.encode() not in (kept.token_sha256 or b"")
    assert not [text for text in said if token in text or code in text]
    assert [e.allowed for e in hall.entries("display.pair")] == [True, False]
    assert hall.entries("display.register")[0].facts["rooms"] == [hall.rooms["evaluation"]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"place": "大厅"}, "room_id"),
        ({"room_id": None}, "room_id"),
        ({"room_id": "aaaaaaaaaaaaaaaa"}, "room_id"),
        ({"network": "10.1.2.3/24"}, "network"),
        ({"network": "hall"}, "network"),
        ({"scope": {"site_id": "aaaaaaaaaaaaaaaa"}}, "scope.site_id"),
        ({"scope": {"room_ids": ["aaaaaaaaaaaaaaaa"]}}, "scope.room_ids"),
        ({"reason": None}, "reason"),
    ],
)
def test_what_is_no_display(hall: Hall, change: dict[str, object], named: str) -> None:
    assert named in hall.register(status=422, **change)["fields"]
    assert hall.security.get(f"{V1}/displays").json()["items"] == []


def test_codes_end_and_guessing_is_slowed_down(hall: Hall) -> None:
    code = hall.register()["code"]
    (row,) = hall.security.get(f"{V1}/displays").json()["items"]
    problem_of(
        hall.security.post(
            f"{V1}/displays",
            json={"name": "墙一", "room_id": hall.supervision, "reason": "again"},
        ),
        409,
        "conflict",
    )
    with hall.api.client() as browser:
        hall.clock.advance(CODE_LIFE_US)
        problem_of(pair(browser, code), 401, "unauthenticated")
        fresh = hall.security.post(f"{V1}/displays/{row['id']}/code").json()["code"]
        for _ in range(4):
            problem_of(pair(browser, WRONG), 401, "unauthenticated")
        # Even the right one waits.
        problem_of(pair(browser, fresh), 429, "too-many")
        assert hall.entries("display.pair")[-1].facts == {"limited": True}
        hall.clock.advance(5 * MINUTE)
        assert pair(browser, fresh).status_code == 204


def test_live_of_persons_and_pages_of_strangers_do_not_know_it(hall: Hall) -> None:
    """Of all other routes: ``test_rules``."""
    hall.on_duty()
    with hall.display() as browser:
        # A display has a door of its own, for pictures alone.
        with pytest.raises(InvalidStatus, match="401"):
            state_of(browser, f"live/{hall.streams['opening']}")
        stranger = {"Origin": "http://evil.example"}
        problem_of(browser.post(f"{V1}/display/renew", headers=stranger), 403, "forbidden")


def test_it_shows_what_somebody_on_duty_may_watch(hall: Hall) -> None:
    with hall.display() as wall, hall.display(name="大厅屏", room_id=None, place="大厅") as lobby:
        nobody, beyond = "nobody_on_duty", "not_on_display"
        assert shown(wall) == {"evaluation": nobody, "opening": nobody}
        assert shown(lobby) == {"evaluation": beyond, "opening": nobody}
        assert state_of(wall, f"display/live/{hall.streams['evaluation']}") == "forbidden"
        roster = hall.on_duty()
        assert shown(wall) == {"evaluation": None, "opening": None}
        assert shown(lobby) == {"evaluation": beyond, "opening": None}
        assert state_of(wall, f"display/live/{hall.streams['evaluation']}") == "offline"
        assert state_of(lobby, f"display/live/{hall.streams['evaluation']}") == "forbidden"
        assert state_of(wall, f"display/live/{hall.streams['rest']}") == "forbidden"
        found = wall.get(f"{V1}/display").json()
        assert found["on_duty"] == [{"username": "zhou", "name": "zhou"}]
        assert {r["name"]: r["session"] for r in found["rooms"]} == {
            "evaluation": "evaluation",
            "opening": "opening",
        }
        with hall.api.database.write() as orm:
            now = hall.clock.utc_us()
            orm.add(a_classified(orm, hall, now - MINUTE, now + HOUR))
        # It does not say why: who passes by learns of nothing classified.
        assert shown(wall) == {"evaluation": None, "opening": beyond}
        assert state_of(wall, f"display/live/{hall.streams['opening']}") == "forbidden"
        hall.end_duty(roster)
        assert shown(wall)["evaluation"] == nobody
        hall.security.patch(f"{V1}/rights/settings", json={"supervisors_need_duty": False})
        assert shown(wall)["evaluation"] is None
        assert shown(lobby)["evaluation"] == beyond


def a_classified(orm: Any, hall: Hall, from_us: int, to_us: int) -> ClassifiedInterval:
    session = orm.scalars(
        select(Claim.session_id).where(Claim.stream_id == hall.streams["opening"])
    ).one()
    return ClassifiedInterval(
        session_id=session,
        room_id=hall.rooms["opening"],
        from_us=from_us,
        to_us=to_us,
        register_no="M-1",
    )


def test_a_person_signs_in_on_top_and_goes_idle_without_the_wall(hall: Hall) -> None:
    hall.on_duty()
    sound = f"live/{hall.streams['opening']}?track=sound"
    with hall.display() as browser:
        sign_in(browser)
        assert browser.get(f"{V1}/display").json()["signed_in"]["username"] == "zhou"
        assert state_of(browser, sound) == "offline"
        (login,) = hall.entries("login")[-1:]
        assert login.facts["display"]["name"] == "墙一"
        assert hall.entries("live.start")[-1].facts["display"] == login.facts["display"]
        # Her login is good on the display alone: its cookie elsewhere opens nothing.
        with hall.api.client() as thief:
            thief.cookies.set(COOKIE, str(browser.cookies[COOKIE]))
            problem_of(thief.get(f"{V1}/auth/me"), 401, "unauthenticated")
        # What the wall asks is no use of her login: it goes idle, and the pictures stay.
        idle = hall.api.parts.login_limits.idle_us
        for _ in range(3):
            hall.clock.advance(idle // 2)
            found = browser.get(f"{V1}/display").json()
        assert found["signed_in"] is None
        assert shown(browser)["opening"] is None
        problem_of(browser.get(f"{V1}/auth/me"), 401, "unauthenticated")
        with pytest.raises(InvalidStatus, match="401"):
            state_of(browser, sound)


def test_it_is_revoked_at_once_with_whoever_is_signed_in(hall: Hall) -> None:
    hall.on_duty()
    with hall.display() as browser:
        sign_in(browser)
        path = f"{V1}/displays/{browser.headers['X-Display']}"
        assert hall.security.patch(path, json={"name": "墙二"}).json()["name"] == "墙二"
        problem_of(hall.security.post(f"{path}/revoke", json={}), 422, "invalid-input")
        answer = hall.security.post(f"{path}/revoke", json={"reason": "搬走"})
        assert answer.json()["revoked_by"] == "sec"
        problem_of(hall.security.post(f"{path}/revoke", json={"reason": "x2"}), 409, "conflict")
        problem_of(hall.security.post(f"{path}/code"), 409, "conflict")
        for wanted in ("display", "auth/me"):
            problem_of(browser.get(f"{V1}/{wanted}"), 401, "unauthenticated")
        with hall.api.database.read() as orm:
            assert orm.scalars(select(Login).where(Login.display_id.is_not(None))).one().ended_us
        assert hall.entries("display.revoke")[0].facts["logins"] == 1
        # The name is free again.
        hall.register("墙二")


def test_open_pictures_end_with_the_duty_and_with_the_display(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_route, "RECHECK_S", 0.05)
    with hall.display() as browser, silent_live(hall):
        sign_in(browser)
        roster = hall.on_duty()
        with shown_picture(hall, browser) as viewer:
            hall.end_duty(roster)
            assert ended_with(viewer) == 4403
        hall.on_duty()
        with shown_picture(hall, browser) as viewer:
            path = f"{V1}/displays/{browser.headers['X-Display']}/revoke"
            assert hall.security.post(path, json={"reason": "搬走"}).status_code == 200
            assert ended_with(viewer) == 4401


@contextmanager
def shown_picture(hall: Hall, browser: httpx.Client) -> Iterator[ClientConnection]:
    before = len(hall.entries("display.start"))
    with socket_of(browser, f"display/live/{hall.streams['evaluation']}") as viewer:
        wait_until(lambda: len(hall.entries("display.start")) > before, 10, "it to begin")
        yield viewer


def ended_with(viewer: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        while viewer.recv(timeout=10):
            pass
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_another_machine_takes_its_place(hall: Hall) -> None:
    with hall.display() as old, hall.api.client() as new:
        code = hall.security.post(f"{V1}/displays/{old.headers['X-Display']}/code").json()["code"]
        assert old.get(f"{V1}/display").status_code == 200, "until it is entered"
        assert pair(new, code).status_code == 204
        problem_of(old.get(f"{V1}/display"), 401, "unauthenticated")
        assert new.get(f"{V1}/display").status_code == 200


def test_its_credential_never_ends_and_is_renewed(hall: Hall) -> None:
    with hall.display() as browser, hall.api.client() as thief:
        old = str(browser.cookies[DISPLAY_COOKIE])
        assert browser.post(f"{V1}/display/renew").status_code == 204
        assert browser.cookies[DISPLAY_COOKIE] == old
        hall.clock.advance(400 * RENEW_US)
        assert browser.post(f"{V1}/display/renew").status_code == 204
        assert browser.cookies[DISPLAY_COOKIE] != old
        thief.cookies.set(DISPLAY_COOKIE, old)
        # Should the answer be lost, the old one is good still; once the new one came, no more.
        assert thief.get(f"{V1}/display").status_code == 200
        assert browser.get(f"{V1}/display").status_code == 200
        problem_of(thief.get(f"{V1}/display"), 401, "unauthenticated")


def test_it_is_bound_to_its_network(hall: Hall) -> None:
    made = hall.register(network="10.1.2.0/24")
    with hall.api.client() as browser:
        problem_of(pair(browser, made["code"]), 401, "unauthenticated")
    with hall.display(name="墙二", network="127.0.0.1") as browser:
        assert browser.get(f"{V1}/display").status_code == 200
        with hall.api.database.write() as orm:
            orm.get_one(Display, browser.headers["X-Display"]).network = "10.1.2.0/24"
        problem_of(browser.get(f"{V1}/display"), 401, "unauthenticated")


def test_what_it_showed_is_written_down_by_the_minute(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_route, "RECHECK_S", 0.05)
    hall.on_duty()
    stream = hall.streams["evaluation"]
    with hall.display() as browser, silent_live(hall):
        sign_in(browser)
        path = f"display/live/{stream}"
        with (
            socket_of(browser, path),
            socket_of(browser, f"display/live/{hall.streams['opening']}"),
        ):
            wait_until(lambda: len(hall.entries("display.start")) == 2, 10, "both to begin")
            hall.clock.advance(MINUTE)
            wait_until(lambda: len(hall.entries("display.showed")) == 1, 10, "the minute's entry")
        wait_until(lambda: len(hall.entries("display.showed")) == 2, 10, "what was left")
    first, last = hall.entries("display.showed")
    display = browser.headers["X-Display"]
    assert (first.who, first.subject) == ("display 墙一", f"display:{display}")
    assert first.facts["streams"] == {
        hall.streams[kind]: ["zhou"] for kind in ("evaluation", "opening")
    }
    assert first.facts["on_duty"] == first.facts["signed_in"] == ["zhou"]
    assert first.facts["to_us"] <= last.facts["from_us"]
    start = hall.entries("display.start")[0]
    assert start.facts["display"] == {"id": display, "name": "墙一"}
    # It is kept as long as the footage that it speaks of.
    with hall.api.database.read() as orm:
        assert entry_kept_until(orm, first) is None


@contextmanager
def silent_live(hall: Hall) -> Iterator[None]:
    """A process `live` that says nothing and stays."""

    def stay(connection: Any) -> None:
        with pytest.raises(ConnectionClosed):
            connection.recv()

    with serve(stay, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        settings = hall.api.parts.settings.model_copy(update={"live_port": port})
        object.__setattr__(hall.api.parts, "settings", settings)
        try:
            yield
        finally:
            server.shutdown()
            thread.join(10)


def test_duty_is_done_at_displays_and_from_listed_networks(hall: Hall) -> None:
    hall.on_duty()
    picture = f"live/{hall.streams['opening']}"
    with hall.display() as browser, hall.api.as_user("zhou") as desk:
        assert state_of(desk, picture) == "offline"
        found = hall.security.patch(f"{V1}/rights/settings", json={"duty_at_posts": True})
        assert found.json()["duty_at_posts"] is True
        assert state_of(desk, picture) == "forbidden"
        assert "值守网络" in hall.entries("live.start")[-1].facts["why"]
        running = desk.get(f"{V1}/sessions?state=recording").json()["items"]
        (session,) = [one["id"] for one in running if one["kind"] == "evaluation"]
        answer = desk.post(f"{V1}/playbacks", json={"session_id": session})
        assert "not_at_post" in str(problem_of(answer, 403, "forbidden")["detail"])
        sign_in(browser)
        assert state_of(browser, picture) == "offline"
        opened = browser.post(f"{V1}/playbacks", json={"session_id": session})
        assert opened.status_code == 201
        # The viewing is hers; at her desk it is not opened.
        shown_stream = opened.json()["streams"][0]["stream_id"]
        play = f"/play/{opened.json()['id']}/{shown_stream}/picture/index.m3u8"
        assert browser.get(play).status_code == 200
        problem_of(desk.get(play), 403, "forbidden")
        wish = {"name": "监督楼", "network": "127.0.0.0/8"}
        made = hall.security.post(f"{V1}/duty-networks", json=wish).json()
        problem_of(hall.security.post(f"{V1}/duty-networks", json=wish), 409, "conflict")
        assert state_of(desk, picture) == "offline"
        path = f"{V1}/duty-networks/{made['id']}/end"
        assert hall.security.post(path).status_code == 204
        problem_of(hall.security.post(path), 409, "conflict")
        assert hall.security.get(f"{V1}/duty-networks").json()["items"] == []
        assert state_of(desk, picture) == "forbidden"
    assert [e.action for e in hall.entries("duty_network.list")] == ["duty_network.list"]
