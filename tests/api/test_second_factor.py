"""The second factor: codes, codes on paper, security keys; and what may be done without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of, running_api
from support.authenticators import ACCOUNT, SoftKey, code_at, enrol_totp
from support.clock import FakeClock

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Authenticator, RecoveryCode
from bidwitness.words import Role

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/auth/me"
SECOND = "/api/v1/auth/second"
STEP_S = 30


def body(username: str = "wang", password: str = PASSWORD) -> dict[str, str]:
    return {"username": username, "password": password}


def proof(password: str = PASSWORD) -> dict[str, str]:
    return {"password": password}


def give(client: httpx.Client, code: str, factor: str = "totp") -> httpx.Response:
    return client.post(f"{SECOND}/code", json={"factor": factor, "code": code})


def audited(api: RunningApi, action: str) -> list[tuple[bool, Any]]:
    with api.database.read() as orm:
        rows = orm.scalars(select(AuditEntry).where(AuditEntry.action == action))
        return [(row.allowed, (row.facts or {}).get("factor")) for row in rows.all()]


@contextmanager
def enrolled(api: RunningApi, clock: FakeClock, *roles: Role) -> Iterator[tuple[str, list[str]]]:
    """Somebody with an authenticator, whose first code has been used."""
    with api.as_user("wang", *(roles or (Role.AUDITOR,))) as client:
        found = enrol_totp(client, clock.utc_us())
    clock.sleep(STEP_S)
    yield found


def test_a_code_is_wanted_besides_the_password(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    with enrolled(api, clock) as (secret, codes), api.client() as client:
        assert len(codes) == len(set(codes)) == 10
        assert client.post(LOGIN, json=body()).json() == {"second_factor": ["totp", "recovery"]}
        # Half a login opens nothing.
        assert "bidwitness_login" not in client.cookies
        problem_of(client.get(ME), 401, "unauthenticated")
        client.cookies.set("bidwitness_login", client.cookies["bidwitness_half"])
        problem_of(client.get(ME), 401, "unauthenticated")
        client.cookies.delete("bidwitness_login")
        answer = give(client, code_at(secret, clock.utc_us()))
        assert answer.json()["username"] == "wang"
        assert client.get(ME).status_code == 200
        (login,) = [one for one in client.get(f"{ACCOUNT}/logins").json()["items"] if one["this"]]
        assert login["factor"] == "totp"
    assert audited(api, "login")[-1] == (True, "totp")
    assert audited(api, "factor.add") == [(True, "totp")]


def test_the_secret_is_told_once_and_kept_sealed(api: RunningApi, clock: FakeClock) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        begun = client.post(f"{ACCOUNT}/totp", json=proof()).json()
        assert begun["uri"].startswith("otpauth://totp/") and begun["secret"] in begun["uri"]
        assert begun["qr"].startswith("data:image/svg+xml")
        # Until a code was given it is not asked for.
        with api.client() as other:
            assert "username" in other.post(LOGIN, json=body()).json()
        wrong = client.post(f"{ACCOUNT}/totp/confirm", json={"code": "000000"})
        problem_of(wrong, 422, "invalid-input")
        code = code_at(begun["secret"], clock.utc_us())
        assert client.post(f"{ACCOUNT}/totp/confirm", json={"code": code}).status_code == 200
        assert begun["secret"] not in client.get(ACCOUNT).text
        problem_of(client.post(f"{ACCOUNT}/totp", json=proof()), 409, "conflict")
    with api.database.read() as orm:
        assert begun["secret"].encode() not in orm.scalars(select(Authenticator)).one().secret
        told = repr([entry.facts for entry in orm.scalars(select(AuditEntry))])
    assert begun["secret"] not in told and code not in told


def test_a_code_is_good_once(api_on_both: RunningApi, clock: FakeClock) -> None:
    with enrolled(api_on_both, clock) as (secret, _):
        code = code_at(secret, clock.utc_us())
        with api_on_both.client() as first, api_on_both.client() as second:
            first.post(LOGIN, json=body())
            second.post(LOGIN, json=body())
            assert give(first, code).status_code == 200
            problem_of(give(second, code), 422, "invalid-input")
            # Nor is one from before it.
            problem_of(give(second, code_at(secret, clock.utc_us(), -1)), 422, "invalid-input")


@pytest.mark.parametrize(
    ("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_clocks_may_be_one_step_apart(
    api: RunningApi, clock: FakeClock, steps: int, good: bool
) -> None:
    with enrolled(api, clock) as (secret, _), api.client() as client:
        clock.sleep(10 * STEP_S)
        client.post(LOGIN, json=body())
        answer = give(client, code_at(secret, clock.utc_us(), steps))
        assert (answer.status_code == 200) is good


def test_five_wrong_codes_end_the_half_login(api: RunningApi, clock: FakeClock) -> None:
    with enrolled(api, clock) as (secret, _), api.client() as client:
        client.post(LOGIN, json=body())
        answers = [give(client, "000000").status_code for _ in range(5)]
        assert answers == [422] * 5
        good = code_at(secret, clock.utc_us())
        problem_of(give(client, good), 401, "unauthenticated")
        # And a new one has to wait: the tries are counted for the person.
        client.post(LOGIN, json=body())
        problem_of(give(client, good), 429, "too-many")
    assert [allowed for allowed, _ in audited(api, "login.second")] == [False] * 5


def test_half_a_login_ends_after_ten_minutes(api: RunningApi, clock: FakeClock) -> None:
    with enrolled(api, clock) as (secret, _), api.client() as client:
        client.post(LOGIN, json=body())
        clock.sleep(600)
        problem_of(give(client, code_at(secret, clock.utc_us())), 401, "unauthenticated")


def test_a_changed_password_ends_what_is_half_open(api: RunningApi, clock: FakeClock) -> None:
    api.add_user("root", Role.SECURITY_ADMIN)
    with enrolled(api, clock) as (secret, _), api.client() as client:
        client.post(LOGIN, json=body())
        with api.as_user("root") as root:
            people = root.get("/api/v1/users").json()["items"]
            (user_id,) = [one["id"] for one in people if one["username"] == "wang"]
            root.post(f"/api/v1/users/{user_id}/end-logins")
        problem_of(give(client, code_at(secret, clock.utc_us())), 401, "unauthenticated")


def test_a_code_on_paper_is_good_once(api_on_both: RunningApi, clock: FakeClock) -> None:
    with enrolled(api_on_both, clock) as (_, codes):
        for given in (codes[0], codes[1].upper().replace("-", " ")):
            with api_on_both.client() as client:
                client.post(LOGIN, json=body())
                assert give(client, given, "recovery").status_code == 200
        with api_on_both.client() as client:
            client.post(LOGIN, json=body())
            problem_of(give(client, codes[0], "recovery"), 422, "invalid-input")
            assert give(client, codes[2], "recovery").status_code == 200
            assert client.get(ACCOUNT).json()["recovery_left"] == 7
            fresh = client.post(f"{ACCOUNT}/recovery-codes", json=proof()).json()["recovery_codes"]
            assert not set(fresh) & set(codes)
            client.post("/api/v1/auth/logout")
            client.post(LOGIN, json=body())
            problem_of(give(client, codes[3], "recovery"), 422, "invalid-input")
    with api_on_both.database.read() as orm:
        kept = [row.code_sha256 for row in orm.scalars(select(RecoveryCode))]
    assert len(kept) == 10 and all(len(one) == 32 for one in kept)


def test_changing_how_one_signs_in_wants_the_password_again(
    api: RunningApi, clock: FakeClock
) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        wrong = proof("Wrong-horse-9")
        for path in ("totp", "totp/remove", "recovery-codes"):
            answer = problem_of(client.post(f"{ACCOUNT}/{path}", json=wrong), 422, "invalid-input")
            assert answer["fields"] == {"password": "is wrong"}


def test_the_last_factor_takes_the_codes_on_paper_with_it(
    api: RunningApi, clock: FakeClock
) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        enrol_totp(client, clock.utc_us())
        assert client.post(f"{ACCOUNT}/totp/remove", json=proof()).status_code == 204
        assert client.get(ACCOUNT).json()["recovery_left"] == 0
        problem_of(client.post(f"{ACCOUNT}/recovery-codes", json=proof()), 409, "conflict")
    with api.client() as client:
        assert "username" in client.post(LOGIN, json=body()).json()
    assert audited(api, "factor.remove") == [(True, "totp")]


def test_a_program_cannot_sign_in_where_a_person_has_two_factors(
    api: RunningApi, clock: FakeClock
) -> None:
    with enrolled(api, clock), api.client() as client:
        problem_of(client.post("/api/v1/auth/token", json=body()), 401, "unauthenticated")


def test_a_site_may_require_it(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> None:
    with running_api(sqlite_index, tmp_path, clock=clock, second_factor="required") as api:
        api.add_user("wang", Role.AUDITOR)
        with api.client() as client:
            assert client.post(LOGIN, json=body()).json()["must_enrol"] is True
            for path in ("rooms", "sessions", "account/tokens", "account/logins"):
                problem_of(client.get(f"/api/v1/{path}"), 403, "second-factor-required")
            secret, _ = enrol_totp(client, clock.utc_us())
            assert client.get("/api/v1/rooms").status_code == 200
            assert client.get(ME).json()["must_enrol"] is False
            # The last one stays.
            problem_of(client.post(f"{ACCOUNT}/totp/remove", json=proof()), 409, "conflict")
            clock.sleep(STEP_S)
            client.post("/api/v1/auth/logout")
            client.post(LOGIN, json=body())
            assert give(client, code_at(secret, clock.utc_us())).status_code == 200


def test_a_site_may_do_without(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> None:
    with (
        running_api(sqlite_index, tmp_path, clock=clock, second_factor="off") as api,
        api.as_user("wang", Role.AUDITOR) as client,
    ):
        problem_of(client.post(f"{ACCOUNT}/totp", json=proof()), 409, "conflict")


@contextmanager
def at_localhost(api: RunningApi) -> Iterator[httpx.Client]:
    """A client that calls the host by its name: keys do not answer to addresses."""
    base = api.base.replace("127.0.0.1", "localhost")
    with httpx.Client(base_url=base, headers={"Origin": base}, trust_env=False) as client:
        yield client


def options(client: httpx.Client) -> dict[str, Any]:
    answer = client.post(f"{ACCOUNT}/keys/options", json=proof())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def add(client: httpx.Client, credential: dict[str, Any], name: str = "钥匙") -> httpx.Response:
    return client.post(f"{ACCOUNT}/keys", json={"name": name, "credential": credential})


@contextmanager
def with_key(api: RunningApi) -> Iterator[tuple[httpx.Client, SoftKey]]:
    """Somebody with a security key, who has given the password of her next login."""
    api.add_user("wang", Role.AUDITOR)
    with at_localhost(api) as client:
        client.post(LOGIN, json=body())
        key = SoftKey(client.headers["Origin"])
        added = add(client, key.register(options(client)))
        assert added.status_code == 201 and len(added.json()["recovery_codes"]) == 10
        client.post("/api/v1/auth/logout")
        asked = client.post(LOGIN, json=body()).json()
        assert asked == {"second_factor": ["key", "recovery"]}
        yield client, key


def test_a_security_key_signs_in(api_on_both: RunningApi) -> None:
    with with_key(api_on_both) as (client, key):
        asked = client.post(f"{SECOND}/key-options").json()
        assert asked["rpId"] == "localhost" and asked["userVerification"] == "required"
        answer = client.post(f"{SECOND}/key", json={"credential": key.sign(asked)})
        assert answer.status_code == 200, answer.text
        (kept,) = client.get(ACCOUNT).json()["keys"]
        assert kept["name"] == "钥匙" and kept["used_at"] is not None
    assert audited(api_on_both, "login")[-1] == (True, "key")


@pytest.mark.parametrize(
    "wrong",
    [
        {"verified": False},
        {"origin": "http://evil.example"},
        {"site": "evil.example"},
        {"challenge": "AAAA"},
        {"count": 1},
        {"type": "webauthn.create"},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_what_a_key_did_not_sign_for_us_is_refused(api: RunningApi, wrong: dict[str, Any]) -> None:
    with with_key(api) as (client, key):
        asked = client.post(f"{SECOND}/key-options").json()
        answer = client.post(f"{SECOND}/key", json={"credential": key.sign(asked, **wrong)})
        problem_of(answer, 422, "invalid-input")
    assert audited(api, "login.second") == [(False, "key")]


def test_a_nonce_is_good_once(api: RunningApi) -> None:
    with with_key(api) as (client, key):
        asked = client.post(f"{SECOND}/key-options").json()
        strange = SoftKey(client.headers["Origin"]).sign(asked)
        problem_of(client.post(f"{SECOND}/key", json={"credential": strange}), 422, "invalid-input")
        late = {"credential": key.sign(asked)}
        problem_of(client.post(f"{SECOND}/key", json=late), 422, "invalid-input")
        asked = client.post(f"{SECOND}/key-options").json()
        answer = client.post(f"{SECOND}/key", json={"credential": key.sign(asked)})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"verified": False},
        {"origin": "http://evil.example"},
        {"site": "evil.example"},
        {"challenge": "AAAA"},
        {"fmt": "packed", "statement": {"alg": -7, "sig": b"x"}},
        {"fmt": "tpm"},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_a_registration_that_proves_nothing_is_refused(
    api: RunningApi, wrong: dict[str, Any]
) -> None:
    api.add_user("wang", Role.AUDITOR)
    with at_localhost(api) as client:
        client.post(LOGIN, json=body())
        key = SoftKey(client.headers["Origin"])
        problem_of(add(client, key.register(options(client), **wrong)), 422, "invalid-input")
        # The nonce is spent by it.
        problem_of(
            add(client, key.register({"challenge": "AAAA", "rp": {"id": "localhost"}})),
            409,
            "conflict",
        )
        assert client.get(ACCOUNT).json()["keys"] == []


def test_several_keys_with_names_come_and_go(api: RunningApi, clock: FakeClock) -> None:
    api.add_user("wang", Role.AUDITOR)
    with at_localhost(api) as client:
        client.post(LOGIN, json=body())
        keys = [SoftKey(client.headers["Origin"]) for _ in range(2)]
        for number, key in enumerate(keys):
            asked = options(client)
            assert len(asked["excludeCredentials"]) == number
            assert add(client, key.register(asked), f"key {number}").status_code == 201
            clock.sleep(1)
        problem_of(add(client, keys[0].register(options(client))), 409, "conflict")
        kept = client.get(ACCOUNT).json()["keys"]
        assert [one["name"] for one in kept] == ["key 0", "key 1"]
        path = f"{ACCOUNT}/keys/{kept[0]['id']}/remove"
        assert client.post(path, json=proof()).status_code == 204
        problem_of(client.post(path, json=proof()), 404, "not-found")
        assert [one["name"] for one in client.get(ACCOUNT).json()["keys"]] == ["key 1"]


def test_keys_want_a_host_with_a_name(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        problem_of(client.post(f"{ACCOUNT}/keys/options", json=proof()), 409, "conflict")


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 1}, {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}],
    ids=["empty", "number", "hollow"],
)
def test_what_is_no_credential_is_refused(api: RunningApi, credential: dict[str, Any]) -> None:
    with with_key(api) as (client, _):
        client.post(f"{SECOND}/key-options")
        answer = client.post(f"{SECOND}/key", json={"credential": credential})
        problem_of(answer, 422, "invalid-input")
