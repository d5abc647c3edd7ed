"""API tokens: for programs, within a scope, for a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of
from support.authenticators import enrol_totp
from support.clock import FakeClock
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bidwitness.storage.index.models import ApiToken, AuditEntry
from bidwitness.storage.tokens import Scope, area_of
from bidwitness.words import Role

TOKENS = "/api/v1/account/tokens"
DAY_S = 86_400


def new(client: httpx.Client, **more: object) -> str:
    body = {"name": "robot", "days": 30, "password": PASSWORD, **more}
    answer = client.post(TOKENS, json=body)
    assert answer.status_code == 201, answer.text
    text: str = answer.json()["token"]
    return text


@contextmanager
def program(api: RunningApi, token: str) -> Iterator[httpx.Client]:
    """A program: no cookie, no Origin, a Bearer token."""
    with httpx.Client(
        base_url=api.base, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as client:
        yield client


def test_a_token_acts_for_its_owner_and_is_named(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        token = new(root, read_only=False, areas=["rooms"])
        assert token.startswith("bwt_")
        with program(api, token) as robot:
            made = robot.post("/api/v1/rooms", json={"name": "开标室九", "kind": "opening"})
            assert made.status_code == 201, made.text
        (kept,) = root.get(TOKENS).json()["items"]
        assert kept["used_at"] == clock.utc_us() and kept["used_from"] == "127.0.0.1"
        assert token not in root.get(TOKENS).text
    with api.database.read() as orm:
        row = orm.scalars(select(ApiToken)).one()
        assert len(row.token_sha256) == 32 and token.encode() not in row.token_sha256
        names = {entry.who for entry in orm.scalars(select(AuditEntry))}
        assert "root (token robot)" in names
        assert token not in repr([entry.facts for entry in orm.scalars(select(AuditEntry))])


def test_a_token_reads_only_unless_it_says_more(api: RunningApi) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        token = new(root)
    with program(api, token) as robot:
        assert robot.get("/api/v1/rooms").status_code == 200
        body = {"name": "x", "kind": "opening"}
        problem_of(robot.post("/api/v1/rooms", json=body), 403, "forbidden")


def test_a_token_keeps_to_its_areas(api: RunningApi) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        token = new(root, areas=["rooms", "alarms"])
        problem_of(
            root.post(
                TOKENS, json={"name": "x", "days": 1, "password": PASSWORD, "areas": ["nil"]}
            ),
            422,
            "invalid-input",
        )
    with program(api, token) as robot:
        assert robot.get("/api/v1/alarms").status_code == 200
        problem_of(robot.get("/api/v1/cameras"), 403, "forbidden")
        problem_of(robot.get("/play/aaaa/aaaa/picture/index.m3u8"), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/auth/password"),
        ("GET", "/api/v1/auth/me"),
        ("POST", "/api/v1/auth/logout"),
        ("GET", "/api/v1/account"),
        ("POST", "/api/v1/account/totp"),
        ("POST", "/api/v1/account/keys/options"),
        ("POST", "/api/v1/account/recovery-codes"),
        ("GET", "/api/v1/account/tokens"),
        ("POST", "/api/v1/account/tokens"),
        ("POST", "/api/v1/account/logins/end-others"),
        ("POST", "/api/v1/users"),
        ("POST", "/api/v1/approvals"),
        ("POST", f"/api/v1/grants/{'a' * 16}/revoke"),
        ("POST", "/api/v1/scopes"),
        ("PATCH", "/api/v1/rights/settings"),
    ],
)
def test_no_token_becomes_its_owner(api: RunningApi, method: str, path: str) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        token = new(root, read_only=False)
    bodies = {
        "password": {"old": PASSWORD, "new": "Quiet-lamps-9"},
        "tokens": {"name": "more", "days": 9, "password": PASSWORD},
        "users": {"username": "li", "roles": ["auditor"]},
        "approvals": {"kind": "user.recover", "content": {"user_id": "a"}, "reason": "lost"},
    }
    with program(api, token) as robot:
        body = bodies.get(path.rsplit("/", 1)[1], {"password": PASSWORD})
        answer = robot.request(method, path, json=None if method == "GET" else body)
        problem_of(answer, 403, "forbidden")


def test_a_token_ends(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    with api.as_user("wang", Role.AUDITOR) as wang:
        kept, old = new(wang), new(wang, days=1)
        with program(api, old) as robot:
            assert robot.get("/api/v1/rooms").status_code == 200
            clock.sleep(DAY_S)
            problem_of(robot.get("/api/v1/rooms"), 401, "unauthenticated")
    with api.client() as wang, program(api, kept) as robot:
        wang.post("/api/v1/auth/login", json={"username": "wang", "password": PASSWORD})
        assert robot.get("/api/v1/rooms").status_code == 200
        items = wang.get(TOKENS).json()["items"]
        (thirty,) = [one for one in items if one["expires_at"] > clock.utc_us()]
        assert wang.post(f"{TOKENS}/{thirty['id']}/revoke").status_code == 204
        problem_of(robot.get("/api/v1/rooms"), 401, "unauthenticated")
        problem_of(wang.post(f"{TOKENS}/{thirty['id']}/revoke"), 404, "not-found")


@pytest.mark.parametrize("days", [0, 366, None])
def test_every_token_has_an_end_within_a_year(api: RunningApi, days: int | None) -> None:
    with api.as_user("wang", Role.AUDITOR) as wang:
        body = {"name": "robot", "days": days, "password": PASSWORD}
        problem_of(wang.post(TOKENS, json=body), 422, "invalid-input")


def test_a_token_wants_the_password_and_ends_with_its_owner(api: RunningApi) -> None:
    with (
        api.as_user("root", Role.SECURITY_ADMIN) as root,
        api.as_user("wang", Role.AUDITOR) as wang,
    ):
        wrong = {"name": "robot", "days": 1, "password": "Wrong-horse-9"}
        problem_of(wang.post(TOKENS, json=wrong), 422, "invalid-input")
        token = new(wang)
        people = root.get("/api/v1/users").json()["items"]
        (user_id,) = [one["id"] for one in people if one["username"] == "wang"]
        with program(api, token) as robot:
            assert robot.get("/api/v1/rooms").status_code == 200
            root.patch(f"/api/v1/users/{user_id}", json={"password": "Quiet-lamps-glow-9"})
            problem_of(robot.get("/api/v1/rooms"), 403, "password-change-required")
            root.patch(f"/api/v1/users/{user_id}", json={"disabled": True})
            problem_of(robot.get("/api/v1/rooms"), 401, "unauthenticated")


def test_a_token_works_where_its_owner_has_two_factors(api: RunningApi, clock: FakeClock) -> None:
    with api.as_user("wang", Role.AUDITOR) as wang:
        token = new(wang)
        enrol_totp(wang, clock.utc_us())
    with program(api, token) as robot:
        assert robot.get("/api/v1/rooms").status_code == 200


def test_a_socket_is_within_the_scope_too(api: RunningApi) -> None:
    with api.as_user("wang", Role.SUPERVISOR) as wang:
        token = new(wang, areas=["rooms"])
    url = api.base.replace("http", "ws") + f"/api/v1/live/{'a' * 16}"
    with pytest.raises(InvalidStatus) as caught:
        connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None)
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("/api/v1/sessions/x/end", "sessions"),
        ("/api/v1/sessions", "sessions"),
        ("/play/a/b/picture/index.m3u8", "play"),
        ("/api/v1", "api"),
        ("/", ""),
    ],
)
def test_areas_are_read_from_paths(path: str, area: str) -> None:
    assert area_of(path) == area


def test_scopes() -> None:
    assert Scope().allows("rooms", "GET") and not Scope().allows("rooms", "POST")
    wide = Scope(read_only=False)
    assert wide.allows("rooms", "DELETE") and wide.allows("users", "GET")
    assert not wide.allows("users", "PATCH") and not wide.allows("account", "GET")
    named = Scope(frozenset({"account", "auth"}), read_only=False)
    assert not named.allows("account", "GET") and not named.allows("auth", "POST")
