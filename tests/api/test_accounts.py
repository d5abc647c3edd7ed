"""One's own account: passwords and their past, logins, and strangers at the door."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of, running_api
from support.clock import FakeClock

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, OldPassword
from bidwitness.words import Role

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/auth/me"
CHANGE = "/api/v1/auth/password"
LOGINS = "/api/v1/account/logins"
DAY_S = 86_400


def body(username: str = "wang", password: str = PASSWORD) -> dict[str, str]:
    return {"username": username, "password": password}


def change(client: httpx.Client, old: str, new: str) -> httpx.Response:
    return client.post(CHANGE, json={"old": old, "new": new})


def audited(api: RunningApi, action: str) -> list[tuple[str, bool]]:
    with api.database.read() as orm:
        rows = orm.scalars(select(AuditEntry).where(AuditEntry.action == action))
        return [(row.who, row.allowed) for row in rows.all()]


def test_the_last_five_passwords_are_not_taken_again(api_on_both: RunningApi) -> None:
    chain = [PASSWORD, *(f"Quiet-lamps-glow-{number}" for number in range(6))]
    with api_on_both.as_user("wang", Role.AUDITOR) as client:
        for old, new in pairwise(chain):
            assert change(client, old, new).status_code == 204
            refused = change(client, new, old)
            assert "new" in problem_of(refused, 422, "invalid-input")["fields"]  # type: ignore[operator]  # it is a dict
        # Six changes ago: forgotten, hash and all.
        assert change(client, chain[-1], PASSWORD).status_code == 204
    with api_on_both.database.read() as orm:
        kept = orm.scalars(select(OldPassword)).all()
        assert len(kept) == 5 and all(row.password_hash.startswith("$argon2id$") for row in kept)


def test_a_password_has_an_age_if_the_site_wants(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    with running_api(sqlite_index, tmp_path, clock=clock, password_max_days=90) as api:
        with api.as_user("wang", Role.AUDITOR) as client:
            assert client.get(ME).json()["must_change_password"] is False
            until = client.get("/api/v1/account").json()["password_until"]
            assert until == clock.utc_us() + 90 * DAY_S * 1_000_000
        clock.sleep(90 * DAY_S)
        with api.client() as client:
            assert client.post(LOGIN, json=body()).json()["must_change_password"] is True
            problem_of(client.get("/api/v1/rooms"), 403, "password-change-required")
            assert change(client, PASSWORD, "Quiet-lamps-glow-1").status_code == 204
            assert client.get("/api/v1/rooms").status_code == 200


def test_a_site_wants_longer_passwords(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    with (
        running_api(sqlite_index, tmp_path, clock=clock, password_min_length=16) as api,
        api.as_user("wang", Role.SECURITY_ADMIN) as client,
    ):
        short = "Quiet-lamps-9"
        problem_of(change(client, PASSWORD, short), 422, "invalid-input")
        made = {"username": "li", "roles": ["auditor"], "password": short}
        problem_of(client.post("/api/v1/users", json=made), 422, "invalid-input")


def test_one_sees_and_ends_ones_logins(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    with api.as_user("wang", Role.AUDITOR) as here:
        clock.sleep(60)
        headers = {"User-Agent": "Browser of the hall"}
        with api.client(**headers) as there, api.client() as third:
            there.post(LOGIN, json=body())
            third.post(LOGIN, json=body())
            items = here.get(LOGINS).json()["items"]
            assert [one["this"] for one in items].count(True) == 1 and len(items) == 3
            (hall,) = [one for one in items if one["agent"] == headers["User-Agent"]]
            assert hall["since"] == clock.utc_us() and hall["address"] == "127.0.0.1"
            assert here.post(f"{LOGINS}/{hall['id']}/end").status_code == 204
            problem_of(there.get(ME), 401, "unauthenticated")
            problem_of(here.post(f"{LOGINS}/{hall['id']}/end"), 404, "not-found")
            assert here.post(f"{LOGINS}/end-others").json() == {"ended": 1}
            problem_of(third.get(ME), 401, "unauthenticated")
        assert here.get(ME).status_code == 200
    assert audited(api, "login.end") == [("wang", True)]
    assert audited(api, "login.end_others") == [("wang", True)]


def test_nobody_ends_anothers_login(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as wang, api.as_user("li", Role.AUDITOR) as li:
        (own,) = wang.get(LOGINS).json()["items"]
        problem_of(li.post(f"{LOGINS}/{own['id']}/end"), 404, "not-found")
        assert li.post(f"{LOGINS}/end-others").json() == {"ended": 0}
        assert wang.get(ME).status_code == 200


def test_an_administrator_ends_a_persons_logins(api_on_both: RunningApi) -> None:
    api = api_on_both
    with (
        api.as_user("root", Role.SECURITY_ADMIN) as root,
        api.as_user("wang", Role.AUDITOR) as wang,
    ):
        people = root.get("/api/v1/users").json()["items"]
        (user_id,) = [one["id"] for one in people if one["username"] == "wang"]
        problem_of(wang.post(f"/api/v1/users/{user_id}/end-logins"), 403, "forbidden")
        assert root.post(f"/api/v1/users/{user_id}/end-logins").json() == {"ended": 1}
        problem_of(wang.get(ME), 401, "unauthenticated")
        assert root.get(ME).status_code == 200
    assert audited(api, "user.end_logins") == [("root", True)]


@contextmanager
def from_address(api: RunningApi, address: str) -> Iterator[httpx.Client]:
    with api.client(**{"X-Forwarded-For": address}) as client:
        yield client


@pytest.fixture
def behind(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    """An API that believes its proxy, so that one machine can play many addresses."""
    with running_api(sqlite_index, tmp_path, clock=clock, behind_proxy=True) as api:
        api.add_user("wang", Role.AUDITOR)
        yield api


def storm(api: RunningApi, first: int = 0) -> int:
    """Try wrong passwords for one name from ever new addresses until that is refused."""
    for number in range(first, first + 200):
        with from_address(api, f"192.0.2.{number}") as stranger:
            if stranger.post(LOGIN, json=body(password="Wrong-horse-9")).status_code == 429:
                return number - first
    raise AssertionError("nobody was refused")


def test_strangers_cannot_keep_a_person_out(behind: RunningApi, clock: FakeClock) -> None:
    with from_address(behind, "198.51.100.1") as browser:
        assert browser.post(LOGIN, json=body()).status_code == 200
        clock.sleep(3600)
        assert storm(behind) == 50
        # Her browser, from anywhere.
        browser.headers["X-Forwarded-For"] = "203.0.113.9"
        assert browser.post(LOGIN, json=body()).status_code == 200
    # Her address, with any browser.
    with from_address(behind, "198.51.100.1") as other:
        assert other.post(LOGIN, json=body()).status_code == 200
    # Who comes from nowhere known waits, and for minutes only.
    with from_address(behind, "203.0.113.50") as unknown:
        answer = unknown.post(LOGIN, json=body())
        problem_of(answer, 429, "too-many")
        clock.sleep(int(answer.headers["retry-after"]))
        assert unknown.post(LOGIN, json=body()).status_code == 200


def test_a_known_browser_has_its_own_few_tries(behind: RunningApi) -> None:
    with from_address(behind, "198.51.100.1") as browser:
        browser.post(LOGIN, json=body())
        wrong = body(password="Wrong-horse-9")
        codes = [browser.post(LOGIN, json=wrong).status_code for _ in range(7)]
        assert codes == [401] * 5 + [429] * 2
    # That was hers alone.
    with from_address(behind, "203.0.113.9") as other:
        assert other.post(LOGIN, json=body()).status_code == 200


def test_a_browser_is_known_for_one_person_only(behind: RunningApi) -> None:
    behind.add_user("li", Role.AUDITOR)
    with from_address(behind, "198.51.100.1") as browser:
        browser.post(LOGIN, json=body("li"))
        storm(behind)
        browser.headers["X-Forwarded-For"] = "203.0.113.9"
        problem_of(browser.post(LOGIN, json=body()), 429, "too-many")


def test_what_the_browser_is_known_by_opens_nothing(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        cookie = client.cookies["bidwitness_device"]
    with api.client() as client:
        client.cookies.set("bidwitness_login", cookie)
        problem_of(client.get(ME), 401, "unauthenticated")
        client.headers["Authorization"] = f"Bearer {cookie}"
        problem_of(client.get(ME), 401, "unauthenticated")


def test_guessing_the_old_password_of_a_login_is_slowed_down(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        answers = [change(client, "Wrong-horse-9", "Quiet-lamps-9") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert audited(api, "password.prove") == [("wang", False)] * 5
