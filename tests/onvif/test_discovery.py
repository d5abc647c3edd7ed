"""Devices found on the network: what they announce, through the real library on loopback."""

import socket
import threading

import pytest

from bidwitness.onvif.discovery import device_of, read_answer
from bidwitness.onvif.probe import search_devices
from bidwitness.simulator.device import Device
from bidwitness.simulator.discovery import answer_probe
from bidwitness.simulator.spec import CameraSpec
from bidwitness.words import StreamRole


def test_what_a_device_announces() -> None:
    scopes = [
        "onvif://www.onvif.org/Profile/Streaming",
        "onvif://www.onvif.org/name/Front%20door",
        "onvif://www.onvif.org/hardware/T-1000",
        "nonsense",
    ]
    found = device_of(["http://[fe80::1]/onvif/x", "http://192.0.2.7/onvif/device_service"], scopes)
    assert found is not None
    assert found.address == "http://192.0.2.7/onvif/device_service"
    assert (found.name, found.hardware) == ("Front door", "T-1000")
    assert device_of(["soap.udp://192.0.2.7"], scopes) is None
    assert device_of([], []) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\xff", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<a>" * 3000],
)
def test_what_is_no_answer_is_nothing(data: bytes) -> None:
    assert read_answer(data) == []


def test_a_search_of_one_host_finds_its_devices() -> None:
    devices = [
        Device(CameraSpec(name), f"http://127.0.0.1:{port}", {StreamRole.MAIN: "rtsp://x/"}, int)
        for name, port in (("door", 8081), ("hall", 8082))
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        done = threading.Event()
        listener.settimeout(0.1)

        def answer() -> None:
            while not done.is_set():
                try:
                    data, sender = listener.recvfrom(65536)
                except TimeoutError:
                    continue
                for match in answer_probe(data, devices):
                    listener.sendto(match, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            found = search_devices(1, at=listener.getsockname())
        finally:
            done.set()
            thread.join()
    assert [device.address for device in found] == [device.address for device in devices]
    assert [device.name for device in found] == ["door", "hall"]
