"""What the small services for strangers have in common: limits, sockets, uvicorn."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from bidwitness.clock import Clock
from bidwitness.errors import ConfigError
from bidwitness.storage.witness.rates import Rates

AT_ONCE = 64
BODY_S = 10.0
STOP_GRACE_S = 5


def limited_app(title: str, clock: Clock, a_minute: int) -> FastAPI:
    """Give an application that answers each address so many requests a minute."""
    app = FastAPI(title=title, openapi_url=None, docs_url=None, redoc_url=None)
    rates = Rates(clock, a_minute)

    @app.middleware("http")
    async def limit(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if not rates.take(request.client.host if request.client else ""):
            return PlainTextResponse("Too many requests.\n", 429, {"Retry-After": "5"})
        return await call_next(request)

    return app


async def read_body(request: Request, most: int) -> bytes | Response:
    """Read a body of at most so many bytes; give the answer to one that is too long or slow."""
    try:
        body = await asyncio.wait_for(_read(request, most), BODY_S)
    except (TimeoutError, ClientDisconnect):
        return PlainTextResponse("The request did not come.\n", 408)
    return PlainTextResponse("The request is too long.\n", 413) if body is None else body


async def _read(request: Request, most: int) -> bytes | None:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            return None
    return bytes(parts)


def run_service(app: FastAPI, listener: socket.socket, cert: Path | None, key: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C: our logging, few requests at once."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        limit_concurrency=AT_ONCE,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_GRACE_S,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one. Raises ``ConfigError``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on: {error.strerror}.") from None
    return listener
