"""Frame headers of JPEG pictures: found, read, and never trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.errors import DamageFound
from bidwitness.storage.media.jpeg import jpeg_config, jpeg_header

HEADER = bytes.fromhex("ffc0 0011 08 0168 0280 03 012200 021101 031101".replace(" ", ""))
TABLE = bytes.fromhex("ffdb 0003 00".replace(" ", ""))
PICTURE = b"\xff\xd8" + TABLE + HEADER + bytes.fromhex("ffda0002") + b"\xff\xc0 not a header"


def test_the_size_is_in_the_frame_header() -> None:
    assert jpeg_header(PICTURE) == HEADER
    config = jpeg_config([jpeg_header(PICTURE)])
    assert (config.width, config.height, config.record) == (640, 360, b"")


@pytest.mark.parametrize("headers", [[], [b""], [HEADER[:8]], [HEADER[:5] + bytes(4)]])
def test_a_picture_without_a_size_is_damage(headers: list[bytes]) -> None:
    with pytest.raises(DamageFound):
        jpeg_config(headers)


@given(st.binary(max_size=60), st.integers(0, len(PICTURE)))
def test_no_bytes_break_the_reading(tail: bytes, cut: int) -> None:
    assert isinstance(jpeg_header(PICTURE[:cut] + tail), bytes)
