"""Time-stamping authorities in this process: their tokens are real, only the network is not."""

import base64
from collections.abc import Callable

import httpx
from rfc3161_client import TimestampRequestBuilder

from bidwitness.storage.timestamp.authority import TimeAuthority

Behave = Callable[[httpx.Request], httpx.Response]


def stamped(authority: TimeAuthority, message: bytes) -> bytes:
    """Have a message stamped."""
    built = TimestampRequestBuilder().data(message).cert_request(cert_request=True).build()
    return authority.answer(built.as_bytes())


def policy_line(name: str, certificate: bytes, url: str = "") -> bytes:
    """Give the line of trust material."""
    return f"timestamp {name} {base64.b64encode(certificate).decode()} {url}\n".encode()
