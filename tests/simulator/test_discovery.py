"""Probes are answered with each camera's address, as a discovery library asks and reads."""

import asyncio
import socket
from urllib.parse import unquote

import pytest
from wsdiscovery import QName, Scope
from wsdiscovery.actions.probe import constructProbe
from wsdiscovery.message import createSOAPMessage, parseSOAPMessage

from bidwitness.simulator.device import Device
from bidwitness.simulator.discovery import GROUP, answer_probe, start_discovery
from bidwitness.simulator.spec import CameraSpec

DEVICES = [
    Device(CameraSpec("cam-1", title="开标室 1"), "http://127.0.0.1:1001", {}, lambda: 0),
    Device(CameraSpec("cam-2"), "http://127.0.0.1:1002", {}, lambda: 0),
]
CAMERA = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
PRINTER = QName("http://schemas.example.org/print", "Printer")


def probe(types: list[QName], scopes: list[Scope]) -> bytes:
    text = createSOAPMessage(constructProbe(types, scopes))
    return text if isinstance(text, bytes) else text.encode()


def addresses(answers: list[bytes]) -> list[str]:
    found = []
    for answer in answers:
        envelope = parseSOAPMessage(answer, "127.0.0.1")
        for match in envelope.getProbeResolveMatches():
            found += match.getXAddrs()
    return found


BOTH = ["http://127.0.0.1:1001/onvif/device_service", "http://127.0.0.1:1002/onvif/device_service"]


@pytest.mark.parametrize(
    ("types", "scopes", "found"),
    [
        ([], [], BOTH),
        ([CAMERA], [], BOTH),
        ([PRINTER], [], []),
        ([CAMERA], [Scope("onvif://www.onvif.org/name/cam-2")], BOTH[1:]),
        ([CAMERA], [Scope("onvif://www.onvif.org/hardware/Virtual%20Camera")], BOTH),
        ([], [Scope("onvif://www.onvif.org/name/nobody")], []),
    ],
)
def test_a_probe_is_answered_by_those_it_asks_for(
    types: list[QName], scopes: list[Scope], found: list[str]
) -> None:
    assert addresses(answer_probe(probe(types, scopes), DEVICES)) == found


def test_an_answer_says_who_it_is_and_what_it_answers() -> None:
    asked = probe([CAMERA], [])
    first, again = (answer_probe(asked, DEVICES)[0] for _ in range(2))
    envelope = parseSOAPMessage(first, "127.0.0.1")
    (match,) = envelope.getProbeResolveMatches()
    assert envelope.getRelatesTo().encode() in asked
    assert match.getEPR() == parseSOAPMessage(again, "").getProbeResolveMatches()[0].getEPR()
    assert CAMERA.getFullname() in [kind.getFullname() for kind in match.getTypes()]
    # The library undoes some of the quoting by itself.
    said = [unquote(scope.getValue()) for scope in match.getScopes()]
    assert "onvif://www.onvif.org/name/开标室 1" in said


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"<a/>", b"<!DOCTYPE a><a/>"])
def test_what_is_no_probe_is_not_answered(data: bytes) -> None:
    assert answer_probe(data, DEVICES) == []


@pytest.mark.parametrize("to", ["127.0.0.1", GROUP])
def test_probes_are_answered_over_the_loopback_network(to: str) -> None:
    async def run() -> list[bytes]:
        transport = await start_discovery(DEVICES, "127.0.0.1", 0)
        port = transport.get_extra_info("sockname")[1]
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind(("127.0.0.1", 0))
            here = socket.inet_aton("127.0.0.1")
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            asking.setblocking(False)
            asking.sendto(probe([CAMERA], []), (to, port))
            async with asyncio.timeout(10):
                answers = [await loop.sock_recv(asking, 65_536) for _ in DEVICES]
        transport.close()
        return answers

    assert sorted(addresses(asyncio.run(run()))) == BOTH
