"""Asks an OpenID provider: where it is to be asked, what it signs with, whom a code stands for.

What it answers is bounded in time and in size, and kept in memory for a while. No redirect is
followed, and no proxy of the environment is used.
"""

import json
import logging
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from bidwitness.api.limits import Tries
from bidwitness.api.oidc_tokens import (
    Endpoints,
    Expected,
    Key,
    UnknownKey,
    Untrusted,
    check_token,
    read_endpoints,
    read_keys,
    tells_factor,
)
from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError, TooMany
from bidwitness.storage.oidc_links import MAX_LABEL, Stranger
from bidwitness.words import SignInFault

logger = logging.getLogger(__name__)

MAX_ANSWER = 256 * 1024
SECOND = 1_000_000
# The description and the keys are asked for again after so long; the keys when a token names one
# that is not known, too, but strangers' tokens do not make us ask without pause.
KEPT_US = 3600 * SECOND
NEW_KEYS_US = 10 * SECOND
# Each holds a thread for as long as the provider takes: a slow one must not hold them all.
AT_ONCE = 4


class SignInFailed(Exception):
    """Nobody was signed in. ``fault`` is told to the person, ``why`` to the log."""

    def __init__(self, fault: SignInFault, why: str) -> None:
        super().__init__(why)
        self.fault = fault
        self.why = why


@dataclass(frozen=True, slots=True)
class Wish:
    """One sign-in, as it was begun: what must come back, and to where."""

    state: str
    nonce: str
    verifier: str
    back: str


@dataclass(frozen=True, slots=True)
class Named:
    """Whom the provider named, and whether it asked for a second factor."""

    stranger: Stranger
    factor: bool


def provider_of(settings: Settings, clock: Clock) -> "Provider | None":
    """Give the provider of the settings. Raises ``ConfigError`` for a file that cannot be read."""
    return Provider(settings, clock) if settings.oidc_issuer else None


