"""Decode times: in order, never after the picture is shown, whatever the pictures' order."""

import itertools

import pytest
from support.clips import TICK, make_clip

from bidwitness.recorder.packets import SourceTrack
from bidwitness.recorder.stamps import DecodeTimes
from bidwitness.rtsp.units import Unit
from bidwitness.storage.media.nal import parse_access_unit
from bidwitness.words import Medium


def units(codec: str, b_frames: int, start: int = 0) -> list[Unit]:
    pictures = make_clip(codec, 60, 20, b_frames).pictures
    return [Unit(0, p.data, start + p.pts, 0, p.key, 0) for p in pictures]


def decode_times(codec: str, given: list[Unit]) -> list[int]:
    times = DecodeTimes(SourceTrack(Medium.PICTURE, codec, 90_000))
    return [times.of(unit) for unit in given]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("b_frames", [0, 1, 3])
def test_times_rise_and_come_before_the_picture_is_shown(codec: str, b_frames: int) -> None:
    given = units(codec, b_frames)
    times = decode_times(codec, given)
    assert all(b > a for a, b in itertools.pairwise(times))
    assert all(at <= unit.stamp for at, unit in zip(times, given, strict=True))
    # A step is a frame's, and nothing waits longer than the order asks for.
    assert {b - a for a, b in itertools.pairwise(times)} == {TICK}
    assert max(unit.stamp - at for at, unit in zip(times, given, strict=True)) <= 5 * TICK


def test_without_b_frames_both_times_are_the_same() -> None:
    given = units("h264", 0)
    assert decode_times("h264", given) == [unit.stamp for unit in given]


def test_a_camera_that_does_not_say_its_order_costs_one_picture_its_time() -> None:
    given = units("h264", 2)
    for unit in given:
        # Without parameter sets in band nothing is said.
        sets = parse_access_unit(unit.data, "h264").sets
        for nal in sets:
            unit.data = unit.data.replace(len(nal).to_bytes(4) + nal, b"")
    times = decode_times("h264", given)
    assert all(b > a for a, b in itertools.pairwise(times))
    late = [unit for at, unit in zip(times, given, strict=True) if at > unit.stamp]
    assert len(late) <= 2


def test_a_leap_begins_anew() -> None:
    given = [*units("h264", 2), *units("h264", 2, start=90_000_000), *units("h264", 2)]
    times = decode_times("h264", given)
    assert all(0 <= unit.stamp - at <= 5 * TICK for at, unit in zip(times, given, strict=True))


def test_a_stamp_that_comes_again_is_left_to_who_keeps_time() -> None:
    given = units("h264", 0)
    given[30].stamp = given[29].stamp
    assert decode_times("h264", given)[30] == given[29].stamp
