"""Live viewing: a WebSocket that passes on what the process `live` makes of a camera's stream.

Who may watch is asked before the first byte, and again every few seconds while it goes on.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import anyio
from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf, still_signed_in
from bidwitness.api.problems import CLOSE_BASE
from bidwitness.api.schemas import IdPath
from bidwitness.errors import BidWitnessError, Forbidden, Unauthenticated
from bidwitness.player.watching import live_verdict
from bidwitness.secrets import SecretBox
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.tickets import SCHEME, LiveTicket, LiveTickets
from bidwitness.words import Medium

router = APIRouter(prefix="/live", tags=["live"])
logger = logging.getLogger(__name__)

RECHECK_S = 3
# Nothing is sent that is so much later than the last yes, however long the next answer takes.
GRACE_S = 5
CONNECT_S = 3
# While more is on its way than we take, `live` cannot answer a farewell: it is not waited for.
CLOSE_S = 0.5
# What waits between the two processes waits unseen: let it be little.
QUEUED_MESSAGES = 4
MESSAGE_LIMIT = 64 << 20
TRY_AGAIN = 1013
FORBIDDEN = json.dumps({"state": "forbidden"})
OFFLINE = json.dumps({"state": "offline"})
# How long a viewer who takes nothing any more is waited for.
SAY_S = 2
# What sending to somebody who has gone raises.
_GONE = (WebSocketDisconnect, RuntimeError, OSError)


class Watching(Protocol):
    """A live viewing of one track, whoever's it is."""

    @property
    def parts(self) -> Parts: ...
    @property
    def stream_id(self) -> str: ...
    @property
    def medium(self) -> Medium: ...

    def check(self) -> None:
        """Raise ``Unauthenticated`` or ``Forbidden`` if it may not begin or not go on."""

    def note(self, action: str, *, allowed: bool = True, **facts: object) -> None:
        """Leave an audit entry."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One person's live viewing of one track."""

    parts: Parts
    user: CurrentUser
    stream_id: str
    medium: Medium

    def check(self) -> None:
        """Raise ``Unauthenticated`` or ``Forbidden`` if it may not begin or not go on."""
        now = self.parts.clock.utc_us()
        with self.parts.database.read() as orm:
            if not still_signed_in(self.parts, orm, self.user, now):
                raise Unauthenticated("The login has ended. Sign in again.")
            verdict = live_verdict(
                orm, self.user.id, self.stream_id, self.medium, now, self.user.whence
            )
        if not verdict.allowed:
            raise Forbidden(f"Not allowed: {verdict.reason} ({verdict.ground.value}).")

    def note(self, action: str, *, allowed: bool = True, **facts: object) -> None:
        """Leave an audit entry."""
        now = self.parts.clock.utc_us()
        with self.parts.database.write() as orm:
            leave_audit_entry(
                orm,
                self.user.who,
                action,
                f"stream:{self.stream_id}",
                now,
                allowed=allowed,
                facts={"medium": self.medium, **facts},
            )


@router.websocket("/{stream_id}")
async def live(
    websocket: WebSocket,
    stream_id: IdPath,
    user: Me,
    parts: ThePartsOf,
    track: Annotated[Medium, Query()] = Medium.PICTURE,
) -> None:
    """Live picture or sound of a stream; a text first, then fragments, texts of state between."""
    await watch(websocket, Sight(parts, user, stream_id, track))


async def watch(websocket: WebSocket, sight: Watching) -> None:
    """Show a sight from its first question to its end; what begins and ends is noted."""
    parts, sent = sight.parts, _Sent()
    try:
        await anyio.to_thread.run_sync(sight.check)
    except Forbidden as error:
        why = error.detail
        await anyio.to_thread.run_sync(lambda: sight.note("live.start", allowed=False, why=why))
        await websocket.accept()
        await _end(websocket, error)
        return
    await websocket.accept()
    # The first picture waits for both, so neither waits for the other.
    connecting = asyncio.create_task(_connect(sight))
    begun = parts.clock.monotonic_us()
    try:
        await anyio.to_thread.run_sync(lambda: sight.note("live.start"))
        await _relay(websocket, sight, await connecting, sent)
    finally:
        with anyio.CancelScope(shield=True):
            await _let_go(connecting)
            seconds = (parts.clock.monotonic_us() - begun) // 1_000_000
            await anyio.to_thread.run_sync(
                lambda: sight.note("live.stop", seconds=seconds, bytes=sent.bytes, why=sent.why)
            )


