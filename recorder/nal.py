"""Access units as cameras send them (Annex B) and as files hold them (lengths). Pure.

A JPEG picture is kept as it is; what stands for a parameter set is its frame header.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.storage.media.jpeg import jpeg_config, jpeg_header
from bidwitness.storage.media.parameters import PictureConfig, avc_config, hevc_config

H264 = "h264"
HEVC = "hevc"
MJPEG = "mjpeg"
_START = b"\0\0\1"
_AVC_PPS, _HEVC_PPS = 8, 34
_AVC_SETS = frozenset((7, 8))
_HEVC_SETS = frozenset((32, 33, 34))


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """``body``: each NAL unit behind its length in four bytes.

    ``picture`` says whether there is a slice in it: a lone parameter set or SEI message is no
    picture and belongs to the one that follows. ``sets`` are its parameter sets, in order.
    """

    body: bytes
    picture: bool
    sets: tuple[bytes, ...]


def parse_access_unit(data: bytes, codec: str) -> AccessUnit:
    """Cut an Annex B access unit into NAL units. Bytes without a start code are one NAL unit."""
    if codec == MJPEG:
        header = jpeg_header(data)
        return AccessUnit(data, bool(data), (header,) if header else ())
    parts: list[bytes] = []
    sets: list[bytes] = []
    picture = False
    hevc = codec == HEVC
    pieces = data.split(_START)
    for nal in pieces[1:] if len(pieces) > 1 else pieces:
        if nal.endswith(b"\0"):
            # The zero belongs to the next start code: a NAL unit never ends in one.
            nal = nal.rstrip(b"\0")
        if not nal:
            continue
        kind = nal[0] >> 1 & 0x3F if hevc else nal[0] & 0x1F
        if kind < 32 if hevc else 1 <= kind <= 5:
            picture = True
        elif kind in (_HEVC_SETS if hevc else _AVC_SETS):
            sets.append(nal)
        parts.append(struct.pack(">I", len(nal)))
        parts.append(nal)
    return AccessUnit(b"".join(parts), picture, tuple(sets))


def kind_of_set(nal: bytes, codec: str) -> int:
    """Give a parameter set's NAL unit type; 0 for JPEG, which has one kind."""
    if codec == MJPEG:
        return 0
    return nal[0] >> 1 & 0x3F if codec == HEVC else nal[0] & 0x1F


def says_size(nal: bytes, codec: str) -> bool:
    """Say whether a parameter set describes the stream, not only how pictures are coded."""
    return kind_of_set(nal, codec) != {H264: _AVC_PPS, HEVC: _HEVC_PPS}.get(codec)


def config_of(sets: Sequence[bytes], codec: str) -> PictureConfig:
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
