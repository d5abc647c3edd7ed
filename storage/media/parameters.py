"""Parameter sets of H.264 and H.265, and the configuration records made of them. Pure.

Sources: ITU-T H.264 7.3.2.1, H.265 7.3.2.2 and 7.3.3, ISO/IEC 14496-15 5.3.3.1 and 8.3.3.1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.errors import DamageFound
from bidwitness.storage.media.bits import BitReader, without_emulation

# Profiles whose SPS says more about chroma, depth and scaling (H.264 7.3.2.1.1).
_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """The body of ``avcC`` or ``hvcC``, and the size of the picture."""

    record: bytes
    width: int
    height: int


def avc_config(sps: Sequence[bytes], pps: Sequence[bytes]) -> PictureConfig:
    """Make H.264's record of parameter sets as NAL units. Raises ``DamageFound``."""
    if not sps or not pps:
        raise DamageFound("The stream shows no parameter sets.")
    first = sps[0]
    if len(first) < 4:
        raise DamageFound("A parameter set ends too early.")
    width, height, chroma, luma_depth, chroma_depth = _avc_sps(first)
    record = bytearray((1, first[1], first[2], first[3], 0xFF, 0xE0 | len(sps)))
    record += _listed(sps)
    record.append(len(pps))
    record += _listed(pps)
    if first[1] in _HIGH:
        record += bytes((0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0))
    return PictureConfig(bytes(record), width, height)


def _listed(nals: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


def _avc_sps(sps: bytes) -> tuple[int, int, int, int, int]:
    """Give width, height, chroma format and both depths above 8."""
    return _read_avc_sps(BitReader(without_emulation(sps)[4:]), sps[1])[0]


def skip_avc_to_vui(sps: bytes) -> tuple[BitReader, int]:
    """Give a reader before ``vui_parameters_present_flag``, and ``pic_order_cnt_type``.

    Raises ``DamageFound``.
    """
    bits = BitReader(without_emulation(sps)[4:])
    return bits, _read_avc_sps(bits, sps[1])[1]


def _read_avc_sps(bits: BitReader, profile: int) -> tuple[tuple[int, int, int, int, int], int]:
    """Read what stands before the VUI; the second is ``pic_order_cnt_type``."""
    chroma, luma_depth, chroma_depth, separate = 1, 0, 0, 0
    bits.ue()
    if profile in _HIGH:
        chroma = bits.ue()
        separate = bits.take(1) if chroma == 3 else 0
        luma_depth, chroma_depth = bits.ue(), bits.ue()
        bits.take(1)
        if bits.take(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling(bits, 16 if index < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1)
        bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    bits.take(1)
    width, map_height = 16 * (bits.ue() + 1), bits.ue() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    height = 16 * map_height * (2 - frames_only)
    if bits.take(1):
        left, right, top, bottom = (bits.ue() for _ in range(4))
        sub_x, sub_y = _subsampling(0 if separate else chroma)
        width -= sub_x * (left + right)
        height -= sub_y * (2 - frames_only) * (top + bottom)
    _check_size(width, height)
    return (width, height, chroma & 3, luma_depth & 7, chroma_depth & 7), order


def _skip_scaling(bits: BitReader, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _subsampling(chroma: int) -> tuple[int, int]:
    return {1: (2, 2), 2: (2, 1)}.get(chroma, (1, 1))


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise DamageFound("A parameter set gives the picture no possible size.")


def hevc_config(vps: Sequence[bytes], sps: Sequence[bytes], pps: Sequence[bytes]) -> PictureConfig:
    """Make H.265's record of parameter sets as NAL units. Raises ``DamageFound``."""
    if not vps or not sps or not pps:
        raise DamageFound("The stream shows no parameter sets.")
    payload = without_emulation(sps[0])
    if len(payload) < 15:
        raise DamageFound("A parameter set ends too early.")
    layers = payload[2] >> 1 & 7
    width, height, chroma, luma_depth, chroma_depth = _hevc_sps(payload, layers)
    record = bytearray(b"\x01") + payload[3:15]
    # No spatial segmentation known, parallelism unknown, chroma, depths, no average rate.
    record += bytes((0xF0, 0, 0xFC, 0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0, 0))
    # Layers and nesting as the SPS says; lengths of four bytes before each NAL unit.
    record.append((layers + 1) << 3 | (payload[2] & 1) << 2 | 3)
    record.append(3)
    for kind, nals in ((32, vps), (33, sps), (34, pps)):
        # Array completeness 0: parameter sets may stand in the samples as well (hev1).
        record += struct.pack(">BH", kind, len(nals)) + _listed(nals)
    return PictureConfig(bytes(record), width, height)


def skip_hevc_to_order(sps: bytes) -> tuple[BitReader, int]:
    """Give a reader before ``log2_max_pic_order_cnt_lsb_minus4``, and the layers above the first.

    Raises ``DamageFound``.
    """
    payload = without_emulation(sps)
    if len(payload) < 15:
        raise DamageFound("A parameter set ends too early.")
    layers = payload[2] >> 1 & 7
    bits = BitReader(payload[15:])
    _read_hevc_sps(bits, layers)
    return bits, layers


def _hevc_sps(payload: bytes, layers: int) -> tuple[int, int, int, int, int]:
    return _read_hevc_sps(BitReader(payload[15:]), layers)


def _read_hevc_sps(bits: BitReader, layers: int) -> tuple[int, int, int, int, int]:
    """Read size, chroma format and both depths above 8."""
    shown = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in shown:
        bits.take(88 * profile + 8 * level)
    bits.ue()
    chroma = bits.ue()
    separate = bits.take(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    if bits.take(1):
        left, right, top, bottom = (bits.ue() for _ in range(4))
        sub_x, sub_y = _subsampling(0 if separate else chroma)
        width -= sub_x * (left + right)
        height -= sub_y * (top + bottom)
    _check_size(width, height)
    luma_depth, chroma_depth = bits.ue(), bits.ue()
    return width, height, chroma & 3, luma_depth & 7, chroma_depth & 7
