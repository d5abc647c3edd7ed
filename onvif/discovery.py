"""Search the network for ONVIF devices by WS-Discovery. Runs in the child process only.

Messages are the library's; the sockets are ours, as the library's own never read the answer of a
host that was asked directly, and spin while they wait.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from select import select
from urllib.parse import unquote, urlsplit

from wsdiscovery import QName  # type: ignore[import-untyped]  # published without types
from wsdiscovery.actions.probe import (  # type: ignore[import-untyped]  # as above
    constructProbe,
)
from wsdiscovery.message import (  # type: ignore[import-untyped]  # as above
    createSOAPMessage,
    parseSOAPMessage,
)

from bidwitness.clock import Clock
from bidwitness.onvif.devices import FoundDevice

GROUP, PORT = "239.255.255.250", 3702
TYPE = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
MAX_DEVICES = 500
MAX_ANSWER = 65_536
# UDP loses packets: everybody is asked again after a moment.
ASK_AGAIN_US = 700_000


def search(
    clock: Clock, seconds: int, host: str | None = None, port: int | None = None
) -> list[FoundDevice]:
    """Ask all networks of this machine, or one host, and listen for ``seconds``."""
    place = (host or GROUP, port or PORT)
    message = createSOAPMessage(constructProbe([TYPE], []))
    data = message if isinstance(message, bytes) else message.encode()
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in _sockets(everywhere=host is None)]
        found = set(_ask(sockets, data, place, clock, seconds * 1_000_000))
    return sorted(found, key=lambda device: device.address)


def _sockets(*, everywhere: bool) -> Iterator[socket.socket]:
    """Give a socket for each network of this machine, or one for a host asked directly."""
    indexes = [index for index, _ in socket.if_nameindex()] if everywhere else [0]
    for index in indexes:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        if everywhere:
            out = struct.pack("=4s4si", bytes(4), bytes(4), index)
            with suppress(OSError):  # a network that cannot multicast is not searched
                one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, out)
        yield one


def _ask(
    sockets: list[socket.socket], data: bytes, place: tuple[str, int], clock: Clock, for_us: int
) -> Iterator[FoundDevice]:
    until = clock.monotonic_us() + for_us
    ask_at: int | None = clock.monotonic_us()
    given = 0
    while (left := until - clock.monotonic_us()) > 0 and given < MAX_DEVICES:
        if ask_at is not None and clock.monotonic_us() >= ask_at:
            for one in sockets:
                with suppress(OSError):  # a network that is down is not searched
                    one.sendto(data, place)
            ask_at = clock.monotonic_us() + ASK_AGAIN_US if given == 0 else None
        for one in select(sockets, [], [], min(left / 1_000_000, 0.2))[0]:
            with suppress(OSError):
                for device in read_answer(one.recv(MAX_ANSWER)):
                    given += 1
                    yield device


def read_answer(data: bytes) -> list[FoundDevice]:
    """Read the devices out of one answer; none, if it is not one. Pure."""
    if b"<!" in data:  # no answer has entities; they could grow without end
        return []
    try:
        envelope = parseSOAPMessage(data, "")
        matches = envelope.getProbeResolveMatches() if envelope is not None else []
        found = [
            device_of(match.getXAddrs(), [str(scope.getValue()) for scope in match.getScopes()])
            for match in matches
        ]
    except (AttributeError, LookupError, ValueError, TypeError):
        return []  # what the library trips over when a stranger answers something else
    return [device for device in found if device is not None]


def device_of(addresses: Iterable[str], scopes: Iterable[str]) -> FoundDevice | None:
    """Make a device of what it announced: its first address, its name and hardware. Pure."""
    plain = [a for a in addresses if urlsplit(a).scheme in ("http", "https")]
    if not plain:
        return None
    # A device on two networks announces IPv6 too; people type IPv4.
    address = next((a for a in plain if "[" not in a), plain[0])
    said: dict[str, str] = {}
    for scope in scopes:  # onvif://www.onvif.org/name/Front%20door
        kind, _, value = scope.rpartition("onvif.org/")[2].partition("/")
        said.setdefault(kind, unquote(value))
    return FoundDevice(address[:200], said.get("name", "")[:120], said.get("hardware", "")[:120])
