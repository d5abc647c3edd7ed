"""What people hold in their hands: a telephone that makes codes, a security key that signs."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
import httpx
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.api import PASSWORD

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ACCOUNT = "/api/v1/account"


def code_at(secret: str, utc_us: int, steps: int = 0) -> str:
    """Give the code that a telephone shows, some steps of half a minute off."""
    return pyotp.TOTP(secret).generate_otp(utc_us // 30_000_000 + steps)


def enrol_totp(client: httpx.Client, utc_us: int) -> tuple[str, list[str]]:
    """Set up an authenticator for who is signed in; give its secret and the recovery codes."""
    begun = client.post(f"{ACCOUNT}/totp", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    secret: str = begun.json()["secret"]
    body = {"code": code_at(secret, utc_us)}
    confirmed = client.post(f"{ACCOUNT}/totp/confirm", json=body)
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class SoftKey:
    """A security key in software. What is given to the methods is what is wrong with it."""

    origin: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0

    def register(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """Answer ``navigator.credentials.create``."""
        numbers = self.private.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], ATTESTED, wrong) + attested
        statement = {"fmt": wrong.get("fmt", "none"), "attStmt": wrong.get("statement", {})}
        return self._answer(
            {
                "clientDataJSON": _text(self._client("webauthn.create", options, wrong)),
                "attestationObject": _text(cbor2.dumps({**statement, "authData": data})),
                "transports": ["usb"],
            }
        )

    def sign(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """Answer ``navigator.credentials.get``."""
        data = self._data(options["rpId"], 0, wrong)
        client = self._client("webauthn.get", options, wrong)
        signed = data + hashlib.sha256(client).digest()
        signature = self.private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": _text(client),
                "authenticatorData": _text(data),
                "signature": _text(signature),
            }
        )

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": _text(self.id),
            "rawId": _text(self.id),
            "type": "public-key",
            "response": response,
        }

    def _data(self, site: str, flags: int, wrong: dict[str, Any]) -> bytes:
        self.count = wrong.get("count", self.count + 1)
        flags |= PRESENT | (VERIFIED if wrong.get("verified", True) else 0)
        site = wrong.get("site", site)
        return hashlib.sha256(site.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, options: dict[str, Any], wrong: dict[str, Any]) -> bytes:
        said = {
            "type": wrong.get("type", kind),
            "challenge": wrong.get("challenge", options["challenge"]),
            "origin": wrong.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(said).encode()
