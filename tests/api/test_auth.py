"""Signing in and out, on both databases."""

import time

import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of
from support.clock import FakeClock

from bidwitness.storage.index.models import AuditEntry, Login
from bidwitness.words import Role

MINUTE_S = 60
HOUR_S = 3600
LOGIN = "/api/v1/auth/login"
ME = "/api/v1/auth/me"


def body(username: str = "wang", password: str = PASSWORD) -> dict[str, str]:
    return {"username": username, "password": password}


def test_a_login_is_a_strict_cookie_and_ends_by_logout(api_on_both: RunningApi) -> None:
    api_on_both.add_user("wang", Role.SUPERVISOR)
    with api_on_both.client() as client:
        problem_of(client.get(ME), 401, "unauthenticated")
        answer = client.post(LOGIN, json=body())
        assert answer.json() == {
            "username": "wang",
            "name": "wang",
            "roles": ["supervisor"],
            "must_change_password": False,
            "must_enrol": False,
            # What the watermark says beside her name: the roster's department, and where she sits.
            "department": "test",
            "address": "127.0.0.1",
        }
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
        assert "secure" not in cookie  # plain HTTP on loopback; see test_security for TLS
        assert client.get(ME).json()["username"] == "wang"
        kept = client.cookies["bidwitness_login"]
        assert client.post("/api/v1/auth/logout").status_code == 204
        assert "bidwitness_login" not in client.cookies
        client.cookies["bidwitness_login"] = kept
        problem_of(client.get(ME), 401, "unauthenticated")


def test_only_a_digest_of_the_token_is_kept(api_on_both: RunningApi) -> None:
    with api_on_both.as_user("wang", Role.AUDITOR) as client:
        token = client.cookies["bidwitness_login"]
    with api_on_both.database.read() as orm:
        row = orm.scalars(select(Login)).one()
        assert token.encode() not in row.token_sha256 and len(row.token_sha256) == 32


def test_a_program_signs_in_with_a_bearer_token_and_no_origin(api: RunningApi) -> None:
    api.add_user("robot", Role.AUDITOR)
    with api.client() as client:
        del client.headers["Origin"]
        token = client.post("/api/v1/auth/token", json=body("robot")).json()["token"]
        assert not client.cookies
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get(ME).json()["roles"] == ["auditor"]
        assert client.post("/api/v1/auth/logout").status_code == 204
        problem_of(client.get(ME), 401, "unauthenticated")


def test_a_wrong_bearer_token_is_not_forgiven_for_a_good_cookie(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        answer = client.get(ME, headers={"Authorization": "Bearer nonsense"})
        problem_of(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_wrong_name_and_wrong_password_look_the_same(api: RunningApi) -> None:
    api.add_user("wang", Role.AUDITOR)
    with api.client() as client:
        first = problem_of(
            client.post(LOGIN, json=body(password="Wrong-horse-9")), 401, "unauthenticated"
        )
        second = problem_of(client.post(LOGIN, json=body("nobody")), 401, "unauthenticated")
    assert first["detail"] == second["detail"]
    with api.database.read() as orm:
        tried = orm.scalars(select(AuditEntry).where(AuditEntry.action == "login")).all()
        assert [entry.allowed for entry in tried] == [False, False]
        assert "nobody" not in repr([(e.who, e.subject, e.facts) for e in tried])


def test_an_unknown_name_costs_a_hash_too(api: RunningApi) -> None:
    """Counted, not timed: the hasher is asked once whether or not the user exists."""
    asked: list[str] = []
    passwords = api.parts.passwords
    real = passwords._hasher.verify

    class Counting:
        hash = passwords._hasher.hash

        def verify(self, hashed: str, password: str) -> bool:
            asked.append(hashed)
            return real(hashed, password)

    api.add_user("wang", Role.AUDITOR)
    kept, passwords._hasher = passwords._hasher, Counting()
    try:
        with api.client() as client:
            client.post(LOGIN, json=body(password="Wrong-horse-9"))
            client.post(LOGIN, json=body("nobody"))
    finally:
        passwords._hasher = kept
    assert len(asked) == 2 and all(h.startswith("$argon2id$") for h in asked)


@pytest.mark.parametrize(("idle_s", "works"), [(29 * MINUTE_S, True), (31 * MINUTE_S, False)])
def test_an_idle_login_ends(api: RunningApi, clock: FakeClock, idle_s: int, works: bool) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        clock.sleep(idle_s)
        assert (client.get(ME).status_code == 200) is works


def test_a_used_login_lives_on_and_ends_after_half_a_day(api: RunningApi, clock: FakeClock) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        for _ in range(35):
            clock.sleep(20 * MINUTE_S)
            assert client.get(ME).status_code == 200
        clock.sleep(20 * MINUTE_S)
        problem_of(client.get(ME), 401, "unauthenticated")


def test_the_first_password_must_be_changed_before_anything_else(
    api_on_both: RunningApi,
) -> None:
    api_on_both.add_user("wang", Role.SYSTEM_ADMIN, must_change=True)
    with api_on_both.client() as client, api_on_both.client() as other:
        assert client.post(LOGIN, json=body()).json()["must_change_password"] is True
        other.post(LOGIN, json=body())
        problem_of(client.get("/api/v1/users"), 403, "password-change-required")
        change = "/api/v1/auth/password"
        wrong = {"old": "not-that-one", "new": "Another-horse-9"}
        assert "old" in problem_of(client.post(change, json=wrong), 422, "invalid-input")["fields"]
        for new in (PASSWORD, "short", "wang-is-my-Name-1", "alllowercase", "AAAA1111----"):
            answer = client.post(change, json={"old": PASSWORD, "new": new})
            assert "new" in problem_of(answer, 422, "invalid-input")["fields"], new
        good = {"old": PASSWORD, "new": "Another-horse-9"}
        assert client.post(change, json=good).status_code == 204
        assert client.get("/api/v1/users").status_code == 200
        problem_of(other.get(ME), 401, "unauthenticated")
        problem_of(other.post(LOGIN, json=body()), 401, "unauthenticated")


def test_guessing_is_slowed_down_and_the_real_user_gets_in_again(
    api: RunningApi, clock: FakeClock
) -> None:
    api.add_user("wang", Role.AUDITOR)
    with api.client() as client:
        for _ in range(5):
            assert client.post(LOGIN, json=body(password="Wrong-horse-9")).status_code == 401
        answer = client.post(LOGIN, json=body())
        problem_of(answer, 429, "too-many")
        wait_s = int(answer.headers["retry-after"])
        assert 0 < wait_s <= 300
        for _ in range(50):  # refused attempts do not lengthen the wait
            assert client.post(LOGIN, json=body()).status_code == 429
        clock.sleep(wait_s)
        assert client.post(LOGIN, json=body()).status_code == 200


def test_one_address_trying_many_names_is_slowed_down(api: RunningApi) -> None:
    with api.client() as client:
        codes = [client.post(LOGIN, json=body(f"user{n}")).status_code for n in range(21)]
    assert codes == [401] * 20 + [429]


def test_a_good_login_is_quick_enough(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        start = time.perf_counter()
        for _ in range(20):
            client.get(ME)
        assert time.perf_counter() - start < 5
