"""How many pictures may come before one that is shown earlier, as parameter sets say. Pure.

Sources: ITU-T H.264 7.3.2.1.1 and E.1.1 (``max_num_reorder_frames``), H.265 7.3.2.2
(``sps_max_num_reorder_pics``).
"""

from collections.abc import Sequence

from bidwitness.errors import DamageFound
from bidwitness.storage.media.bits import BitReader
from bidwitness.storage.media.parameters import skip_avc_to_vui, skip_hevc_to_order

_AVC_SPS, _HEVC_SPS = 7, 33
# Profiles without B-frames: baseline.
_IN_ORDER = (66,)
_EXTENDED_SAR = 255


def reorder_depth(sets: Sequence[bytes], codec: str) -> int | None:
    """Give the depth that the last of these NAL units says; None if none of them does."""
    depth = None
    for nal in sets:
        try:
            if codec == "hevc" and nal and nal[0] >> 1 & 0x3F == _HEVC_SPS:
                depth = _hevc_depth(nal)
            elif codec == "h264" and len(nal) > 3 and nal[0] & 0x1F == _AVC_SPS:
                depth = _avc_depth(nal)
        except DamageFound:
            continue
    return 0 if codec == "mjpeg" else depth


def _hevc_depth(sps: bytes) -> int:
    bits, layers = skip_hevc_to_order(sps)
    depth = 0
    bits.ue()
    for _ in range(layers + 1 if bits.take(1) else 1):
        bits.ue()
        depth = bits.ue()
        bits.ue()
    return depth


def _avc_depth(sps: bytes) -> int | None:
    if sps[1] in _IN_ORDER:
        return 0
    bits, order = skip_avc_to_vui(sps)
    if order == 2:
        return 0
    if not bits.take(1):
        return None
    _skip_picture_facts(bits)
    rates = [bits.take(1) and _skip_rate(bits) for _ in range(2)]
    if any(rates):
        bits.take(1)
    bits.take(1)
    if not bits.take(1):
        return None
    bits.take(1)
    for _ in range(4):
        bits.ue()
    return bits.ue()


def _skip_picture_facts(bits: BitReader) -> None:
    if bits.take(1) and bits.take(8) == _EXTENDED_SAR:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):
        bits.ue(), bits.ue()
    if bits.take(1):
        bits.take(65)


def _skip_rate(bits: BitReader) -> int:
    count = bits.ue() + 1
    bits.take(8)
    for _ in range(count):
        bits.ue(), bits.ue()
        bits.take(1)
    bits.take(20)
    return 1
