"""Addresses of cameras: a closed list of schemes, parsed by us before any library sees them.

A media library opens ``file:``, ``concat:``, ``subfile,`` and plain paths as well; an address
that a person typed must not become a way to read this machine's files or to talk to its services.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from bidwitness.errors import CameraError, InvalidInput

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "rtsph": 80, "rtspu": 554}
"""Plain, over TLS, tunnelled over HTTP, and with the media in datagrams (UDP)."""

DEVICE_PORTS = {"http": 80, "https": 443}
"""Of an ONVIF device."""

FIELD = "source_url"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
# The library keeps user name and password, percent-encoded, in 128 bytes.
_USERINFO_LIMIT = 127

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where a camera's stream is. ``host`` is a name or an address without brackets.

    ``path`` begins with ``/`` and includes the query. The password never shows in ``repr``.
    ``basic_in_clear``: somebody has allowed to send the login readable. ``unproven_certificate``:
    somebody has allowed a certificate that nobody vouches for.
    """

    scheme: str
    host: str
    port: int
    path: str
    username: str = ""
    password: str = field(default="", repr=False)
    basic_in_clear: bool = False
    unproven_certificate: bool = False

    def __str__(self) -> str:
        """Give the address without user name and password."""
        usual = {**DEFAULT_PORTS, **DEVICE_PORTS}[self.scheme]
        port = "" if self.port == usual else f":{self.port}"
        return f"{self.scheme}://{_bracketed(self.host)}{port}{self.path}"

    def with_login(self, username: str, password: str) -> "CameraAddress":
        """Give the same place for a user. Raises ``InvalidInput`` for what cannot be sent."""
        if ":" in username:
            # Neither Basic nor Digest could tell where it ends (RFC 7617, 2; RFC 7616, 3.4.2).
            raise InvalidInput(
                "RTSP knows no user name with a colon: give the camera another one.",
                fields={"username": "holds a colon"},
            )
        changed = replace(self, username=username, password=password)
        if len(changed.userinfo()) > _USERINFO_LIMIT:
            raise InvalidInput(
                "User name and password are too long for RTSP.", fields={"password": "too long"}
            )
        return changed

    def allowing(
        self, *, basic_in_clear: bool = False, unproven_certificate: bool = False
    ) -> "CameraAddress":
        """Give the same place with what somebody has allowed to do there."""
        return replace(
            self, basic_in_clear=basic_in_clear, unproven_certificate=unproven_certificate
        )

    def userinfo(self) -> str:
        """Give user name and password, percent-encoded, or an empty text."""
        if not self.username and not self.password:
            return ""
        return f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"

    def dial(self, host: str) -> str:
        """Give the URL to open, with ``host`` (the address that was checked) and the login."""
        scheme = "rtsps" if self.scheme == "rtsps" else "rtsp"
        login = self.userinfo()
        at = f"{login}@" if login else ""
        return f"{scheme}://{at}{_bracketed(host)}:{self.port}{self.path}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _wrong(why: str) -> InvalidInput:
    return InvalidInput(f"This is not the address of a camera: {why}.", fields={FIELD: why})


def parse_camera_address(text: str) -> CameraAddress:
    """Read an address such as ``rtsp://user:password@10.0.0.5:554/stream1``. Pure.

    Raises ``InvalidInput`` for any scheme but ``rtsp``, ``rtsps``, ``rtsph`` (RTSP over HTTP) and
    ``rtspu`` (media by UDP), and for what could be read in two ways.
    """
    return _parse(text, DEFAULT_PORTS)


def parse_device_address(text: str) -> CameraAddress:
    """Read the address of an ONVIF device: ``http://`` or ``https://``, or just a host and port.
    Pure.

    Raises ``InvalidInput`` as ``parse_camera_address`` does.
    """
    return _parse(text if "://" in text else f"http://{text}", DEVICE_PORTS)


def _parse(text: str, ports: Mapping[str, int]) -> CameraAddress:
    if len(text) > 2000 or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in text):
        raise _wrong("it holds spaces or control characters, or is too long")
    found = _URL.fullmatch(text)
    if found is None or found["scheme"].lower() not in ports:
        *most, last = (f"{scheme}://" for scheme in ports)
        raise _wrong(f"it must begin with {', '.join(most)} or {last}")
    scheme = found["scheme"].lower()
    login, _, place = found["authority"].rpartition("@")
    if "@" in found["rest"]:
        raise _wrong(
            "with an @ after the host it can be read in two ways; give user name and password in"
            " their own fields, or write / as %2F, # as %23, ? as %3F and @ as %40"
        )
    host, port = _host_and_port(place, ports[scheme])
    path, _, _ = found["rest"].partition("#")
    if not path.startswith("/"):
        path = f"/{path}"
    username, _, password = login.partition(":")
    # Whatever is not plain ASCII is sent encoded.
    path = quote(path, safe="/?%&=+,;:@!$'()*~._-[]")
    plain = CameraAddress(scheme, host, port, path)
    return plain.with_login(unquote(username), unquote(password))


def _host_and_port(place: str, default: int) -> tuple[str, int]:
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise _wrong("its host is not complete")
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            raise _wrong("its host is not an IPv6 address") from None
        port = tail[1:]
    else:
        host, _, port = place.partition(":")
        if not _NAME.fullmatch(host):
            raise _wrong("its host is neither a name nor an address")
    if not port:
        return host.lower(), default
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _wrong("its port is not a number from 1 to 65535")
    return host.lower(), int(port)


def is_reachable_place(address: IpAddress, *, allow_loopback: bool) -> bool:
    """Say whether a camera may have this address: not loopback, link-local or of no one host."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain: IpAddress = mapped or address
    if plain.is_loopback:
        return allow_loopback
    return not (
        plain.is_link_local or plain.is_unspecified or plain.is_multicast or plain.is_reserved
    )


def parse_any_address(text: str) -> CameraAddress:
    """Read an address that was stored: a stream's or a device's. Raises ``InvalidInput``."""
    if text.startswith(("http:", "https:")):
        return parse_device_address(text)
    return parse_camera_address(text)


def hosts_of(name: str) -> frozenset[str]:
    """Give a host's name and all addresses the system knows for it; they may be none."""
    name = name.strip("[]").lower()
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset((name,))
    return frozenset((name, *(str(item[4][0]).partition("%")[0] for item in found)))


def is_literal_host(host: str) -> bool:
    """Say whether a host is an address itself, so that nobody has to be asked for it. Pure."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def resolve_camera(address: CameraAddress, *, allow_loopback: bool) -> str:
    """Ask the system for the host's addresses; give the first one, which is the one to dial.

    Raises ``InvalidInput`` if any of them is refused (a name must not lead to two kinds of
    places), ``CameraError`` if the name is not known.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CameraError(f"The name {address.host} of the camera is not known.") from None
    hosts = [str(item[4][0]).partition("%")[0] for item in found]
    for host in hosts:
        if not is_reachable_place(ipaddress.ip_address(host), allow_loopback=allow_loopback):
            raise _wrong(f"{address.host} is a place inside this machine or of no single host")
        if not allow_loopback and _is_ours(host):
            raise _wrong(f"{address.host} is this machine itself")
    return hosts[0]


def _is_ours(host: str) -> bool:
    """Only an address of this machine can be bound to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
