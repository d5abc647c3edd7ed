"""The authority as a service: RFC 3161 over HTTP."""

import logging

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError
from bidwitness.storage.timestamp.answering import MAX_QUERY
from bidwitness.storage.timestamp.authority import TimeAuthority
from bidwitness.storage.witness.serving import limited_app, read_body

log = logging.getLogger(__name__)

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


def create_app(authority: TimeAuthority, clock: Clock, a_minute: int) -> FastAPI:
    """Give the ASGI application of an opened authority."""
    app = limited_app("BidWitness time stamps", clock, a_minute)

    @app.post("/")
    async def stamp(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != QUERY:
            return PlainTextResponse(f"Send {QUERY}.\n", 415)
        body = await read_body(request, MAX_QUERY)
        if isinstance(body, Response):
            return body
        try:
            answer = await run_in_threadpool(authority.answer, body)
        except (OSError, BidWitnessError) as error:
            log.error("nothing can be stamped", extra={"facts": {"why": str(error)}})
            return PlainTextResponse("No time stamp can be given at the moment.\n", 500)
        return Response(answer, media_type=REPLY)

    return app
