"""Beeps and flashes are made at full seconds and found again to the sample and the frame."""

import numpy as np
import pytest

from bidwitness.simulator.signals import draw_flash, find_beeps, find_flashes, make_sound
from bidwitness.simulator.spec import FPS, LOOP_SECONDS


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_beep_begins_at_each_full_second(rate: int) -> None:
    twice = np.tile(make_sound(rate, seed=3), 2)
    found = find_beeps(twice, rate)
    # The one at sample 0 was not heard to begin.
    assert [round(at / rate) for at in found] == list(range(1, 2 * LOOP_SECONDS))
    assert all(at - round(at / rate) * rate < rate // 1000 for at in found)


def test_a_beep_cut_in_two_is_not_found_twice_nor_at_its_middle() -> None:
    samples = make_sound(8000, seed=3)
    assert len(find_beeps(samples[8200:16100], 8000)) == 1
    assert find_beeps(samples[8200:15900], 8000) == []


def test_silence_has_no_beeps() -> None:
    assert find_beeps(np.zeros(8000, dtype=np.int16), 8000) == []
    assert find_beeps(np.zeros(0, dtype=np.int16), 8000) == []


@pytest.mark.parametrize("size", [(1080, 1920), (90, 160)])
def test_a_flash_is_found_at_each_full_second(size: tuple[int, int]) -> None:
    def frame(number: int) -> np.ndarray:
        gray = np.full(size, 180, dtype=np.uint8)
        draw_flash(gray, number)
        return gray

    assert find_flashes(frame(n) for n in range(10, 100)) == [15, 40, 65]
    assert find_flashes(frame(n) for n in range(1, 30)) == [24]
    assert FPS == 25
