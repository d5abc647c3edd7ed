"""Time-stamping authorities in this process: their tokens are real, only the network is not."""

import base64
from pathlib import Path

import httpx
from rfc3161_client import TimestampRequestBuilder
from support.clock import FakeClock

from bidwitness.storage.ledger.authority import Authority
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.timestamp.authority import TimeAuthority, make_authority


def stamped(authority: TimeAuthority, message: bytes) -> bytes:
    """Have a message stamped."""
    built = TimestampRequestBuilder().data(message).cert_request(cert_request=True).build()
    return authority.answer(built.as_bytes())


def policy_line(name: str, certificate: bytes, url: str = "") -> bytes:
    """Give the line of trust material."""
    return f"timestamp {name} {base64.b64encode(certificate).decode()} {url}\n".encode()


def opened_authority(folder: Path, clock: FakeClock) -> tuple[TimeAuthority, bytes]:
    """Make an authority; give it and its certificate."""
    seal = make_authority(folder, f"{folder.name}.example", 20, clock, SystemFiles())
    authority = TimeAuthority(folder, clock, SystemFiles(), lambda: True)
    authority.open()
    return authority, seal.der


def asking(authority: TimeAuthority, clock: FakeClock) -> Authority:
    """What asks this one, whatever the address."""

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(authority.answer(request.read())))

    return Authority(clock, httpx.MockTransport(respond))
