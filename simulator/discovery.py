"""Answers WS-Discovery probes for the virtual cameras."""

import asyncio
import logging
import socket
import struct
import uuid
from collections.abc import Sequence
from typing import cast
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from bidwitness.errors import Conflict
from bidwitness.simulator.device import Device
from bidwitness.simulator.soap import ENVELOPE

log = logging.getLogger(__name__)

GROUP, PORT = "239.255.255.250", 3702
_WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_DN = "http://www.onvif.org/ver10/network/wsdl"
_TYPE = "NetworkVideoTransmitter"


def answer_probe(data: bytes, devices: Sequence[Device]) -> list[bytes]:
    """Give one ProbeMatches for each device if ``data`` is a probe for cameras. Pure but for
    the fresh name of each message."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return []
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return []
    probe = root.find(f"{{{ENVELOPE}}}Body/{{{_WSD}}}Probe")
    message = root.findtext(f"{{{ENVELOPE}}}Header/{{{_WSA}}}MessageID")
    if probe is None or not message:
        return []
    types = (probe.findtext(f"{{{_WSD}}}Types") or "").split()
    if types and not any(kind.rpartition(":")[2] in (_TYPE, "Device") for kind in types):
        return []
    wanted = (probe.findtext(f"{{{_WSD}}}Scopes") or "").split()
    return [
        _match(device, message.strip())
        for device in devices
        if all(any(has.startswith(scope) for has in device.scopes) for scope in wanted)
    ]


def _match(device: Device, message: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{ENVELOPE}" '
        f'xmlns:a="{_WSA}" xmlns:d="{_WSD}" xmlns:dn="{_DN}"><s:Header>'
        f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
        f"<a:RelatesTo>{escape(message)}</a:RelatesTo>"
        f"<a:To>{_WSA}/role/anonymous</a:To><a:Action>{_WSD}/ProbeMatches</a:Action>"
        '<d:AppSequence InstanceId="1" MessageNumber="1"/></s:Header>'
        "<s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference>"
        f"<a:Address>urn:uuid:{device.serial}</a:Address></a:EndpointReference>"
        f"<d:Types>dn:{_TYPE}</d:Types><d:Scopes>{escape(' '.join(device.scopes))}</d:Scopes>"
        f"<d:XAddrs>{device.address}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
        "</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
    ).encode()


class _Responder(asyncio.DatagramProtocol):
    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for match in answer_probe(data, self._devices):
            if self._transport:
                self._transport.sendto(match, addr)

    def error_received(self, exc: Exception) -> None:
        log.debug("an answer to a probe was lost: %s", exc)


async def start_discovery(
    devices: Sequence[Device], host: str, port: int = PORT
) -> asyncio.DatagramTransport:
    """Answer probes to the multicast group on ``host``'s network, and to ``host`` itself.

    Raises ``Conflict`` if the port cannot be had.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        joined = struct.pack("=4s4s", socket.inet_aton(GROUP), socket.inet_aton(host))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise Conflict(f"Probes cannot be answered: {error.strerror}.") from None
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Responder(devices), sock=sock)
    return transport
