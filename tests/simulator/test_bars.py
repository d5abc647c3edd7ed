"""The bar code is read from what tests really have: decoded, scaled, cropped, compressed copies."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bidwitness.simulator.bars import NUMBERS, draw_bars, read_bars

RNG = np.random.default_rng(7)


def picture(number: int, width: int = 1920, height: int = 1080) -> NDArray[np.uint8]:
    gray = RNG.integers(40, 220, (height, width), dtype=np.uint8)
    draw_bars(gray, number)
    return gray


def test_every_number_is_read_back() -> None:
    gray = picture(0, 320, 180)
    for number in range(NUMBERS):
        draw_bars(gray, number)
        assert read_bars(gray) == number


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (320, 180), (411, 231), (1001, 563)])
@pytest.mark.parametrize("number", [0, 1, 399, 2730, 4095])
def test_read_after_scaling_and_jpeg(size: tuple[int, int], number: int) -> None:
    scaled = cv2.resize(picture(number), size, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert read_bars(cv2.imdecode(coded, cv2.IMREAD_COLOR)) == number


def test_read_from_a_crop_that_is_a_little_off() -> None:
    tile = cv2.resize(picture(321), (640, 360), interpolation=cv2.INTER_AREA)
    screenshot = np.full((400, 700), 128, dtype=np.uint8)
    screenshot[20:380, 30:670] = tile
    for dx in (-4, 0, 4):
        for dy in (-4, 0, 4):
            crop = screenshot[20 + dy : 380 + dy, 30 + dx : 670 + dx]
            assert read_bars(crop) == 321, (dx, dy)


def test_a_picture_with_alpha_is_read() -> None:
    assert read_bars(cv2.cvtColor(picture(77), cv2.COLOR_GRAY2BGRA)) == 77


@pytest.mark.parametrize("value", [0, 16, 128, 235, 255])
def test_a_plain_picture_has_no_number(value: int) -> None:
    assert read_bars(np.full((360, 640), value, dtype=np.uint8)) is None


def test_noise_has_no_number() -> None:
    for _ in range(200):
        assert read_bars(RNG.integers(0, 255, (180, 320), dtype=np.uint8)) is None


def test_a_torn_picture_has_no_number() -> None:
    torn = picture(100)
    torn[540:] = picture(101)[540:]
    assert read_bars(torn) is None


def test_one_covered_strip_does_not_matter() -> None:
    covered = picture(100)
    covered[:200] = 90
    assert read_bars(covered) == 100


def test_a_flipped_bit_is_noticed() -> None:
    cell = 48
    for column in range(3, 25):
        spoilt = picture(1234)
        for top in (cell, 1080 - 2 * cell):
            block = spoilt[top : top + cell, column * cell : (column + 1) * cell]
            block[:] = 251 - block
        assert read_bars(spoilt) is None
