"""Where the API listens, and what it refuses to listen on."""

import errno
import socket
import ssl

from bidwitness.api.security import is_loopback
from bidwitness.config import Settings
from bidwitness.errors import ConfigError

BACKLOG = 256
# What waits in the kernel for a slow client is footage that ages unseen: for live viewers it must be
# little, so that they are soon known to be behind. Connections take it over from the listener.
UNSENT_BYTES = 128 * 1024


def check_binding(settings: Settings) -> None:
    """Refuse to be reachable from other machines in clear. Pure but for looking at two files.

    Raises ``ConfigError`` naming the fix.
    """
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ConfigError("Set BIDWITNESS_TLS_CERT and BIDWITNESS_TLS_KEY both, or neither.")
    for name, path in (("TLS_CERT", settings.tls_cert), ("TLS_KEY", settings.tls_key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"BIDWITNESS_{name}: there is no file {path}.")
    guarded = settings.tls_cert is not None or settings.behind_proxy
    if not is_loopback(settings.host) and not guarded:
        raise ConfigError(
            f"BIDWITNESS_HOST={settings.host} would send logins and footage over the network in "
            "clear. Set BIDWITNESS_TLS_CERT and BIDWITNESS_TLS_KEY, or put a TLS proxy in front "
            "and start with --behind-proxy, or listen on 127.0.0.1."
        )


def check_certificate(settings: Settings) -> None:
    """Raise ``ConfigError`` if certificate and key are not a pair that TLS can use."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"BIDWITNESS_TLS_CERT and BIDWITNESS_TLS_KEY cannot be used: {error.strerror or error}."
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one.

    Raises ``ConfigError`` if the port is taken, forbidden, or the address is not ours.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise ConfigError(f"BIDWITNESS_HOST={host} is not an address of this machine.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(_why(error, host, port)) from None
    return listener


def _why(error: OSError, host: str, port: int) -> str:
    if isinstance(error, PermissionError):
        return f"Port {port} is not allowed to this user. Choose one above 1023 by --port."
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is taken by another program. Stop that one, or choose another "
            "port by --port or BIDWITNESS_PORT."
        )
    return f"BIDWITNESS_HOST={host} cannot be listened on: {error.strerror}."


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Give the address people open."""
    scheme = "https" if settings.tls_cert is not None else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
