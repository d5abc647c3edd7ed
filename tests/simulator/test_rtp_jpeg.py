"""JPEG cut into packets, by RFC 2435."""

import struct
from pathlib import Path

import pytest

from bidwitness.simulator.encode import make_loop
from bidwitness.simulator.recipes import PictureRecipe
from bidwitness.simulator.rtp_jpeg import jpeg_payloads
from bidwitness.simulator.spec import Codec


def test_a_picture_is_cut_and_its_tables_go_first(tmp_path: Path) -> None:
    recipe = PictureRecipe("试验", Codec.MJPEG, 320, 180, 200_000, 25, 0)
    (picture,) = make_loop(recipe, tmp_path).units[0]
    payloads = jpeg_payloads(picture, 1000)
    assert len(payloads) > 1 and all(len(payload) <= 1000 for payload in payloads)
    at = 0
    for payload in payloads:
        # Specific 0 and offset, type 1 (4:2:0), tables follow; 180 rows are said as 23 times 8.
        assert struct.unpack_from(">I4B", payload) == (at, 1, 255, 40, 23)
        body = payload[8 + (132 if not at else 0) :]
        assert body in picture
        at += len(body)
    assert struct.unpack_from(">BBH", payloads[0], 8) == (0, 0, 128)


@pytest.mark.parametrize("picture", [b"", b"\xff\xd8\xff\xd9", b"not a picture at all"])
def test_what_is_no_baseline_picture_is_refused(picture: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        jpeg_payloads(picture, 1000)