@dataclass
class _Sent:
    """``asked``: when the question was put that was last answered with yes (s of the loop)."""

    bytes: int = 0
    why: str = "left"
    asked: float = field(default_factory=anyio.current_time)
    over: bool = False

    @property
    def may_go_on(self) -> bool:
        return not self.over and anyio.current_time() - self.asked < GRACE_S


async def _connect(sight: Watching) -> ClientConnection | None:
    """Connect to the process `live` with a ticket; nothing, if it does not answer."""
    settings = sight.parts.settings
    ticket = await anyio.to_thread.run_sync(_ticket, sight)
    try:
        return await connect(
            f"ws://{settings.live_host}:{settings.live_port}/live",
            additional_headers={"Authorization": f"{SCHEME} {ticket}"},
            compression=None,
            max_size=MESSAGE_LIMIT,
            max_queue=QUEUED_MESSAGES,
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            proxy=None,
            user_agent_header=None,
        )
    except (OSError, TimeoutError, InvalidHandshake) as error:
        logger.warning("live does not answer", extra={"facts": {"why": str(error)}})
        return None


def _ticket(sight: Watching) -> str:
    """Give the ticket by which `live` lets us in."""
    box = SecretBox(sight.parts.settings.live_key_file)
    return LiveTickets(box, sight.parts.clock).issue(LiveTicket(sight.stream_id, sight.medium))


async def _let_go(connecting: "asyncio.Task[ClientConnection | None]") -> None:
    """Close the connection to `live`, however far it has come."""
    connecting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        upstream = await connecting
        if upstream is not None:
            await upstream.close()


async def _relay(
    websocket: WebSocket, sight: Watching, upstream: ClientConnection | None, sent: _Sent
) -> None:
    """Pass messages on until either side goes, or the right does."""
    if upstream is None:
        sent.why = "live does not answer"
        await _say(websocket, OFFLINE)
        await _close(websocket, TRY_AGAIN)
        return
    async with anyio.create_task_group() as tasks:

        async def until_it_ends(way: Callable[[], Awaitable[None]]) -> None:
            await way()
            tasks.cancel_scope.cancel()

        tasks.start_soon(until_it_ends, lambda: _pass_on(websocket, upstream, sent))
        tasks.start_soon(until_it_ends, lambda: _until_gone(websocket))
        tasks.start_soon(until_it_ends, lambda: _recheck(websocket, sight, sent))


async def _pass_on(websocket: WebSocket, upstream: ClientConnection, sent: _Sent) -> None:
    try:
        async for message in upstream:
            if isinstance(message, bytes):
                if not sent.may_go_on:
                    continue
                sent.bytes += len(message)
                await websocket.send_bytes(message)
            else:
                await websocket.send_text(message)
    except ConnectionClosed as error:
        logger.warning("live went away", extra={"facts": {"why": str(error)}})
    except _GONE:
        return
    sent.why = "live has ended"
    await _say(websocket, OFFLINE)
    await _close(websocket, TRY_AGAIN)


async def _until_gone(websocket: WebSocket) -> None:
    """Wait until the viewer goes; what she says is not listened to."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _recheck(websocket: WebSocket, sight: Watching, sent: _Sent) -> None:
    """Ask again and again, and end the viewing once the answer is no, or there is none."""
    while True:
        await anyio.sleep(RECHECK_S)
        asked = anyio.current_time()
        try:
            await anyio.to_thread.run_sync(sight.check)
            sent.asked = asked
        except BidWitnessError as error:
            sent.over, sent.why = True, error.kind
            await _end(websocket, error)
            return


async def _end(websocket: WebSocket, error: BidWitnessError) -> None:
    """Tell the viewer that it is over, and why."""
    if not isinstance(error, Forbidden | Unauthenticated):
        await _close(websocket, TRY_AGAIN)
        return
    await _say(websocket, FORBIDDEN)
    await _close(websocket, CLOSE_BASE + error.status)


async def _say(websocket: WebSocket, text: str) -> None:
    with anyio.move_on_after(SAY_S), contextlib.suppress(*_GONE):
        await websocket.send_text(text)


async def _close(websocket: WebSocket, code: int) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        with anyio.move_on_after(SAY_S), contextlib.suppress(*_GONE):
            await websocket.close(code)
