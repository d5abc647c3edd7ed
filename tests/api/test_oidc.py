"""Signing in through an OpenID provider: a real one on loopback, good and bad."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of, running_api
from support.authenticators import code_at
from support.clock import FakeClock
from support.openid import CLIENT, OpenId, new_key, running_openid, settings_of

from bidwitness.config import load_settings
from bidwitness.errors import ConfigError
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Login, OidcLink
from bidwitness.words import Role

START = "/api/v1/auth/oidc/start"
LINK = "/api/v1/account/oidc/link"
ME = "/api/v1/auth/me"


@pytest.fixture(scope="module")
def served_provider() -> Iterator[OpenId]:
    with running_openid() as provider:
        yield provider


@pytest.fixture
def provider(served_provider: OpenId, clock: FakeClock) -> OpenId:
    """The provider as new, but for its key."""
    fresh = OpenId(served_provider.issuer, keys=served_provider.keys[-1:])
    fresh.now_s = clock.utc_us() // 1_000_000
    served_provider.__dict__.update(fresh.__dict__)
    return served_provider


@pytest.fixture
def site(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock, provider: OpenId
) -> Iterator[RunningApi]:
    settings = settings_of(provider, tmp_path)
    with running_api(sqlite_index, tmp_path, clock=clock, **settings) as running:
        yield running


def at_provider(began: httpx.Response) -> str:
    """Go to the provider's page, and give where it leads back to."""
    # Plain HTTP on loopback: no certificates need to be loaded.
    there = httpx.get(began.json()["location"], trust_env=False, verify=False)
    return there.headers["location"]


def come_back(client: httpx.Client, began: httpx.Response) -> httpx.Response:
    """Go to the provider's page and back, as a browser does."""
    assert began.status_code == 200, began.text
    return client.get(at_provider(began))


def enter(client: httpx.Client) -> str:
    """Sign in through the provider; give where it leads."""
    answer = come_back(client, client.post(START))
    assert answer.status_code == 303
    return answer.headers["location"]


def linked(site: RunningApi, username: str = "wang", *roles: Role) -> None:
    with site.as_user(username, *(roles or (Role.AUDITOR,))) as client:
        answer = come_back(client, client.post(LINK, json={"password": PASSWORD}))
        assert answer.headers["location"] == "/account?oidc=linked"


def entries(site: RunningApi, action: str) -> list[tuple[str, bool, dict[str, object]]]:
    with site.database.read() as orm:
        rows = orm.scalars(select(AuditEntry).where(AuditEntry.action == action))
        return [(row.who, row.allowed, row.facts or {}) for row in rows.all()]


def test_who_has_linked_her_account_signs_in(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    with site.client() as client:
        assert client.get("/api/v1/system").json()["oidc"] == "省平台"
        began = client.post(START)
        cookie = began.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "/api/v1/auth/oidc" in cookie
        asked = parse_qs(urlsplit(began.json()["location"]).query)
        assert asked["code_challenge_method"] == ["S256"] and asked["response_type"] == ["code"]
        # What must stay here is not in the address, nor readable in the cookie.
        verifier_sent = "code_verifier" in began.json()["location"]
        assert not verifier_sent
        answer = come_back(client, began)
        assert answer.headers["location"] == "/"
        assert client.get(ME).json()["username"] == "wang"
        (row,) = [r for r in client.get("/api/v1/account/logins").json()["items"] if r["this"]]
        assert (row["way"], row["factor"]) == ("oidc", None)
        link = client.get("/api/v1/account").json()["oidc"]
        assert link["name"] == "省平台" and link["link"]["label"] == "wang@centre"
        assert link["link"]["used_at"]
        # "Sign out everywhere" ends it as any other.
        with site.as_user("wang") as other:
            other.post("/api/v1/account/logins/end-others", json={})
        assert client.get(ME).status_code == 401
    assert ("wang", True, {"way": "oidc"}) in entries(site, "login")
    ((who, allowed, facts),) = entries(site, "oidc.link")
    assert (who, allowed, facts["subject"]) == ("wang", True, "u-1")


def test_nobody_is_made_and_nobody_gets_roles(site: RunningApi, provider: OpenId) -> None:
    provider.claims = {"roles": ["system_admin"], "groups": ["admin"], "email": "wang@x"}
    with site.client() as client:
        assert enter(client) == "/?oidc=not_linked"
        assert client.get(ME).status_code == 401
    linked(site)
    with site.client() as client:
        assert enter(client) == "/"
        assert client.get(ME).json()["roles"] == ["auditor"]
    facts = {"way": "oidc", "fault": "not_linked"}
    assert ("unknown", False, facts) in entries(site, "login")


WRONG = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "expired": {"exp": 1_000_000_000},
    "no end": {"exp": None},
    "not yet": {"nbf": 9_000_000_000},
    "made long ago": {"iat": 1_000_000_000},
    "for another": {"aud": "somebody-else"},
    "for several, nobody asked": {"aud": [CLIENT, "somebody-else"]},
    "another asked": {"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"},
    "for another, though we asked": {"aud": "somebody-else", "azp": CLIENT},
    "another issuer": {"iss": "https://elsewhere.example"},
    "no subject": {"sub": None},
    "a subject that is none": {"sub": 7},
    "another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "an end that is none": {"exp": "soon"},
    "an audience that is none": {"aud": {"a": 1}},
}


