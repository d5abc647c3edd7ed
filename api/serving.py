"""The process ``bidwitness api``: one uvicorn, its socket, the first administrator."""

import logging
import sys

import uvicorn

from bidwitness.api.app import create_app
from bidwitness.api.binding import address_of, check_binding, check_certificate, listen
from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.storage import people, places
from bidwitness.storage.index.database import Database, open_index, upgrade

logger = logging.getLogger(__name__)

# Live sockets and long downloads are cut then; a player connects again by itself.
STOP_GRACE_S = 5
# Nobody sends us large messages over a WebSocket.
SOCKET_MESSAGE = 64 * 1024


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises ``ConfigError`` for a refused or taken address, ``IndexUnavailable`` if the index does
    not answer at the start; later the API outlives its absence.
    """
    check_binding(settings)
    check_certificate(settings)
    clock = SystemClock()
    listener = listen(settings.host, settings.port)
    try:
        database = open_index(settings)
        upgrade(database)
        with database.write() as orm:
            places.ensure_site(orm, settings.site)
        told = first_password(database, clock)
        app = create_app(settings, database=database, clock=clock)
        server = uvicorn.Server(server_config(settings, app))
        # A person reads these two lines; everything else is a log line on stderr.
        if told:
            _say(told)
        _say(f"BidWitness listens at {address_of(settings, listener)}")
        server.run(sockets=[listener])
    finally:
        listener.close()


def server_config(settings: Settings, app: object) -> uvicorn.Config:
    """Give uvicorn's settings: our logging, our reading of the proxy's headers, no name of its own."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # FastAPI is an ASGI application
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=SOCKET_MESSAGE,
        timeout_graceful_shutdown=STOP_GRACE_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def first_password(database: Database, clock: Clock) -> str | None:
    """Make the first administrator if there is no user; give the line that tells the password."""
    with database.read() as orm:
        if people.has_users(orm):
            return None
    password = people.new_password()
    hashed = people.Passwords().hash(password)
    with database.write() as orm:
        made = people.create_first_administrator(orm, clock.utc_us(), hashed)
    if not made:
        return None
    return (
        f"First administrator: user {people.FIRST_ADMINISTRATOR}, password {password}\n"
        "It is shown this once and must be changed at the first login."
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
