"""Parameter sets of real encoders in many shapes, and broken ones."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clips import make_clip, with_lengths

from bidwitness.errors import DamageFound
from bidwitness.storage.media.bits import BitReader
from bidwitness.storage.media.nal import parse_access_unit, picture_config


def first_unit(encoder: str, pix_fmt: str, width: int, height: int, options: str) -> bytes:
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    key = "x265-params" if encoder == "libx265" else "x264-params"
    quiet = ":log-level=none" if encoder == "libx265" else ""
    context.options = {"preset": "ultrafast", key: options + quiet}
    frame = av.VideoFrame.from_ndarray(np.zeros((height, width), np.uint8), format="gray8")
    frame = frame.reformat(format=pix_fmt)
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return with_lengths(bytes(packets[0]))


SHAPES = [
    ("libx264", "yuv420p", 1920, 1080, "repeat-headers=1"),
    ("libx264", "yuv420p", 642, 356, "repeat-headers=1:interlaced=1"),
    ("libx264", "yuv422p", 320, 182, "repeat-headers=1:cqm=jvt"),
    ("libx264", "yuv444p", 320, 181, "repeat-headers=1"),
    ("libx265", "yuv420p", 1920, 1080, "repeat-headers=1"),
    ("libx265", "yuv420p", 642, 358, "repeat-headers=1:temporal-layers=1"),
]


@pytest.mark.parametrize(("encoder", "pix_fmt", "width", "height", "options"), SHAPES)
def test_the_size_is_read(
    encoder: str, pix_fmt: str, width: int, height: int, options: str
) -> None:
    codec = "hevc" if encoder == "libx265" else "h264"
    unit = parse_access_unit(first_unit(encoder, pix_fmt, width, height, options), codec)
    config = picture_config(unit.sets, codec)
    assert (config.width, config.height) == (width, height)


@given(st.sampled_from(["h264", "hevc"]), st.data())
def test_broken_sets_only_ever_raise_damage_found(codec: str, data: st.DataObject) -> None:
    unit = parse_access_unit(make_clip(codec).pictures[0].data, codec)
    sets = [bytearray(nal) for nal in unit.sets]
    victim = data.draw(st.sampled_from(sets))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(victim) - 1)) if len(victim) > 1 else 0
        victim[at] = data.draw(st.integers(0, 255))
        del victim[data.draw(st.integers(2, 60)) :]
    try:
        picture_config([bytes(nal) for nal in sets], codec)
    except DamageFound:
        return


def test_missing_sets_are_said() -> None:
    for codec in ("h264", "hevc"):
        with pytest.raises(DamageFound, match="no parameter sets"):
            picture_config([], codec)


def test_exp_golomb_codes() -> None:
    bits = BitReader(bytes([0b10100110, 0b01000010, 0b10000000]))
    assert [bits.ue() for _ in range(5)] == [0, 1, 2, 3, 4]
    signed = BitReader(bytes([0b10100110, 0b01000010, 0b10000000]))
    assert [signed.se() for _ in range(5)] == [0, 1, -1, 2, -2]
