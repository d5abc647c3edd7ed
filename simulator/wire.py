"""RTSP messages and Digest authentication. Pure."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

MAX_HEAD = 16_384
_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class BadMessage(ValueError):
    """What came is not RTSP; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One RTSP request. Header names are in lower case."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


def take_request(buffer: bytearray) -> Request | None:
    """Take one whole request out of ``buffer``; None if more must come.

    Interleaved packets (receiver reports) in front of it are thrown away.
    Raises ``BadMessage``.
    """
    while buffer[:1] == b"$":
        size = 4 + int.from_bytes(buffer[2:4])
        if len(buffer) < max(size, 4):
            return None
        del buffer[:size]
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise BadMessage("the head of a request is too long")
        return None
    try:
        first, *lines = bytes(buffer[:end]).decode("utf-8").split("\r\n")
        method, url, version = first.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = int(headers.get("content-length", "0"))
    except ValueError:
        raise BadMessage("a request's head cannot be read") from None
    if not version.startswith("RTSP/1.") or not 0 <= body <= MAX_HEAD:
        raise BadMessage("not an RTSP/1.0 request")
    if len(buffer) < end + 4 + body:
        return None
    del buffer[: end + 4 + body]
    return Request(method, url, headers)


def answer(status: int, cseq: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Give an answer as bytes. A header that is there more than once has a line for each."""
    if body:
        headers = {**headers, "Content-Length": str(len(body))}
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {cseq}"]
    lines += [f"{k}: {line}" for k, value in headers.items() for line in value.split("\n")]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass(frozen=True, slots=True)
class Transport:
    """What a client asks for in SETUP: a pair of channels of the connection, or of UDP ports."""

    tcp: bool
    pair: tuple[int, int]


def choose_transport(header: str, free_channel: int) -> Transport | None:
    """Give the first offer that can be served (unicast, TCP or UDP); None if there is none."""
    for offer in header.split(","):
        profile, *options = [part.strip() for part in offer.split(";")]
        values = dict(option.partition("=")[::2] for option in options)
        if "multicast" in values or values.get("mode", "play").strip('"').lower() != "play":
            continue
        if profile.upper() == "RTP/AVP/TCP":
            pair = _pair(values.get("interleaved", f"{free_channel}-{free_channel + 1}"))
            if pair and max(pair) < 256:
                return Transport(True, pair)
        elif profile.upper() in ("RTP/AVP", "RTP/AVP/UDP"):
            pair = _pair(values.get("client_port", ""))
            if pair and min(pair) > 0 and max(pair) < 65_536:
                return Transport(False, pair)
    return None


def _pair(text: str) -> tuple[int, int] | None:
    first, _, second = text.partition("-")
    if not first.isdecimal() or (second and not second.isdecimal()):
        return None
    return int(first), int(second) if second else int(first) + 1


MD5, SHA256 = "MD5", "SHA-256"


def challenge(realm: str, nonce: str, algorithm: str = MD5) -> str:
    """Give the header that asks for Digest authentication."""
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}'


def is_basic_authorized(header: str, *, user: str, password: str) -> bool:
    """Check an Authorization header of the Basic scheme, as old cameras still want it."""
    scheme, _, coded = header.partition(" ")
    expected = base64.b64encode(f"{user}:{password}".encode()).decode()
    return scheme.lower() == "basic" and hmac.compare_digest(expected, coded.strip())


def is_authorized(
    header: str,
    method: str,
    *,
    realm: str,
    nonce: str,
    user: str,
    password: str,
    algorithms: tuple[str, ...] = (MD5,),
) -> bool:
    """Check an Authorization header (RFC 2617 and 7616, with or without qop=auth)."""
    scheme, _, rest = header.partition(" ")
    given = {name: quoted or bare for name, quoted, bare in _PAIR.findall(rest)}
    if scheme.lower() != "digest" or given.get("nonce") != nonce or given.get("username") != user:
        return False
    algorithm = given.get("algorithm", MD5)
    if algorithm not in algorithms:
        return False
    a1 = _digest(algorithm, f"{user}:{realm}:{password}")
    a2 = _digest(algorithm, f"{method}:{given.get('uri', '')}")
    middle = nonce
    if given.get("qop") == "auth":
        middle = f"{nonce}:{given.get('nc', '')}:{given.get('cnonce', '')}:auth"
    expected = _digest(algorithm, f"{a1}:{middle}:{a2}")
    return hmac.compare_digest(expected, given.get("response", "").lower())


def _digest(algorithm: str, text: str) -> str:
    if algorithm == SHA256:
        return hashlib.sha256(text.encode()).hexdigest()
    # What nearly all cameras speak.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
