"""Addresses and networks that people name in settings: read once, compared as values. Pure."""

import ipaddress
from collections.abc import Iterable

from bidwitness.errors import InvalidInput


def read_network(text: str, field: str = "network") -> str:
    """Give an address or a network (``10.1.2.0/24``) as it is kept.

    Raises ``InvalidInput`` naming ``field``, with the network that was probably meant.
    """
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no address and no network. Write one like 10.1.2.3 or 10.1.2.0/24.",
            fields={field: "is no address and no network"},
        ) from None
    raise InvalidInput(
        f"{text!r} is an address within a network. Write {meant}, or the address alone.",
        fields={field: f"is not where a network begins: {meant} is"},
    )


def is_within(address: str | None, networks: Iterable[str]) -> bool:
    """Say whether an address lies in one of the networks; what is no address lies nowhere."""
    try:
        own = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    # Of a socket that listens for both, an IPv4 address comes in IPv6's clothes.
    if isinstance(own, ipaddress.IPv6Address) and own.ipv4_mapped is not None:
        own = own.ipv4_mapped
    return any(own in ipaddress.ip_network(network) for network in networks)
