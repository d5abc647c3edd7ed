"""Access units as files hold them: NAL units behind their lengths. Pure.

A JPEG picture is kept as it is; what stands for a parameter set is its frame header.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.storage.media.jpeg import jpeg_config, jpeg_header
from bidwitness.storage.media.parameters import PictureConfig, avc_config, hevc_config

H264 = "h264"
HEVC = "hevc"
MJPEG = "mjpeg"
_AVC_PPS, _HEVC_PPS = 8, 34
_AVC_SETS = frozenset((7, 8))
_HEVC_SETS = frozenset((32, 33, 34))


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """``body``: its bytes.

    ``picture`` says whether there is a slice in it: a lone parameter set or SEI message is no
    picture and belongs to the one that follows. ``sets`` are its parameter sets, in order.
    """

    body: bytes
    picture: bool
    sets: tuple[bytes, ...]


def parse_access_unit(data: bytes, codec: str) -> AccessUnit:
    """Look through an access unit: NAL units, each behind its length in four bytes."""
    if codec == MJPEG:
        header = jpeg_header(data)
        return AccessUnit(data, bool(data), (header,) if header else ())
    sets: list[bytes] = []
    picture = False
    hevc = codec == HEVC
    at, end = 0, len(data)
    while at + 4 < end:
        stop = at + 4 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4] >> 1 & 0x3F if hevc else data[at + 4] & 0x1F
        if kind < 32 if hevc else 1 <= kind <= 5:
            picture = True
        elif kind in (_HEVC_SETS if hevc else _AVC_SETS):
            sets.append(data[at + 4 : stop])
        at = stop
    return AccessUnit(data, picture, tuple(sets))


def kind_of_set(nal: bytes, codec: str) -> int:
    """Give a parameter set's NAL unit type; 0 for JPEG, which has one kind."""
    if codec == MJPEG:
        return 0
    return nal[0] >> 1 & 0x3F if codec == HEVC else nal[0] & 0x1F


def says_size(nal: bytes, codec: str) -> bool:
    """Say whether a parameter set describes the stream, not only how pictures are coded."""
    return kind_of_set(nal, codec) != {H264: _AVC_PPS, HEVC: _HEVC_PPS}.get(codec)


def picture_config(sets: Sequence[bytes], codec: str) -> PictureConfig:
    """Make the configuration record of parameter sets.

    Raises ``DamageFound`` if one that is needed is missing or broken.
    """
    if codec == MJPEG:
        return jpeg_config(sets)
    if codec == HEVC:
        vps, sps, pps = (
            [nal for nal in sets if nal[0] >> 1 & 0x3F == kind] for kind in (32, 33, 34)
        )
        return hevc_config(vps, sps, pps)
    sps, pps = ([nal for nal in sets if nal[0] & 0x1F == kind] for kind in (7, 8))
    return avc_config(sps, pps)
