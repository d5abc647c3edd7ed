"""A small HTTP/1.1 server for the status address and the ONVIF answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

log = logging.getLogger(__name__)

_MAX_BODY = 1 << 20
_READ_SECONDS = 10


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; ``path`` without its query."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer."""

    status: int
    content_type: str
    body: bytes


Handler = Callable[[HttpRequest], Awaitable[HttpAnswer]]


async def serve_http(handler: Handler, host: str, port: int) -> asyncio.Server:
    """Listen on ``host``:``port`` (0: a free one); one request a connection."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                request = await _read(reader)
            answer = await handler(request)
        except (ValueError, asyncio.IncompleteReadError, TimeoutError, OSError):
            answer = HttpAnswer(400, "text/plain", b"bad request\n")
        writer.write(_head(answer) + answer.body)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            log.debug("a client left before its answer")

    return await asyncio.start_server(connected, host, port)


async def _read(reader: asyncio.StreamReader) -> HttpRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= _MAX_BODY:
        raise ValueError("the body is too large")
    body = await reader.readexactly(size)
    return HttpRequest(method, target.partition("?")[0], body)


def _head(answer: HttpAnswer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
