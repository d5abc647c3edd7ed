"""A small REST client: what a program of the centre would write against the API."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from bidwitness.errors import BidWitnessError, Unavailable

POLL_S = 0.25
PAGE = 200


class ApiClient:
    """Speaks to one server as one user. Errors carry the server's own sentence.

    Raises ``Unavailable`` when the server does not answer, ``BidWitnessError`` for its problems.
    """

    def __init__(self, base: str) -> None:
        self._http = httpx.Client(
            base_url=base, headers={"Origin": base}, timeout=60, trust_env=False
        )
        self._base = base

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def login(self, username: str, password: str) -> None:
        self.post("auth/login", {"username": username, "password": password})

    def get(self, path: str, **query: str | int) -> Any:
        return self._send("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._send("POST", path, json=dict(body or {}))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("PATCH", path, json=dict(body))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("PUT", path, json=dict(body))

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def all(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Give the items of every page."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self.get(path, limit=PAGE, **query, **more)
            items.extend(page["items"])
            cursor = page.get("next_cursor")
            if not cursor:
                return items

    def download(self, path: str, write: Callable[[bytes], object]) -> int:
        """Hand the body to ``write`` piece by piece; give its bytes."""
        size = 0
        with self._http.stream("GET", f"/api/v1/{path}") as answer:
            if answer.is_error:
                answer.read()
                raise _problem(answer)
            for piece in answer.iter_bytes():
                write(piece)
                size += len(piece)
        return size

    def is_ready(self) -> bool:
        try:
            return self._http.get("/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _send(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, f"/api/v1/{path}", **more)
        except httpx.TransportError as error:
            raise Unavailable(f"{self._base} does not answer: {error}") from None
        if answer.is_error:
            raise _problem(answer)
        return answer.json() if answer.content else None


def _problem(answer: httpx.Response) -> BidWitnessError:
    try:
        body = answer.json()
        detail = str(body.get("detail") or body.get("title"))
    except ValueError:
        detail = answer.text[:200]
    return BidWitnessError(
        f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {detail}"
    )


def wait_for(what: str, ready: Callable[[], bool], seconds: float) -> None:
    """Return once ``ready()``. Raises ``Unavailable`` naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise Unavailable(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(POLL_S)
