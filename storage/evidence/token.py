"""Reading a time stamp (RFC 3161) with nothing but the standard library.

Only what it states and which bytes it is about: that somebody trusted has signed it is checked
elsewhere (``storage.ledger.tokens``), and said to be not checked where that cannot be done.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_TOKEN = 256 * 1024
_SEQUENCE, _INTEGER, _OCTETS, _OID, _TIME, _FIRST = 0x30, 0x02, 0x04, 0x06, 0x18, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")
_DIGESTS = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_GRANTED = (0, 1)


class BadToken(ValueError):
    """Not a time stamp, or not one of these bytes; says what does not fit."""


@dataclass(frozen=True)
class Token:
    """What a time stamp states: a digest, when it was there (µs UTC), and its number."""

    hash_name: str
    digest: bytes
    at: int
    serial: int

    def is_of(self, data: bytes) -> bool:
        """Say whether it is about these bytes."""
        return hashlib.new(self.hash_name, data).digest() == self.digest


def read_token(data: bytes) -> Token:
    """Read a TimeStampResp of unknown origin. Raises ``BadToken``."""
    if len(data) > MAX_TOKEN:
        raise BadToken("a time stamp is not so long")
    answer = _parts(_only(data, _SEQUENCE))
    status = _parts(_next(answer, _SEQUENCE))
    if int.from_bytes(_next(status, _INTEGER), "big") not in _GRANTED:
        raise BadToken("the time stamp was not granted")
    content = _parts(_next(answer, _SEQUENCE))
    if _next(content, _OID) != _SIGNED_DATA:
        raise BadToken("the time stamp is not signed")
    signed = _parts(_only(_next(content, _FIRST), _SEQUENCE))
    _next(signed, _INTEGER)
    next(signed, None)
    inner = _parts(_next(signed, _SEQUENCE))
    if _next(inner, _OID) != _TST_INFO:
        raise BadToken("what is signed is no time stamp")
    return _read_info(_only(_only(_next(inner, _FIRST), _OCTETS), _SEQUENCE))


def _read_info(data: bytes) -> Token:
    info = _parts(data)
    _next(info, _INTEGER)
    _next(info, _OID)
    imprint = _parts(_next(info, _SEQUENCE))
    algorithm = _next(_parts(_next(imprint, _SEQUENCE)), _OID)
    digest = _next(imprint, _OCTETS)
    serial = int.from_bytes(_next(info, _INTEGER), "big", signed=True)
    if algorithm not in _DIGESTS:
        raise BadToken("its hash is not known")
    return Token(_DIGESTS[algorithm], digest, _read_time(_next(info, _TIME)), serial)


def _read_time(data: bytes) -> int:
    text = data.decode("ascii", "replace")
    whole, _, fraction = text[:-1].partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(whole) != 14 or text[-1:] != "Z":
        raise BadToken("its time is none")
    try:
        at = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        seconds = int(at.timestamp())
    except (ValueError, OverflowError):
        raise BadToken("its time is none") from None
    return seconds * 1_000_000 + int((fraction + "000000")[:6])


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the elements of a DER value: tag and contents of each."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1 : at + 2], at + 2
        if tag & 0x1F == 0x1F or not length:
            raise BadToken("it is not DER")
        size = length[0]
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4:
                raise BadToken("it is not DER")
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        at = start + size
        if at > len(data):
            raise BadToken("it is cut short")
        yield tag, data[start:at]


def _next(parts: Iterator[tuple[int, bytes]], wanted: int) -> bytes:
    tag, value = next(parts, (-1, b""))
    if tag != wanted:
        raise BadToken("it is not built as a time stamp is")
    return value


def _only(data: bytes, wanted: int) -> bytes:
    """Give the contents of the one element there is."""
    parts = _parts(data)
    value = _next(parts, wanted)
    if next(parts, None) is not None:
        raise BadToken("something stands behind it")
    return value
