"""A small OpenID provider on loopback that can misbehave: a real server, real keys, real tokens.

It asks nobody for a password: whoever comes is ``subject``.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from support.api import served

CLIENT = "bidwitness"
# With what HTTP Basic must not mistake.
SECRET = "s3cret-and-more"
HOUR_S = 3600


def new_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


@dataclass
class OpenId:
    """The provider. Each field below ``keys`` is a way to be good or bad at the next sign-in."""

    issuer: str = ""
    subject: str = "u-1"
    name: str = "wang@centre"
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [new_key("k1")])
    # Instead of the first of the keys, which is published.
    signs_with: RSAKey | ECKey | bytes | None = None
    algorithm: str = "RS256"
    # Claims that are said instead; None: not said.
    claims: dict[str, Any] = field(default_factory=dict)
    description: dict[str, Any] = field(default_factory=dict)
    # At "authorize": the error it answers with. At "token": the answer's status.
    error: str = ""
    status: int = 200
    token_answer: bytes | None = None
    now_s: int = 0
    # Until this is set, nothing is answered at "token".
    waits: threading.Event | None = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    at_token: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.add_api_route("/.well-known/openid-configuration", self._describe)
        app.add_api_route("/authorize", self._authorize)
        app.add_api_route("/token", self._token, methods=["POST"])
        app.add_api_route("/jwks", self._jwks)
        return app

    def _describe(self) -> dict[str, Any]:
        self.asked.append("description")
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            **self.description,
        }

    def _jwks(self) -> dict[str, Any]:
        self.asked.append("keys")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        back, state = given["redirect_uri"], given["state"]
        if self.error:
            query = urlencode(
                {"error": self.error, "error_description": "<b>no</b>", "state": state}
            )
            return RedirectResponse(f"{back}?{query}", 303)
        code = secrets.token_urlsafe(16)
        self.codes[code] = given
        return RedirectResponse(f"{back}?{urlencode({'code': code, 'state': state})}", 303)

    async def _token(self, request: Request) -> Response:
        given = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        self.at_token.append({**given, "authorization": request.headers.get("authorization", "")})
        if self.waits is not None:
            await anyio.to_thread.run_sync(self.waits.wait, 20)
        if self.token_answer is not None or self.status != 200:
            body = self.token_answer or b'{"error": "server_error"}'
            return Response(body, self.status, media_type="application/json")
        asked = self.codes.pop(given.get("code", ""), None)
        if asked is None or not self._proved(given, asked):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(
            {"access_token": "at", "token_type": "Bearer", "id_token": self.sign(asked)}
        )

    def _proved(self, given: dict[str, str], asked: dict[str, str]) -> bool:
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        proof = base64.urlsafe_b64encode(
            hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        )
        return (
            self.at_token[-1]["authorization"] == f"Basic {basic}"
            and asked["code_challenge"] == proof.decode().rstrip("=")
            and asked["code_challenge_method"] == "S256"
            and given.get("redirect_uri") == asked["redirect_uri"]
        )

    def sign(self, asked: dict[str, str]) -> str:
        said: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": self.now_s,
            "exp": self.now_s + HOUR_S,
            "nonce": asked["nonce"],
            "preferred_username": self.name,
            **self.claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        key = self.signs_with or self.keys[0]
        header: dict[str, Any] = {"alg": self.algorithm, "kid": self.keys[0].kid}
        if isinstance(key, bytes) or self.algorithm == "none":
            return _by_hand(header, said, key if isinstance(key, bytes) else b"")
        header["kid"] = key.kid
        return jwt.encode(header, said, key, algorithms=[self.algorithm])


def _by_hand(header: dict[str, Any], said: dict[str, Any], secret: bytes) -> str:
    """Make what a stranger makes: no signature, or HMAC with what everybody knows."""
    text = b".".join(_base64(json.dumps(part).encode()) for part in (header, said))
    signature = hmac.digest(secret, text, "sha256") if secret else b""
    return (text + b"." + _base64(signature)).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@contextmanager
def running_openid() -> Iterator[OpenId]:
    """Serve a provider on a free port until the block ends."""
    provider = OpenId()
    with served(provider.app()) as base:
        provider.issuer = base
        yield provider


def settings_of(provider: OpenId, folder: Path) -> dict[str, object]:
    """Give the settings of a site that has this provider."""
    secret = folder / "oidc-secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret_file": secret,
        "oidc_name": "省平台",
    }
