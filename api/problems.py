"""The one place where errors become answers: problem+json of RFC 9457.

What a client sees is made of ``bidwitness.errors`` only. Anything else becomes a 500 with a
number that is also in the log, and nothing more.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import HTTPExceptionHandler
from starlette.websockets import WebSocketState

from bidwitness.errors import (
    BidWitnessError,
    Conflict,
    IndexUnavailable,
    InvalidInput,
    NotFound,
    TooMany,
    Unauthenticated,
)
from bidwitness.ids import new_id
from bidwitness.log import redact

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# A WebSocket is closed with this plus the HTTP status (4401, 4403, …).
CLOSE_BASE = 4000
MAX_FIELDS = 50


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build a problem+json answer. ``detail`` is redacted once more on its way out."""
    body: dict[str, object] = {
        "type": f"urn:bidwitness:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": status,
        "detail": redact(detail),
        "fields": {name: redact(why) for name, why in (fields or {}).items()},
    }
    return JSONResponse(
        body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def problem_of(error: BidWitnessError) -> JSONResponse:
    """Build the answer for an error of the tree. Log those that are this side's fault."""
    headers: dict[str, str] = {}
    if isinstance(error, TooMany) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="bidwitness"'
    if error.status >= 500:
        logger.error("refused: %s", error.detail, extra={"facts": {"kind": error.kind}})
    return problem(error.status, error.kind, error.detail, fields=error.fields, headers=headers)


def unknown_problem(error: BaseException) -> JSONResponse:
    """Log ``error`` under a number and answer with that number only."""
    number = new_id()
    logger.error("unexpected error %s", number, exc_info=error)
    return problem(
        500,
        "internal",
        f"Something went wrong here. Tell the operator this number: {number}.",
    )


def from_validation(errors: Sequence[Mapping[str, object]]) -> InvalidInput:
    """Name the fields of a request that FastAPI refused, never their values."""
    fields: dict[str, str] = {}
    for item in errors[:MAX_FIELDS]:
        place = item.get("loc")
        parts = [str(part) for part in place] if isinstance(place, Sequence) else []
        if item.get("type") == "json_invalid" or len(parts) < 2:
            fields[parts[0] if parts else "body"] = "is not readable as JSON of the right form"
            continue
        fields[".".join(parts[1:])[:120]] = str(item.get("msg", "is wrong"))[:300]
    return InvalidInput(f"Not accepted: {', '.join(fields)}.", fields=fields)


def translate(error: Exception) -> BidWitnessError | None:
    """Give the error of the tree that a library's error stands for, if there is one."""
    match error:
        case BidWitnessError():
            return error
        case RequestValidationError() | WebSocketRequestValidationError():
            return from_validation(error.errors())
        case StaleDataError():
            return Conflict("Somebody else changed this at the same moment. Load it again.")
        case IntegrityError():
            return Conflict("That clashes with something that exists already. Load it again.")
        case DataError():
            return InvalidInput("A value is outside of what can be stored.")
        case PoolTimeout():
            return IndexUnavailable("The index is too busy to answer. Try again in a moment.")
        case _:
            return None


def _from_http(error: HTTPException) -> JSONResponse:
    """The framework's own refusals: no such address, wrong method, unreadable body."""
    if error.status_code == 404:
        return problem_of(NotFound("There is nothing at this address."))
    if error.status_code == 400:
        return problem_of(InvalidInput("The request's body cannot be read."))
    kinds = {405: "method-not-allowed", 408: "request-timeout", 415: "unsupported-media-type"}
    return problem(
        error.status_code,
        kinds.get(error.status_code, "refused"),
        str(error.detail),
        headers=error.headers,
    )


def answer_for(error: Exception) -> JSONResponse:
    """Build the one answer for any error."""
    known = translate(error)
    if known is not None:
        return problem_of(known)
    if isinstance(error, HTTPException):
        return _from_http(error)
    return unknown_problem(error)


async def refuse_socket(websocket: WebSocket, error: Exception) -> None:
    """End a WebSocket: before it is accepted with the problem as the HTTP answer."""
    answer = answer_for(error)
    unopened = websocket.application_state is WebSocketState.CONNECTING
    if unopened and "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(answer)
    else:
        await websocket.close(code=CLOSE_BASE + answer.status_code)


def install(app: FastAPI) -> None:
    """Make every error that leaves a route end here."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await refuse_socket(connection, error)
            return None
        return answer_for(error)

    for kind in (
        BidWitnessError,
        HTTPException,
        RequestValidationError,
        WebSocketRequestValidationError,
        StaleDataError,
        IntegrityError,
        DataError,
        PoolTimeout,
    ):
        app.add_exception_handler(kind, cast(HTTPExceptionHandler, handle))