class Provider:
    """The one provider of a site. Its methods raise ``SignInFailed`` and nothing else."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._secret = _secret(settings)
        self._trust = _trust(settings)
        self._places = Tries(AT_ONCE, "The provider is being asked by others.")
        self._lock = threading.Lock()
        self._endpoints: tuple[int, Endpoints] | None = None
        self._keys: tuple[int, tuple[Key, ...]] | None = None

    def address_for(self, wish: Wish) -> str:
        """Give the provider's page that a person is sent to."""
        with self._asking() as talk:
            endpoints = self._where(talk)
        address: str = prepare_grant_uri(
            endpoints.authorization,
            self._settings.oidc_client_id,
            "code",
            wish.back,
            self._settings.oidc_scopes,
            wish.state,
            nonce=wish.nonce,
            code_challenge=create_s256_code_challenge(wish.verifier),
            code_challenge_method="S256",
        )
        return address

    def whom(self, code: str, wish: Wish) -> Named:
        """Exchange a code, and give whom its token names once that has been checked."""
        settings = self._settings
        with self._asking() as talk:
            given = self._exchange(talk, code, wish)
            text, access = given.get("id_token"), given.get("access_token")
            if not isinstance(text, str):
                raise Untrusted("the answer holds no id token")
            expected = Expected(
                settings.oidc_issuer,
                settings.oidc_client_id,
                wish.nonce,
                access if isinstance(access, str) else None,
            )
            claims = self._checked(talk, text, expected)
        called = claims.get(settings.oidc_name_claim)
        label = called if isinstance(called, str) and called.strip() else claims["sub"]
        label = "".join(one for one in label if one.isprintable()).strip()[:MAX_LABEL]
        stranger = Stranger(settings.oidc_issuer, claims["sub"], label)
        told = tells_factor(claims, settings.oidc_factor_claim, settings.oidc_factors)
        return Named(stranger, told)

    def _checked(self, talk: "_Talk", text: str, expected: Expected) -> Mapping[str, Any]:
        now_s = self._clock.utc_us() // SECOND
        try:
            return check_token(text, self._known_keys(talk, KEPT_US), expected, now_s)
        except UnknownKey:
            return check_token(text, self._known_keys(talk, NEW_KEYS_US), expected, now_s)

    def _exchange(self, talk: "_Talk", code: str, wish: Wish) -> Mapping[str, Any]:
        endpoints = self._where(talk)
        body = prepare_token_request(
            "authorization_code", "", wish.back, code=code, code_verifier=wish.verifier
        )
        if self._secret is None:
            method = "none"
        else:
            method = "client_secret_post" if endpoints.secret_in_body else "client_secret_basic"
        auth = ClientAuth(self._settings.oidc_client_id, self._secret, method)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address, headers, body = auth.prepare("POST", endpoints.token, headers, body)
        return talk.ask("POST", address, headers, body)

    def _where(self, talk: "_Talk") -> Endpoints:
        now = self._clock.monotonic_us()
        with self._lock:
            kept = self._endpoints
        if kept is not None and now - kept[0] < KEPT_US:
            return kept[1]
        issuer = self._settings.oidc_issuer
        found = read_endpoints(
            talk.ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration"), issuer
        )
        with self._lock:
            self._endpoints = (now, found)
        return found

    def _known_keys(self, talk: "_Talk", younger_us: int) -> tuple[Key, ...]:
        now = self._clock.monotonic_us()
        with self._lock:
            kept = self._keys
        if kept is not None and now - kept[0] < younger_us:
            return kept[1]
        found = read_keys(talk.ask("GET", self._where(talk).keys))
        with self._lock:
            self._keys = (now, found)
        return found

    @contextmanager
    def _asking(self) -> Iterator["_Talk"]:
        """Take a place at the provider, and turn whatever goes wrong into ``SignInFailed``."""
        try:
            with (
                self._places,
                httpx.Client(verify=self._trust, follow_redirects=False, trust_env=False) as client,
            ):
                yield _Talk(client, self._settings.oidc_seconds)
        except TooMany as error:
            raise SignInFailed(SignInFault.BUSY, error.detail) from None
        except Untrusted as error:
            raise SignInFailed(SignInFault.UNTRUSTED, str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SignInFailed(SignInFault.UNREACHABLE, type(error).__name__) from None


class _Talk:
    """What one sign-in asks of the provider: all of it within one time."""

    def __init__(self, client: httpx.Client, seconds: float) -> None:
        self._client = client
        # The network's time is the machine's own, whatever clock the decisions go by.
        self._clock = SystemClock()
        self._until = self._clock.monotonic_us() + round(seconds * SECOND)

    def ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Mapping[str, Any]:
        """Give the JSON object at an address. Raises ``SignInFailed``, ``Untrusted``, ``HTTPError``."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        wait = httpx.Timeout(self._left())
        read = bytearray()
        with self._client.stream(
            method, address, headers=sent, content=body, timeout=wait
        ) as answer:
            # As it comes over the wire: nothing small is blown up into something large.
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise Untrusted("the answer is compressed, which was not asked for")
            for piece in answer.iter_raw():
                read += piece
                if len(read) > MAX_ANSWER:
                    raise Untrusted("the answer is too large")
                self._left()
            status = answer.status_code
        if status >= 500:
            raise SignInFailed(SignInFault.UNREACHABLE, f"the provider answered {status}")
        if status != 200:
            raise SignInFailed(SignInFault.REFUSED, f"the provider answered {status}")
        try:
            found = json.loads(bytes(read))
        except (ValueError, RecursionError):
            raise Untrusted("the answer is no JSON") from None
        if not isinstance(found, dict):
            raise Untrusted("the answer is no JSON object")
        return found

    def _left(self) -> float:
        left = (self._until - self._clock.monotonic_us()) / SECOND
        if left <= 0:
            raise SignInFailed(SignInFault.UNREACHABLE, "the provider took too long")
        return left


def _secret(settings: Settings) -> str | None:
    path = settings.oidc_client_secret_file
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"BIDWITNESS_OIDC_CLIENT_SECRET_FILE cannot be read: {type(error).__name__}."
        ) from None
    if not lines or not lines[0].strip():
        raise ConfigError("BIDWITNESS_OIDC_CLIENT_SECRET_FILE is empty.")
    return lines[0].strip()


def _trust(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(
            cafile=str(settings.oidc_ca) if settings.oidc_ca else None
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"BIDWITNESS_OIDC_CA cannot be read: {type(error).__name__}.") from None
