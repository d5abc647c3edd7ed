"""What an ONVIF device says of itself, as values, and what we make of it. Pure.

The values cross a pipe: the talking is done by a process of its own (``onvif.child``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.errors import InvalidInput
from bidwitness.words import StreamRole

# Beyond this the times in the picture and those of the record are visibly apart.
CLOCK_TOLERANCE_US = 2_000_000


@dataclass(frozen=True, slots=True)
class MediaProfile:
    """One of the device's media profiles, with the address of its stream."""

    token: str
    name: str
    address: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: int | None = None
    gop_frames: int | None = None
    sound: str | None = None

    @property
    def pixels(self) -> int:
        return (self.width or 0) * (self.height or 0)


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """``clock_offset_us``: how far the device's clock is ahead of ours, to about half a second."""

    manufacturer: str
    model: str
    firmware: str
    serial: str
    clock_offset_us: int | None
    profiles: tuple[MediaProfile, ...] = field(default=())

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "DeviceFacts":
        profiles = tuple(MediaProfile(**profile) for profile in said.pop("profiles"))
        return cls(profiles=profiles, **said)


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that answered a search on the network."""

    address: str
    name: str
    hardware: str


def choose_profiles(profiles: Iterable[MediaProfile]) -> dict[StreamRole, MediaProfile]:
    """Choose what to record: the largest picture as main, the smallest other one as sub.

    Where a size is not known (the media service's first version has no words for H.265), or of
    two of one size, the device's own order decides: devices list their main stream first.
    """
    streams = [profile for profile in profiles if profile.address]
    if not streams:
        return {}
    sized = all(profile.pixels for profile in streams)
    main = max(streams, key=lambda profile: profile.pixels) if sized else streams[0]
    others = [profile for profile in streams if profile.address != main.address]
    if not others:
        return {StreamRole.MAIN: main}
    sub = min(others, key=lambda profile: profile.pixels) if sized else others[0]
    return {StreamRole.MAIN: main, StreamRole.SUB: sub}


def checked_stream(
    profile: MediaProfile, device_hosts: Sequence[str], confirmed_hosts: Sequence[str]
) -> CameraAddress:
    """Give a stream's address that a device named, without any login in it.

    Raises ``InvalidInput`` if it is not an RTSP address, or on another host than the device
    that nobody has confirmed: a device must not send us, with its password, to somebody else.
    """
    address = parse_camera_address(profile.address).with_login("", "")
    allowed = {host.lower() for host in (*device_hosts, *confirmed_hosts)}
    if address.host not in allowed:
        why = f"names {address.host}, which is not the device"
        raise InvalidInput(
            f"The device says that its stream {profile.name or profile.token} is on "
            f"{address.host}. If that is right, confirm the host.",
            fields={"onvif.confirm_hosts": why},
        )
    return address


def clock_message(offset_us: int | None) -> str | None:
    """Say that a device's clock is wrong, if it is."""
    if offset_us is None or abs(offset_us) <= CLOCK_TOLERANCE_US:
        return None
    direction = "ahead" if offset_us > 0 else "behind"
    return (
        f"The camera's clock is {abs(offset_us) / 1_000_000:.0f} s {direction}: "
        "set it to the time server that the recorder uses."
    )
