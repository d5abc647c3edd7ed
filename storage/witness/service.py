"""The witness as a service: add-checkpoint, and what monitors read."""

import logging
import re

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError
from bidwitness.storage.witness.protocol import MAX_REQUEST, PATH
from bidwitness.storage.witness.serving import limited_app, read_body
from bidwitness.storage.witness.witness import TEXT, Witness

log = logging.getLogger(__name__)

_ORIGIN_HASH = re.compile("[0-9a-f]{64}", re.ASCII)


def create_app(witness: Witness, clock: Clock, a_minute: int) -> FastAPI:
    """Give the ASGI application of an opened witness."""
    app = limited_app("BidWitness witness", clock, a_minute)

    @app.post(PATH)
    async def add_checkpoint(request: Request) -> Response:
        body = await read_body(request, MAX_REQUEST)
        if isinstance(body, Response):
            return body
        try:
            answer = await run_in_threadpool(witness.add_checkpoint, body)
        except (OSError, BidWitnessError) as error:
            log.error("nothing can be cosigned", extra={"facts": {"why": str(error)}})
            return PlainTextResponse("This witness cannot cosign at the moment.\n", 500)
        # Not as `media_type`: it would be given a charset, which the protocol does not have.
        return Response(answer.body, answer.status, {"Content-Type": answer.media_type})

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
