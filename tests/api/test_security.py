"""The border: hosts, origins, bodies, headers, proxies, limits."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, WebSocket
from starlette.requests import HTTPConnection
from support.api import PASSWORD, QUICK, RunningApi, problem_of, running_api, served, settings_for
from support.clock import FakeClock
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bidwitness.api.app import create_app
from bidwitness.api.deps import Me
from bidwitness.api.limits import BY_USER, MAX_KEYS, LoginLimiter, Origin
from bidwitness.api.security import Front, front_of, host_fault, origin_fault, policy
from bidwitness.errors import Conflict, TooMany
from bidwitness.storage.index.database import Database
from bidwitness.words import Role

LOGIN = "/api/v1/auth/login"
ROOMS = "/api/v1/rooms"
NEW_ROOM = {"name": "r", "kind": "duty"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_another_sites_page_changes_nothing(api: RunningApi, headers: dict[str, str]) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as client:
        del client.headers["Origin"]
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, ROOMS, json=NEW_ROOM, headers=headers)
            problem_of(answer, 403, "forbidden")
        assert client.get(ROOMS, headers=headers).json()["items"] == []


def test_our_own_page_may(api: RunningApi) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as client:
        assert client.post(ROOMS, json=NEW_ROOM).status_code == 201
        del client.headers["Origin"]
        headers = {"Sec-Fetch-Site": "same-origin"}
        body = {**NEW_ROOM, "name": "s"}
        assert client.post(ROOMS, json=body, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("method", "origin", "site", "cookie", "fine"),
    [
        ("GET", "http://evil", "cross-site", True, True),
        ("POST", "https://a.example", None, True, True),
        ("POST", "https://A.example", None, True, True),
        ("POST", "https://a.example:443", None, True, False),
        ("POST", "http://a.example", None, True, False),
        ("POST", "https://a.example.evil", None, False, False),
        ("POST", None, None, False, True),
        ("POST", None, None, True, False),
        ("WEBSOCKET", "http://evil", None, False, False),
        ("WEBSOCKET", None, None, True, False),
        ("WEBSOCKET", "https://a.example", None, True, True),
    ],
)
def test_the_rule_of_origins(
    method: str, origin: str | None, site: str | None, cookie: bool, fine: bool
) -> None:
    front = Front("https", "a.example:443", "192.0.2.1")
    assert (origin_fault(method, front, origin, site, cookie) is None) is fine


@pytest.mark.parametrize(
    ("host", "loopback_only", "fine"),
    [
        ("127.0.0.1:8470", True, True),
        ("localhost", True, True),
        ("[::1]:8470", True, True),
        ("bidwitness.localhost:8470", True, True),
        ("evil.example", True, False),
        ("127.0.0.1.evil.example", True, False),
        ("", True, False),
        ("a b", False, False),
        ("a\r\nb", False, False),
        ("a.example", False, True),
    ],
)
def test_the_rule_of_hosts(host: str, loopback_only: bool, fine: bool) -> None:
    assert (host_fault(Front("http", host, ""), only_loopback=loopback_only) is None) is fine


def test_a_strangers_name_for_this_machine_is_refused(api: RunningApi) -> None:
    with api.client() as client:
        problem_of(client.get("/metrics", headers={"Host": "evil.example"}), 403, "forbidden")


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection(
        {
            "type": "http",
            "scheme": "http",
            "server": ("127.0.0.1", 8470),
            "client": ("10.0.0.1", 5),
            "path": "/",
            "headers": raw,
        }
    )


def test_a_proxys_headers_count_only_behind_a_proxy() -> None:
    asked = connection(
        host="inner:8470",
        x_forwarded_for="1.1.1.1, 203.0.113.9",
        x_forwarded_proto="http, https",
        x_forwarded_host="evil.example, centre.example",
    )
    assert front_of(asked, behind_proxy=False) == Front("http", "inner:8470", "10.0.0.1")
    seen = front_of(asked, behind_proxy=True)
    assert seen == Front("https", "centre.example", "203.0.113.9")
    assert seen.origin == "https://centre.example"


@pytest.fixture
def proxied(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    with running_api(sqlite_index, tmp_path, clock=clock, behind_proxy=True) as running:
        yield running


def test_behind_a_tls_proxy_the_cookie_is_secure(proxied: RunningApi) -> None:
    proxied.add_user("wang", Role.AUDITOR)
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "centre.example",
        "X-Forwarded-For": "203.0.113.9",
        "Origin": "https://centre.example",
    }
    with proxied.client(**forwarded) as client:
        answer = client.post(LOGIN, json={"username": "wang", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]


def test_what_a_proxy_forwards_is_counted_by_its_clients_address(proxied: RunningApi) -> None:
    with proxied.client() as client:
        for number in range(25):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            body = {"username": f"u{number}", "password": "Wrong-horse-9"}
            assert client.post(LOGIN, json=body, headers=headers).status_code == 401


def test_pages_and_answers_carry_the_headers(api: RunningApi) -> None:
    with api.client() as client:
        for path in ("/", "/api/v1/system", "/api/v1/nothing", "/play/x", "/health"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "no-referrer"
            csp = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in csp and "script-src 'self';" in csp
            assert "media-src 'self' blob:" in csp and f"ws://{api.base[7:]}" in csp
            if path != "/":
                assert headers["cache-control"] == "private, no-store", path


def test_a_host_that_is_none_gets_into_no_header() -> None:
    assert "evil" not in policy(Front("http", "evil; script-src *", ""))


def test_a_body_may_be_so_large_and_no_larger(api: RunningApi) -> None:
    limit = api.parts.settings.max_body_kib * 1024
    with api.client() as client:
        headers = {"Content-Type": "application/json"}
        fits = client.post(LOGIN, content=b" " * limit, headers=headers)
        problem_of(fits, 422, "invalid-input")
        announced = client.post(LOGIN, content=b" " * (limit + 1), headers=headers)
        problem_of(announced, 413, "too-large")


def test_a_chunked_body_is_counted_as_it_comes(api: RunningApi) -> None:
    host, port = api.base[7:].split(":")
    limit = api.parts.settings.max_body_kib * 1024
    with socket.create_connection((host, int(port)), 20) as raw:
        raw.sendall(
            f"POST {LOGIN} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        sent = 0
        block = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            while sent < 4 * limit:
                raw.sendall(block)
                sent += 65536
        except (ConnectionResetError, BrokenPipeError):
            return  # it hung up on us: as good as an answer
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 413


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 20_000, b"1e999"]
)
def test_what_is_no_json_of_ours_is_refused(api: RunningApi, body: bytes) -> None:
    with api.client() as client:
        answer = client.post(LOGIN, content=body, headers={"Content-Type": "application/json"})
        problem_of(answer, 422, "invalid-input")


def test_limits_end_by_themselves_and_take_bounded_memory() -> None:
    clock = FakeClock()
    limiter = LoginLimiter(clock)
    for number in range(BY_USER.failures):
        limiter.failed(Origin(f"10.0.{number}.1"), "Wang")
    with pytest.raises(TooMany) as caught:
        limiter.check(Origin("192.0.2.1"), "wang")
    clock.sleep(caught.value.retry_after_s or 0)
    limiter.check(Origin("192.0.2.1"), "wang")
    for number in range(MAX_KEYS):
        limiter.failed(Origin(f"10.1.{number}"), "x")
    assert len(limiter._failures) <= MAX_KEYS


@pytest.fixture
def with_socket(sqlite_index: Database, tmp_path: Path) -> Iterator[RunningApi]:
    """The application with a WebSocket of its own, for the border is the same for all."""
    router = APIRouter()

    @router.websocket("/api/v1/echo")
    async def echo(websocket: WebSocket, user: Me) -> None:
        await websocket.accept()
        if await websocket.receive_text() == "fail":
            raise Conflict("no")
        await websocket.send_text(user.username)
        await websocket.close()

    app = create_app(settings_for(tmp_path), database=sqlite_index, passwords=QUICK)
    app.router.routes.insert(0, router.routes[0])
    with served(app) as base:
        yield RunningApi(base, app, sqlite_index)


def test_a_socket_wants_a_login_and_our_own_page(with_socket: RunningApi) -> None:
    url = with_socket.base.replace("http", "ws") + "/api/v1/echo"
    with with_socket.as_user("wang", Role.AUDITOR) as client:
        cookie = {"Cookie": f"bidwitness_login={client.cookies['bidwitness_login']}"}
        ours = with_socket.base
        with connect(url, origin=ours, additional_headers=cookie, proxy=None) as socket_:
            socket_.send("hello")
            assert socket_.recv() == "wang"
        for origin, headers, status in (
            ("http://evil.example", cookie, 403),
            (None, cookie, 403),
            (ours, {}, 401),
        ):
            with pytest.raises(InvalidStatus) as caught:
                connect(url, origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]  # an origin is a str
            assert caught.value.response.status_code == status
        with connect(url, origin=ours, additional_headers=cookie, proxy=None) as socket_:
            socket_.send("fail")
            with pytest.raises(Exception, match="4409"):
                socket_.recv()
