"""The beep and the flash of each full second: made, and found again. Pure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bidwitness.simulator.bars import Gray, as_gray
from bidwitness.simulator.spec import FPS, LOOP_SECONDS

Samples = NDArray[np.int16]

BEEP_MS = 80
FLASH_FRAMES = 2
_TONE_HZ = 1000
_LOUD, _QUIET = 12_000, 24
# The flash's place, in fortieths of the width from the left and from the top edge.
_LEFT, _RIGHT, _TOP, _BOTTOM = 31, 38, 1, 5


def make_sound(rate: int, seed: int) -> Samples:
    """Give one loop of mono sound: faint room noise, and a beep at each full second."""
    noise = np.random.default_rng(seed).integers(-_QUIET, _QUIET + 1, rate * LOOP_SECONDS)
    t = np.arange(rate * BEEP_MS // 1000)
    beep = (_LOUD * np.sin(2 * np.pi * _TONE_HZ * t / rate)).astype(np.int64)
    for second in range(LOOP_SECONDS):
        noise[second * rate : second * rate + len(beep)] += beep
    return noise.astype(np.int16)


def find_beeps(samples: NDArray[np.int16], rate: int) -> list[int]:
    """Give the index of the first sample of each beep in mono PCM; none if it is quiet.

    A beep that was already sounding at the first sample is left out: its onset is not known.
    """
    loud = np.abs(samples.astype(np.int32)) > _LOUD // 4
    at = np.flatnonzero(loud)
    if not len(at):
        return []
    quiet_before = np.diff(at, prepend=-1) > rate // 4
    return [int(i) for i in at[quiet_before]]


def draw_flash(gray: Gray, frame: int) -> None:
    """Draw the flash's block into a luma plane: white at a full second, else dark."""
    rows, columns = _place(gray)
    gray[rows, columns] = 235 if frame % FPS < FLASH_FRAMES else 24


def is_flash(image: NDArray[np.uint8]) -> bool:
    """Tell whether a picture (gray, BGR, BGRA, any scale) shows the flash."""
    gray = as_gray(image)
    rows, columns = _place(gray)
    inner = gray[rows, columns]
    dy, dx = inner.shape[0] // 4, inner.shape[1] // 4
    return float(inner[dy:-dy, dx:-dx].mean()) > 130


def find_flashes(images: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Give the index of each picture in which a flash begins (not one already on at first)."""
    found: list[int] = []
    before = True
    for index, image in enumerate(images):
        now = is_flash(image)
        if now and not before:
            found.append(index)
        before = now
    return found


def _place(gray: Gray) -> tuple[slice, slice]:
    cell = gray.shape[1] / 40
    return (
        slice(round(_TOP * cell), round(_BOTTOM * cell)),
        slice(round(_LEFT * cell), round(_RIGHT * cell)),
    )
