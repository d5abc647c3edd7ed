"""The witness as a service: add-checkpoint, and what monitors read."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError
from bidwitness.storage.witness.protocol import MAX_REQUEST, PATH
from bidwitness.storage.witness.rates import Rates
from bidwitness.storage.witness.witness import TEXT, Witness

log = logging.getLogger(__name__)

A_MINUTE = 300
AT_ONCE = 64
BODY_S = 10.0
STOP_GRACE_S = 5
_ORIGIN_HASH = re.compile("[0-9a-f]{64}", re.ASCII)


def create_app(witness: Witness, clock: Clock, *, a_minute: int = A_MINUTE) -> FastAPI:
    """Give the ASGI application of an opened witness."""
    app = FastAPI(title="BidWitness witness", openapi_url=None, docs_url=None, redoc_url=None)
    rates = Rates(clock, a_minute)

    @app.middleware("http")
    async def limit(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if not rates.take(request.client.host if request.client else ""):
            return PlainTextResponse("Too many requests.\n", 429, {"Retry-After": "5"})
        return await call_next(request)

    @app.post(PATH)
    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_body(request), BODY_S)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("The request did not come.\n", 408)
        if body is None:
            return PlainTextResponse("The request is too long.\n", 413)
        try:
            answer = await run_in_threadpool(witness.add_checkpoint, body)
        except (OSError, BidWitnessError) as error:
            log.error("nothing can be cosigned", extra={"facts": {"why": str(error)}})
            return PlainTextResponse("This witness cannot cosign at the moment.\n", 500)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    @app.get("/key")
    def key() -> PlainTextResponse:
        return PlainTextResponse(f"{witness.key}\n")

    @app.get("/{origin_hash}/checkpoint")
    def last(origin_hash: str) -> Response:
        found = witness.last(origin_hash) if _ORIGIN_HASH.fullmatch(origin_hash) else None
        if found is None:
            return PlainTextResponse("Nothing of this log was cosigned here.\n", 404)
        return Response(found, media_type=TEXT, headers={"Cache-Control": "no-store"})

    return app


async def _body(request: Request) -> bytes | None:
    """Read a body; give nothing for one that is too long."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_REQUEST:
            return None
    return bytes(parts)


def server_config(app: FastAPI, cert: str | None, key: str | None) -> uvicorn.Config:
    """Give uvicorn's settings: our logging, few at once, no name of its own."""
    return uvicorn.Config(
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
