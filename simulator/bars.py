"""The bar code of the frame number in the picture: drawn once, read from any scaled copy.

The picture is seen as 40 columns of square cells. Two equal strips, near the top and near the
bottom edge, hold 26 cells each: white, black, 12 bits of number, 10 check bits, white, black.
A picture whose strips are both good but differ is torn and has no number.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]

NUMBERS = 1 << 12
"""Numbers are carried modulo this."""

_COLUMNS = 40
_FIRST_COLUMN = 1
_CHECK_BITS = 10
_CELLS = 2 + 12 + _CHECK_BITS + 2
_WHITE, _BLACK = 235, 16
_LEAST_CONTRAST = 50
# Fractions of a cell by which a crop may be off; the exact place is tried first.
_SHIFTS = (0.0, -0.3, 0.3)


def _check(number: int) -> int:
    """Give the CRC-10 (polynomial 0x233) of 12 bits."""
    rest = number << _CHECK_BITS
    for bit in range(NUMBERS.bit_length() - 2, -1, -1):
        if rest >> (bit + _CHECK_BITS) & 1:
            rest ^= 0x633 << bit
    # Inverted, so that an all-black strip is not number 0.
    return ~rest & 0x3FF


def _bits(number: int) -> list[bool]:
    word = number << _CHECK_BITS | _check(number)
    body = [bool(word >> i & 1) for i in range(12 + _CHECK_BITS - 1, -1, -1)]
    return [True, False, *body, True, False]


def strip_tops(height: float, cell: float) -> tuple[float, float]:
    """Give the upper edge of both strips in pixels."""
    return cell, height - 2 * cell


def draw_bars(gray: Gray, number: int) -> None:
    """Draw both strips with ``number`` modulo ``NUMBERS`` into a luma plane."""
    height, width = gray.shape
    cell = width / _COLUMNS
    row = np.empty(round(_CELLS * cell), dtype=np.uint8)
    for i, bit in enumerate(_bits(number % NUMBERS)):
        row[round(i * cell) : round((i + 1) * cell)] = _WHITE if bit else _BLACK
    left = round(_FIRST_COLUMN * cell)
    for top in strip_tops(height, cell):
        gray[round(top) : round(top + cell), left : left + len(row)] = row


def as_gray(image: NDArray[np.uint8]) -> Gray:
    """Give the luma of a gray, BGR or BGRA picture."""
    if image.ndim == 2:
        return image
    code = cv2.COLOR_BGR2GRAY if image.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def _read_strip(gray: Gray, top: float, left: float, cell: float) -> int | None:
    """Read one strip whose upper left corner is given in pixels."""
    upper, lower = (
        round(top + 0.3 * cell),
        max(round(top + 0.7 * cell), round(top + 0.3 * cell) + 1),
    )
    band = gray[upper:lower]
    if upper < 0 or left < 0 or not band.size or left + _CELLS * cell > gray.shape[1]:
        return None
    profile = band.mean(axis=0)
    means = np.empty(_CELLS)
    for i in range(_CELLS):
        start = round(left + (i + 0.3) * cell)
        means[i] = profile[start : max(round(left + (i + 0.7) * cell), start + 1)].mean()
    middle = (means.max() + means.min()) / 2
    bits = means > middle
    if list(bits[:2]) != [True, False] or list(bits[-2:]) != [True, False]:
        return None
    if means[bits].min() - means[~bits].max() < _LEAST_CONTRAST:
        return None
    word = int("".join("1" if bit else "0" for bit in bits[2:-2]), 2)
    number = word >> _CHECK_BITS
    return number if _check(number) == word & 0x3FF else None


def _search(gray: Gray, top: float, cell: float) -> int | None:
    for down in _SHIFTS:
        for right in _SHIFTS:
            left = (_FIRST_COLUMN + right) * cell
            number = _read_strip(gray, top + down * cell, left, cell)
            if number is not None:
                return number
    return None


def read_bars(image: NDArray[np.uint8]) -> int | None:
    """Read the frame number (modulo ``NUMBERS``) from a decoded picture or a scaled crop of it.

    ``image`` is gray, BGR or BGRA, uint8, and shows the whole picture, at least 160 pixels
    wide. None if no strip is good, or the two strips differ.
    """
    gray = as_gray(image)
    height, width = gray.shape
    cell = width / _COLUMNS
    found = {
        number
        for top in strip_tops(height, cell)
        if (number := _search(gray, top, cell)) is not None
    }
    return found.pop() if len(found) == 1 else None
