"""The stamp in each access unit: absolute frame number, instant, camera, stream.

It rides in an SEI message "user data unregistered" under our own UUID. The text is ASCII of
fixed length, so that it needs no emulation prevention and can be patched in place, and so
that it is found in any wrapping: Annex-B or length-prefixed, H.264 or H.265. Standard library
only: the second camera server's script reads it with another Python.
"""

from dataclasses import dataclass

STAMP_UUID = bytes.fromhex("b1d317e55a1c4f0e9c5e6dd1f0a8c72b")
_NAME_LENGTH = 32
_ROLE_LENGTH = 4
STAMP_LENGTH = 12 + 1 + 16 + 1 + _ROLE_LENGTH + 1 + _NAME_LENGTH


@dataclass(frozen=True, slots=True)
class FrameStamp:
    """Which frame this is: ``frame`` counts from T0, ``utc_us`` is when it was to be sent."""

    frame: int
    utc_us: int
    camera: str
    stream: str


def stamp_text(stamp: FrameStamp) -> bytes:
    """Give the stamp as ``STAMP_LENGTH`` bytes of ASCII."""
    name = stamp.camera.ljust(_NAME_LENGTH)
    text = f"{stamp.frame:012d} {stamp.utc_us:016d} {stamp.stream:{_ROLE_LENGTH}} {name}"
    return text.encode("ascii")


def stamp_nal(stamp: FrameStamp, *, hevc: bool) -> bytes:
    """Give the SEI message as one NAL unit without start code; it ends in the text and 0x80."""
    header = b"\x4e\x01" if hevc else b"\x06"
    size = len(STAMP_UUID) + STAMP_LENGTH
    return header + bytes((5, size)) + STAMP_UUID + stamp_text(stamp) + b"\x80"


def read_sei(access_unit: bytes) -> FrameStamp | None:
    """Find the stamp in an access unit as stored or received; None if there is none."""
    at = access_unit.find(STAMP_UUID)
    if at < 0:
        return None
    text = bytes(access_unit[at + len(STAMP_UUID) :][:STAMP_LENGTH])
    try:
        frame, utc_us, stream, camera = text.decode("ascii").split()
        return FrameStamp(int(frame), int(utc_us), camera, stream)
    except ValueError:
        return None
