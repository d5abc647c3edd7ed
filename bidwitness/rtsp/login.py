"""Answers to an RTSP server's challenge: Basic (RFC 7617) and Digest (RFC 7616). Pure."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_PARAMETER = re.compile(r'([A-Za-z]+) *= *(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')
# Strongest first, as a client shall choose (RFC 7616, 3.7).
_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {
    "sha-256": hashlib.sha256,
    "md5": hashlib.md5,
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that a server offers. ``scheme`` and ``algorithm`` in lower case."""

    scheme: str
    algorithm: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Say whether we can answer it."""
        return self.scheme == "basic" or (self.scheme == "digest" and self.algorithm in _HASHES)

    @property
    def name(self) -> str:
        """Give what it is called in messages: ``digest-`` and an algorithm that is not MD5."""
        plain = self.scheme != "digest" or self.algorithm == "md5"
        return self.scheme if plain else f"digest-{self.algorithm}"


def read_challenge(header: str) -> Challenge:
    """Read the value of one ``WWW-Authenticate``."""
    scheme, _, rest = header.strip().partition(" ")
    found = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    algorithm = found.get("algorithm", "MD5").lower() if scheme.lower() == "digest" else ""
    return Challenge(scheme.lower(), algorithm, found)


def choose(challenges: Sequence[Challenge]) -> Challenge | None:
    """Give the best that we can answer: Digest before Basic, SHA-256 before MD5."""
    order = (("digest", "sha-256"), ("digest", "md5"), ("basic", ""))
    return next(
        (c for wanted in order for c in challenges if (c.scheme, c.algorithm) == wanted), None
    )


class Login:
    """Answers one challenge for one user; counts how often, as Digest asks for."""

    def __init__(self, challenge: Challenge, username: str, password: str) -> None:
        self.challenge = challenge
        self._username = username
        self._password = password
        self._count = 0

    def header(self, method: str, url: str) -> str:
        """Give the value of ``Authorization`` for a request."""
        if self.challenge.scheme == "basic":
            login = f"{self._username}:{self._password}".encode()
            return f"Basic {base64.b64encode(login).decode()}"
        self._count += 1
        return self._digest(method, url, f"{self._count:08x}", secrets.token_hex(8))

    def _digest(self, method: str, url: str, count: str, own: str) -> str:
        def hashed(*parts: str) -> str:
            return _HASHES[self.challenge.algorithm](":".join(parts).encode()).hexdigest()

        known = self.challenge.parameters
        realm, nonce = known.get("realm", ""), known.get("nonce", "")
        who = hashed(self._username, realm, self._password)
        what = hashed(method, url)
        said = {"username": self._username, "realm": realm, "nonce": nonce, "uri": url}
        if "auth" in [part.strip() for part in known.get("qop", "").split(",")]:
            said["response"] = hashed(who, nonce, count, own, "auth", what)
            more = f', qop=auth, nc={count}, cnonce="{own}"'
        else:
            said["response"] = hashed(who, nonce, what)
            more = ""
        if "algorithm" in known:
            more += f", algorithm={known['algorithm']}"
        if "opaque" in known:
            said["opaque"] = known["opaque"]
        return "Digest " + ", ".join(f'{name}="{_quoted(v)}"' for name, v in said.items()) + more


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
