"""The process ``bidwitness live``: live fragments for whoever holds a ticket of the API.

It listens where only the API reaches it, asks no database, and takes nobody's word but a ticket.
"""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError, Unauthenticated
from bidwitness.recorder.live_hub import Hub, Viewer
from bidwitness.recorder.tap import socket_path
from bidwitness.secrets import SecretBox
from bidwitness.tickets import SCHEME, LiveTicket, LiveTickets

log = logging.getLogger(__name__)

# What waits in sockets waits unseen: little of it, so that the viewer's own queue decides.
SEND_BUFFER = 128 * 1024
WRITE_LIMIT = 64 * 1024
CLOSE_S = 2


@dataclass
class LiveServer:
    """Serves live tracks. ``run_dir`` is where the workers' taps are."""

    run_dir: Path
    tickets: LiveTickets
    clock: Clock
    _hubs: dict[str, Hub] = field(default_factory=dict)
    _granted: dict[ServerConnection, LiveTicket] = field(default_factory=dict)

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse whoever has no ticket, before anything else."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme != SCHEME or urlsplit(request.path).path != "/live":
                raise Unauthenticated("A ticket is needed.")
            self._granted[connection] = self.tickets.take(text)
        except Unauthenticated as error:
            return connection.respond(401, f"{error.detail}\n")
        return None

    async def serve_viewer(self, connection: ServerConnection) -> None:
        """Send a viewer her track until she goes."""
        ticket = self._granted.pop(connection)
        own: socket.socket = connection.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        hub = self._hubs.get(ticket.stream_id)
        if hub is None:
            hub = Hub(socket_path(self.run_dir, ticket.stream_id), self.clock)
            self._hubs[ticket.stream_id] = hub
        viewer = hub.enter(ticket.medium)
        sending = asyncio.create_task(_send(connection, viewer))
        gone = asyncio.create_task(connection.wait_closed())
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            hub.leave(viewer)

    async def close(self) -> None:
        for hub in self._hubs.values():
            await hub.close()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[Server]:
        """Listen until the block ends. Raises ``ConfigError`` if the port cannot be had."""
        try:
            server = await serve(
                self.serve_viewer,
                host,
                port,
                process_request=self.check,
                compression=None,
                max_size=1024,
                write_limit=WRITE_LIMIT,
                close_timeout=CLOSE_S,
                server_header=None,
                logger=log,
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be listened on: {error}"
            raise ConfigError(
                f"Port {port} of {host} {why}. Choose another by BIDWITNESS_LIVE_PORT."
            ) from None
        try:
            yield server
        finally:
            server.close()
            await self.close()
            await server.wait_closed()


async def _send(connection: ServerConnection, viewer: Viewer) -> None:
    try:
        async for message in viewer.messages():
            await connection.send(message)
    except ConnectionClosed:
        log.debug("a live viewer has gone")


def run_live(settings: Settings) -> None:
    """Serve live streams until SIGTERM or Ctrl-C. Raises ``ConfigError`` if the port is taken."""
    asyncio.run(_serve(settings, SystemClock()))


async def _serve(settings: Settings, clock: Clock) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    tickets = LiveTickets(SecretBox(settings.live_key_file), clock)
    server = LiveServer(settings.run_dir, tickets, clock)
    async with server.listening(settings.live_bind, settings.live_port):
        log.info("live streams are served", extra={"facts": {"port": settings.live_port}})
        await stopping.wait()
