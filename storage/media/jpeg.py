"""JPEG pictures (ITU-T T.81): their frame header, which says the size. Pure."""

from collections.abc import Sequence

from bidwitness.errors import DamageFound
from bidwitness.storage.media.parameters import PictureConfig

# Frame headers of any kind of coding: all but the tables that share their range (T.81, B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA


def jpeg_header(picture: bytes) -> bytes:
    """Give the frame header (its marker and length included), or nothing if there is none."""
    at = 2
    while at + 4 <= len(picture) and picture[at] == 0xFF and picture[at + 1] != _SCAN:
        length = int.from_bytes(picture[at + 2 : at + 4])
        if picture[at + 1] in _FRAMES:
            return picture[at : at + 2 + length]
        at += 2 + length
    return b""


def jpeg_config(headers: Sequence[bytes]) -> PictureConfig:
    """Give the size that the last of these frame headers says. Raises ``DamageFound``."""
    if not headers or len(headers[-1]) < 9:
        raise DamageFound("The stream shows no picture's header.")
    header = headers[-1]
    height, width = int.from_bytes(header[5:7]), int.from_bytes(header[7:9])
    if not width or not height:
        raise DamageFound("A picture's header gives it no size.")
    return PictureConfig(b"", width, height)
