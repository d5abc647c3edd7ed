"""The border of the API: what every request passes before, and every answer after, its route.

Checks the host and the origin, bounds the body, adds the headers that keep a browser from doing
more than the pages need, and turns whatever is raised beyond the routes into one answer.
"""

import ipaddress
import logging
import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from bidwitness.api.problems import answer_for, refuse_socket
from bidwitness.config import Settings
from bidwitness.errors import Forbidden, TooLarge

logger = logging.getLogger(__name__)

COOKIE = "bidwitness_login"
# Neither opens anything: the password was right; this browser was signed in with before.
HALF_COOKIE = "bidwitness_half"
DEVICE_COOKIE = "bidwitness_device"
# The credential of a registered display: it opens the routes of ``api.display`` and nothing else.
DISPLAY_COOKIE = "bidwitness_display"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_SECONDS = 30
# `no-store` says it all; a shared cache that knows only HTTP/1.0-like rules still heeds `private`.
NOT_KEPT = "private, no-store"
# What a Host header may hold before it is repeated in an answer.
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Front:
    """How the client sees us (``scheme``, ``host`` with port), and where it is (``address``)."""

    scheme: str
    host: str
    address: str

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        return origin_of(self.scheme, self.host)


def front_of(connection: HTTPConnection, *, behind_proxy: bool) -> Front:
    """Read the front of a request. X-Forwarded-* counts only with ``behind_proxy``.

    Of a list, the last entry is the one our own proxy wrote; those before it may be invented.
    """
    headers = connection.headers
    scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
    host = headers.get("host", "")
    address = connection.client.host if connection.client else ""
    if behind_proxy:
        scheme = _last(headers, "x-forwarded-proto") or scheme
        host = _last(headers, "x-forwarded-host") or host
        address = _last(headers, "x-forwarded-for") or address
    return Front("https" if scheme in ("https", "wss") else "http", host.lower(), address[:64])


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rsplit(",", 1)[-1].strip()


def origin_of(scheme: str, host: str) -> str:
    """Give the origin as a browser writes it: without the scheme's own port."""
    return f"{scheme}://{host.lower().removesuffix(_DEFAULT_PORT[scheme])}"


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address (no port) can only be this machine. Pure."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_fault(front: Front, *, only_loopback: bool) -> str | None:
    """Say what is wrong with the Host header, if anything. Pure.

    A server on loopback that answered any name could be reached by a page of a stranger's
    domain that points at 127.0.0.1.
    """
    if not _HOST.fullmatch(front.host):
        return "The Host header is missing or malformed."
    name = re.sub(r":\d+$", "", front.host)
    if only_loopback and not is_loopback(name):
        return (
            "This server listens on this machine only and answers as localhost. "
            "Start it with --behind-proxy to serve another name."
        )
    return None


def origin_fault(
    method: str, front: Front, origin: str | None, fetch_site: str | None, has_cookie: bool
) -> str | None:
    """Say why a request may not come from where it comes from, if it may not. Pure.

    ``method`` is ``WEBSOCKET`` for a socket. Browsers name the origin of every unsafe request;
    a program with a Bearer token has none and needs none, for nobody else can make it send one.
    """
    if method in SAFE_METHODS:
        return None
    if origin is not None:
        if origin.lower() == front.origin:
            return None
        return "This request comes from a page of another site, and is refused."
    if fetch_site is not None:
        if fetch_site in ("same-origin", "none"):
            return None
        return "This request comes from a page of another site, and is refused."
    if has_cookie:
        return "With the login cookie, send an Origin header; or use a Bearer token."
    return None


def policy(front: Front) -> str:
    """Give the Content-Security-Policy of the pages: our own code, media as blobs, our sockets.

    Style attributes are allowed (the timeline places things by them), style elements are not.
    """
    sockets = f" ws://{front.host} wss://{front.host}" if _HOST.fullmatch(front.host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "style-src-attr 'unsafe-inline'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            f"connect-src 'self'{sockets}",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def security_headers(front: Front) -> dict[str, str]:
    """Give the headers that every answer carries unless its route chose otherwise. Pure."""
    headers = {
        "Cache-Control": NOT_KEPT,
        "Content-Security-Policy": policy(front),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    }
    if front.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class Guard:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._behind_proxy = settings.behind_proxy
        self._only_loopback = is_loopback(settings.host) and not settings.behind_proxy
        self._max_body = settings.max_body_kib * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        front = front_of(connection, behind_proxy=self._behind_proxy)
        connection.state.front = front
        answer = _Answer(send, security_headers(front))
        try:
            self._check(connection, front)
            if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
                receive = await bounded_body(connection.headers, receive, self._max_body)
            await self._app(scope, receive, answer.send)
        # The last border: a client gets an answer and a number whatever went wrong.
        except Exception as error:  # noqa: BLE001  # for that, whatever it is has to be caught
            await _refuse(error, scope, receive, answer)

    def _check(self, connection: HTTPConnection, front: Front) -> None:
        scope = connection.scope
        fault = host_fault(front, only_loopback=self._only_loopback) or origin_fault(
            scope["method"] if scope["type"] == "http" else "WEBSOCKET",
            front,
            connection.headers.get("origin"),
            connection.headers.get("sec-fetch-site"),
            COOKIE in connection.cookies or DISPLAY_COOKIE in connection.cookies,
        )
        if fault:
            raise Forbidden(fault)


async def _refuse(error: Exception, scope: Scope, receive: Receive, answer: "_Answer") -> None:
    if answer.started:
        raise error
    if scope["type"] == "websocket":
        await refuse_socket(WebSocket(scope, receive, answer.send), error)
    else:
        await answer_for(error)(scope, receive, answer.send)


class _Answer:
    """Adds headers to an answer as it starts, and remembers that it did."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.started = True
            present = MutableHeaders(raw=list(message.get("headers", ())))
            for name, value in self._headers.items():
                present.setdefault(name, value)
            message["headers"] = present.raw
        elif message["type"] in ("websocket.accept", "websocket.close"):
            self.started = True
        await self._send(message)


async def bounded_body(headers: Headers, receive: Receive, limit: int) -> Receive:
    """Read a request's body before its route runs, and give a ``receive`` that repeats it.

    Raises ``TooLarge`` at the first byte beyond ``limit``, announced or not, and a 408 if the
    body does not arrive in time.
    """
    too_large = TooLarge(f"The request is too large: at most {limit // 1024} KiB.")
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    ended: MutableMapping[str, object] | None = None
    with anyio.move_on_after(BODY_SECONDS) as waiting:
        while ended is None:
            message = await receive()
            if message["type"] == "http.disconnect":
                ended = message
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large
            if not message.get("more_body", False):
                ended = {"type": "http.request", "body": b"".join(parts), "more_body": False}
    if waiting.cancelled_caught:
        raise HTTPException(408, "The request's body did not arrive in time.")
    return _replay([ended] if ended else [], receive)


def _replay(messages: Iterable[MutableMapping[str, object]], receive: Receive) -> Receive:
    waiting = list(messages)

    async def next_message() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return next_message
