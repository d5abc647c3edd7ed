"""Is it up, can it work, and what do its figures say. At the root, outside of the REST API."""

import ipaddress
import secrets
import threading
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text
from starlette.requests import HTTPConnection

from bidwitness import __version__
from bidwitness.api.deps import Parts, TheFront, ThePartsOf, signed_in
from bidwitness.api.security import Front
from bidwitness.errors import BidWitnessError, NotFound, Unauthenticated
from bidwitness.storage.measures import Measure, measures
from bidwitness.storage.store import open_store
from bidwitness.storage.tokens import PREFIX
from bidwitness.words import Role

router = APIRouter(tags=["health"])

# Whoever asks more often gets the last answer again: asking costs the store a request.
READY_US = 1_000_000
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Readiness:
    """Asks index and store whether they answer. One for the whole process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = open_store(parts.settings)
        self._lock = threading.Lock()
        self._at_us: int | None = None
        self._last: dict[str, bool] = {}

    def ask(self) -> dict[str, bool]:
        """Give whether each part answers."""
        with self._lock:
            now = self._parts.clock.monotonic_us()
            if self._at_us is None or now - self._at_us > READY_US:
                self._last = {"index": self._index(), "store": self._answers()}
                self._at_us = now
            return self._last

    def _index(self) -> bool:
        try:
            with self._parts.database.read() as orm:
                orm.execute(text("SELECT 1"))
        except BidWitnessError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            self._store.stat("ready")
        except NotFound:
            return True
        except BidWitnessError:
            return False
        return True


_making = threading.Lock()


def readiness_of(connection: HTTPConnection, parts: ThePartsOf) -> Readiness:
    state = connection.app.state
    with _making:
        if not hasattr(state, "readiness"):
            state.readiness = Readiness(parts)
    readiness = state.readiness
    assert isinstance(readiness, Readiness)
    return readiness


TheReadiness = Annotated[Readiness, Depends(readiness_of)]


@router.get("/health", include_in_schema=False)
def health() -> dict[str, str]:
    """The process is up."""
    return {"status": "up", "version": __version__}


@router.get("/ready", include_in_schema=False)
def ready(readiness: TheReadiness) -> Response:
    """Index and store answer (200), or one of them does not (503)."""
    parts = readiness.ask()
    said = {name: "answers" if answers else "does not answer" for name, answers in parts.items()}
    return JSONResponse(said, status_code=200 if all(parts.values()) else 503)


@router.get("/metrics", include_in_schema=False)
def metrics(connection: HTTPConnection, parts: ThePartsOf, front: TheFront) -> Response:
    """Figures for Prometheus: to this machine, with the token of the settings, or with one of a
    service account."""
    _check_reader(connection, parts, front)
    with parts.database.read() as orm:
        found = measures(orm, parts.clock.utc_us())
    return PlainTextResponse(render(found), media_type=METRICS_TYPE)


def _check_reader(connection: HTTPConnection, parts: Parts, front: Front) -> None:
    """A proxy on this machine asks from loopback for others: what it forwards needs the token."""
    headers = connection.headers
    forwarded = any(name in headers for name in ("x-forwarded-for", "forwarded", "via"))
    given = headers.get("authorization", "").removeprefix("Bearer ")
    if given.startswith(PREFIX) and Role.SERVICE in signed_in(connection, parts, front).roles:
        return
    if _is_loopback(front.address) and not forwarded:
        return
    wanted = parts.settings.metrics_token
    if wanted is None or not secrets.compare_digest(
        given.encode(), wanted.get_secret_value().encode()
    ):
        raise Unauthenticated(
            "Metrics are for this machine, for BIDWITNESS_METRICS_TOKEN, or for a service account."
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def render(found: list[Measure]) -> str:
    """Write measures in Prometheus's text format. Pure."""
    lines: list[str] = []
    told: set[str] = set()
    for measure in found:
        if measure.name not in told:
            told.add(measure.name)
            lines += [f"# HELP {measure.name} {measure.help}", f"# TYPE {measure.name} gauge"]
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in measure.labels)
        braced = f"{{{labels}}}" if labels else ""
        lines.append(f"{measure.name}{braced} {measure.value:.12g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
