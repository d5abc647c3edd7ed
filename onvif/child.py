"""The process that talks to a device nobody has vetted: one request on stdin, one answer on stdout.

``python -m bidwitness.onvif.child``. Its caller (``onvif.probe``) ends it when it takes too long.
The request holds the password, which is why it does not come as an argument.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from bidwitness.addresses import CameraAddress
from bidwitness.clock import SystemClock
from bidwitness.errors import BidWitnessError, InvalidInput


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what ``request`` asks: ``device``, ``stream`` or ``search``."""
    match request["what"]:
        case "device":
            from bidwitness.onvif.client import ask_device

            _only_connect_to(request["ip"], request["port"])
            facts = asyncio.run(
                ask_device(
                    request["base"],
                    request["port"],
                    request["username"],
                    request["password"],
                    SystemClock(),
                )
            )
            return asdict(facts)
        case "stream":
            from bidwitness.onvif.stream_facts import look_into

            address = CameraAddress(**request["address"])
            return look_into(address, request["ip"], SystemClock()).to_json()
        case "search":
            from bidwitness.onvif.discovery import search

            found = search(SystemClock(), request["seconds"], request["host"], request["port"])
            return {"devices": [asdict(device) for device in found]}
        case other:
            raise InvalidInput(f"This process does not know how to {other}.")


def _only_connect_to(ip: str, port: int) -> None:
    """Refuse every other connection of this process: whatever addresses or redirects a device
    hands to the library, it is the only one that ever sees the login."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(arguments[1], tuple):
            return
        if arguments[1][:2] != (ip, port):
            raise PermissionError("not the device")

    sys.addaudithook(hook)


def main() -> None:
    """Read, answer, write. An error made for people becomes part of the answer."""
    request = json.load(sys.stdin)
    try:
        said: dict[str, Any] = {"ok": answer(request)}
    except BidWitnessError as error:
        said = {"kind": error.kind, "detail": error.detail, "fields": error.fields}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
