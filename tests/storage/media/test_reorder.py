"""How far pictures come out of order, read from what real encoders write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clips import make_clip

from bidwitness.storage.media.nal import parse_access_unit
from bidwitness.storage.media.reorder import reorder_depth


def sets(codec: str, b_frames: int) -> tuple[bytes, ...]:
    return parse_access_unit(make_clip(codec, 30, 25, b_frames).pictures[0].data, codec).sets


@pytest.mark.parametrize(
    ("codec", "b_frames", "depth"),
    [("h264", 0, 0), ("h264", 1, 1), ("h264", 3, 2), ("hevc", 0, 0), ("hevc", 3, 2)],
)
def test_the_depth_is_read(codec: str, b_frames: int, depth: int) -> None:
    assert reorder_depth(sets(codec, b_frames), codec) == depth


def test_what_does_not_say_is_not_known() -> None:
    assert reorder_depth((), "h264") is None
    assert reorder_depth((b"\x68\xee\x3c\x80",), "h264") is None
    assert reorder_depth((), "mjpeg") == 0


@given(st.sampled_from(["h264", "hevc"]), st.binary(max_size=60))
def test_broken_sets_say_nothing(codec: str, tail: bytes) -> None:
    head = b"\x67\x64\x00\x28" if codec == "h264" else b"\x42\x01\x01"
    depth = reorder_depth((head + tail, tail), codec)
    assert depth is None or depth >= 0
