"""Search the network for ONVIF devices by WS-Discovery. Runs in the child process only."""

from urllib.parse import unquote, urlsplit

from wsdiscovery import QName  # type: ignore[import-untyped]  # published without types
from wsdiscovery.discovery import (  # type: ignore[import-untyped]  # as above
    ThreadedWSDiscovery,
)

from bidwitness.onvif.devices import FoundDevice

TYPE = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
MAX_DEVICES = 500


def search(seconds: int) -> list[FoundDevice]:
    """Ask all networks of this machine and listen for ``seconds``."""
    discovery = ThreadedWSDiscovery()
    discovery.start()
    try:
        services = discovery.searchServices(types=[TYPE], timeout=seconds)
        found = [
            device_of(service.getXAddrs(), [str(scope.getValue()) for scope in service.getScopes()])
            for service in services[:MAX_DEVICES]
        ]
    finally:
        discovery.stop()
    return sorted({device for device in found if device}, key=lambda device: device.address)


def device_of(addresses: list[str], scopes: list[str]) -> FoundDevice | None:
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
