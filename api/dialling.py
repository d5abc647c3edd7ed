"""Where cameras may be, and when a person may have one dialled: not while its room is classified
(涉密)."""

import logging
from collections.abc import Sequence

from bidwitness.addresses import CameraAddress, hosts_of, parse_any_address, resolve_camera
from bidwitness.api.deps import Parts
from bidwitness.errors import CameraError, Conflict, InvalidInput
from bidwitness.storage.cameras import CameraWish
from bidwitness.storage.classified import addresses_in, classified_rooms
from bidwitness.words import StreamRole

logger = logging.getLogger(__name__)

# An attempt may take so long: an interval that begins meanwhile counts as begun.
LONGEST_TRY_US = 120_000_000


def refuse_if_classified(
    parts: Parts, address: CameraAddress, hosts: Sequence[str] = (), room_id: str | None = None
) -> None:
    """Raise ``Conflict`` if dialling ``address`` could reach into a room that is classified.

    A camera is known by its host, whatever the port and path: a device has many doors. ``hosts``:
    others that would be dialled with it. ``room_id``: where it is said to be.
    """
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        rooms = classified_rooms(orm, now, now + LONGEST_TRY_US)
        known = addresses_in(orm, rooms) if rooms else []
    if not rooms:
        return
    closed = {host for text in known for host in hosts_of(parse_any_address(text).host)}
    wanted = {host for name in (address.host, *hosts) for host in hosts_of(name)}
    if room_id in rooms or closed & wanted:
        raise Conflict(
            "A room with a camera at this address is classified now, or is about to be: nothing in "
            "it may be connected to. Try again when that time is over."
        )


def check_places(wish: CameraWish, parts: Parts) -> None:
    """Raise ``InvalidInput`` for addresses inside this machine. A name nobody knows yet is the
    recorder's matter."""
    named = {StreamRole.MAIN: "source_url", StreamRole.SUB: "sub_url"}
    for role, address in wish.streams.items():
        try:
            resolve_camera(address, allow_loopback=parts.settings.allow_loopback_cameras)
        except InvalidInput as error:
            raise InvalidInput(error.detail, fields={named[role]: error.detail}) from None
        except CameraError:
            logger.info("the name of a new camera is not known yet")