def test_a_token_that_does_not_fit_signs_nobody_in(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    for name, claims in WRONG.items():
        provider.claims = claims
        with site.client() as client:
            assert enter(client) == "/?oidc=untrusted", name
            assert client.get(ME).status_code == 401, name
    provider.claims = {"aud": [CLIENT, "somebody-else"], "azp": CLIENT}
    with site.client() as client:
        assert enter(client) == "/"


def test_a_signature_that_anybody_can_make_is_none(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    (key,) = provider.keys
    public = json.dumps(key.as_dict(private=False)).encode()
    pem = key.as_pem(private=False)
    forged = [
        ("none", None),
        ("HS256", pem),
        ("HS256", public),
        # A key of the stranger's own under the name of theirs.
        ("RS256", new_key(str(key.kid))),
        ("ES256", ECKey.generate_key("P-256", {"kid": key.kid})),
    ]
    for algorithm, signs in forged:
        provider.algorithm, provider.signs_with = algorithm, signs
        with site.client() as client:
            assert enter(client) == "/?oidc=untrusted", algorithm


def test_new_keys_of_the_provider_are_found(
    site: RunningApi, provider: OpenId, clock: FakeClock
) -> None:
    linked(site)
    provider.keys = [new_key("k2"), *provider.keys]
    provider.asked.clear()
    with site.client() as client:
        # Asked for a moment ago: strangers' tokens do not make us ask without pause.
        assert enter(client) == "/?oidc=untrusted"
        assert provider.asked == []
        clock.advance(11_000_000)
        provider.now_s += 11
        assert enter(client) == "/"
        assert provider.asked == ["keys"]
        assert enter(client) == "/"
        assert provider.asked == ["keys"]
        clock.advance(11_000_000)
        provider.now_s += 11
        provider.keys = [ECKey.generate_key("P-256", {"kid": "k3"}), *provider.keys]
        provider.algorithm = "ES256"
        assert enter(client) == "/"


def test_the_way_back_fits_one_browser_once(
    site: RunningApi, provider: OpenId, clock: FakeClock
) -> None:
    linked(site)
    with site.client() as client, site.client() as other:
        began = client.post(START)
        back = at_provider(began)
        # A stranger's own sign-in, shown to somebody else: she has no cookie, or that of another.
        assert other.get(back).headers["location"] == "/?oidc=expired"
        other.post(START)
        assert other.get(back).headers["location"] == "/?oidc=expired"
        kept = client.cookies["bidwitness_oidc"]
        assert client.get(back).headers["location"] == "/"
        client.cookies.clear()
        client.cookies["bidwitness_oidc"] = kept
        assert client.get(back).headers["location"] == "/?oidc=expired"
        began = client.post(START)
        clock.advance(601_000_000)
        assert come_back(client, began).headers["location"] == "/?oidc=expired"
        client.cookies.clear()
        began = client.post(START)
        back = at_provider(began)
        answer = client.get(f"{back}&iss=https%3A%2F%2Felsewhere.example&next=https%3A%2F%2Fevil")
        assert answer.headers["location"] == "/?oidc=untrusted"


def test_what_the_provider_says_instead_is_never_shown(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    with site.client() as client:
        provider.error = "access_denied"
        assert enter(client) == "/?oidc=refused"
        provider.error = ""
        for status, body, fault in (
            (500, None, "unreachable"),
            (400, None, "refused"),
            (200, b"[]", "untrusted"),
            (200, b"<html>", "untrusted"),
            (200, b'{"id_token": 7}', "untrusted"),
            (200, b'{"id_token": "a.b.c"}', "untrusted"),
            (200, b'{"id_token": "' + b"x" * 300_000 + b'"}', "untrusted"),
            (302, b"{}", "refused"),
        ):
            provider.status, provider.token_answer = status, body
            assert enter(client) == f"/?oidc={fault}", (status, (body or b"")[:40])
        assert client.get(ME).status_code == 401


def test_who_fails_without_end_waits(site: RunningApi, provider: OpenId) -> None:
    with site.client() as client:
        for _ in range(20):
            assert enter(client) == "/?oidc=not_linked"
        problem_of(client.post(START), 429, "too-many")


def test_a_slow_provider_holds_nothing_up(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock, provider: OpenId
) -> None:
    settings = {**settings_of(provider, tmp_path), "oidc_seconds": 0.3}
    provider.waits = threading.Event()
    with running_api(sqlite_index, tmp_path, clock=clock, **settings) as site:
        site.add_user("wang", Role.AUDITOR)
        with site.client() as client:
            begun = time.monotonic()
            assert enter(client) == "/?oidc=unreachable"
            assert time.monotonic() - begun < 5
            body = {"username": "wang", "password": PASSWORD}
            assert client.post("/api/v1/auth/login", json=body).status_code == 200
        provider.waits.set()


def test_a_dead_provider_leaves_the_passwords(
    sqlite_index: Database, tmp_path: Path, provider: OpenId
) -> None:
    settings = {**settings_of(provider, tmp_path), "oidc_issuer": "http://127.0.0.1:1"}
    with (
        running_api(sqlite_index, tmp_path, **settings) as site,
        site.as_user("wang", Role.AUDITOR) as client,
    ):
        problem = problem_of(client.post(START), 503, "unavailable")
        assert "省平台" in str(problem["detail"]) and "password" in str(problem["detail"])
        problem_of(client.post(LINK, json={"password": PASSWORD}), 503, "unavailable")
        assert client.get(ME).status_code == 200
        # There is no key yet that anything could have been sealed with.
        cookie = {"Cookie": f"bidwitness_oidc={'AAAA' * 20}"}
        answer = client.get("/api/v1/auth/oidc/callback?code=a&state=b", headers=cookie)
        assert answer.headers["location"] == "/?oidc=expired"


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": 7},
        {"token_endpoint": "https://user@elsewhere.example/"},
    ],
)
def test_a_description_that_leads_elsewhere_is_not_followed(
    site: RunningApi, provider: OpenId, said: dict[str, object]
) -> None:
    provider.description = said
    with site.client() as client:
        problem_of(client.post(START), 503, "unavailable")


def test_one_identity_is_one_account(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    with site.as_user("li", Role.AUDITOR) as client:
        wrong = client.post(LINK, json={"password": "Wrong-horse-9"})
        assert "password" in str(problem_of(wrong, 422, "invalid-input")["fields"])
        answer = come_back(client, client.post(LINK, json={"password": PASSWORD}))
        assert answer.headers["location"] == "/account?oidc=taken"
        provider.subject = "u-2"
        began = client.post(LINK, json={"password": PASSWORD})
        client.post("/api/v1/auth/logout")
        assert come_back(client, began).headers["location"] == "/account?oidc=expired"
    with site.as_user("wang") as client:
        problem_of(client.post(LINK, json={"password": PASSWORD}), 409, "conflict")
        unlink = "/api/v1/account/oidc/unlink"
        assert client.post(unlink, json={"password": PASSWORD}).status_code == 204
        problem_of(client.post(unlink, json={"password": PASSWORD}), 404, "not-found")
    provider.subject = "u-1"
    with site.client() as client:
        assert enter(client) == "/?oidc=not_linked"


def test_an_administrator_ends_links_and_shuts_out(site: RunningApi, provider: OpenId) -> None:
    linked(site)
    with site.as_user("sec", Role.SECURITY_ADMIN) as admin:
        users = {row["username"]: row for row in admin.get("/api/v1/users").json()["items"]}
        assert users["wang"]["linked"] and not users["sec"]["linked"]
        address = f"/api/v1/users/{users['wang']['id']}"
        admin.patch(address, json={"disabled": True})
        with site.client() as client:
            assert enter(client) == "/?oidc=shut_out"
        admin.patch(address, json={"disabled": False})
        assert admin.post(f"{address}/unlink").status_code == 204
        problem_of(admin.post(f"{address}/unlink"), 404, "not-found")
    with site.database.read() as orm:
        assert orm.scalars(select(OidcLink)).all() == []


def with_code(site: RunningApi) -> str:
    """Give wang an authenticator; its secret."""
    with site.as_user("wang") as client:
        made = client.post("/api/v1/account/totp", json={"password": PASSWORD}).json()
        code = code_at(made["secret"], site.parts.clock.utc_us())
        confirmed = client.post("/api/v1/account/totp/confirm", json={"code": code})
        assert confirmed.status_code == 200, confirmed.text
        return str(made["secret"])


def test_the_second_factor_is_asked_for_here(
    site: RunningApi, provider: OpenId, clock: FakeClock
) -> None:
    linked(site)
    secret = with_code(site)
    provider.claims = {"amr": ["pwd", "otp"]}
    with site.client() as client:
        # No setting says that the provider's word counts.
        assert enter(client) == "/?oidc=second"
        assert client.get(ME).status_code == 401
        wanted = client.get("/api/v1/auth/second").json()
        assert wanted == {"username": "wang", "second_factor": ["totp", "recovery"]}
        clock.advance(60_000_000)
        body = {"factor": "totp", "code": code_at(secret, clock.utc_us())}
        assert client.post("/api/v1/auth/second/code", json=body).status_code == 200
        assert client.get(ME).status_code == 200
        problem_of(client.get("/api/v1/auth/second"), 401, "unauthenticated")
    assert ("wang", True, {"way": "oidc", "factor": "totp"}) in entries(site, "login")


def test_the_provider_may_have_asked_for_it(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock, provider: OpenId
) -> None:
    settings = {
        **settings_of(provider, tmp_path),
        "oidc_factor_claim": "amr",
        "oidc_factor_values": "mfa, otp",
        "second_factor": "required",
    }
    with running_api(sqlite_index, tmp_path, clock=clock, **settings) as site:
        linked(site)
        with site.client() as client:
            provider.claims = {"amr": ["pwd"]}
            assert enter(client) == "/"
            assert client.get(ME).json()["must_enrol"]
            problem_of(client.get("/api/v1/rooms"), 403, "second-factor-required")
            provider.claims = {"amr": ["pwd", "otp"]}
            assert enter(client) == "/"
            assert not client.get(ME).json()["must_enrol"]
            assert client.get("/api/v1/rooms").status_code == 200
    with sqlite_index.read() as orm:
        factors = [row.factor for row in orm.scalars(select(Login).order_by(Login.created_us))]
        assert factors.count("provider") == 1


def test_linked_people_may_be_kept_from_passwords(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock, provider: OpenId
) -> None:
    settings = {**settings_of(provider, tmp_path), "oidc_passwords": False}
    body = {"username": "wang", "password": PASSWORD}
    with running_api(sqlite_index, tmp_path, clock=clock, **settings) as site:
        linked(site)
        with site.client() as client:
            for route in ("login", "token"):
                answer = client.post(f"/api/v1/auth/{route}", json=body)
                assert "省平台" in str(problem_of(answer, 403, "forbidden")["detail"])
                wrong = {**body, "password": "Wrong-horse-9"}
                problem_of(client.post(f"/api/v1/auth/{route}", json=wrong), 401, "unauthenticated")
            assert enter(client) == "/"
        # A provider that is gone locks no administrator out.
        provider.subject = "u-2"
        linked(site, "sec", Role.SECURITY_ADMIN)
        with site.as_user("sec"):
            pass


def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    good: dict[str, object] = {
        "data": tmp_path,
        "oidc_issuer": "https://id.example/realms/a",
        "oidc_client_id": CLIENT,
    }
    assert load_settings(**good).oidc_issuer
    for more in (
        {"oidc_issuer": "http://id.example"},
        {"oidc_issuer": "https://id.example/?a=b"},
        {"oidc_issuer": "id.example"},
        {"oidc_client_id": ""},
        {"oidc_scopes": "profile"},
        {"oidc_factor_claim": "amr"},
        {"oidc_factor_values": "otp"},
    ):
        with pytest.raises(ConfigError):
            load_settings(**{**good, **more})


def test_a_site_without_a_provider_has_none_of_it(api: RunningApi) -> None:
    with api.as_user("wang", Role.AUDITOR) as client:
        assert client.get("/api/v1/system").json()["oidc"] is None
        assert client.get("/api/v1/account").json()["oidc"] is None
        problem_of(client.post(START), 404, "not-found")
        problem_of(client.post(LINK, json={"password": PASSWORD}), 404, "not-found")
        problem_of(client.get("/api/v1/auth/oidc/callback"), 404, "not-found")
