"""Time of a run: true stamps are kept, untrue ones never stop or bend the recording."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.recorder.timing import (
    RUN_BASE_US,
    SLEW_PPM,
    RunTimer,
    TrackTimer,
    WallClock,
    WallJump,
)
from bidwitness.words import ClockQuality

FRAME = 3600
FRAME_US = 40_000
UTC = 1_700_000_000_000_000
HOUR = 90_000


def placed(stamps: list[int | None], arrivals: list[int] | None = None) -> list[int]:
    """Place stamps that arrive one frame apart; give file ticks from 0 on."""
    timer = TrackTimer(90_000)
    base = 900_000
    timer.start(stamps[0] or 0, base, 5_000_000)
    times = arrivals or [index * FRAME_US for index in range(len(stamps))]
    return [
        timer.place(stamp, 5_000_000 + at) - base for stamp, at in zip(stamps, times, strict=True)
    ]


def line(count: int, start: int = 0) -> list[int | None]:
    return [start + index * FRAME for index in range(count)]


def test_true_stamps_are_kept() -> None:
    uneven: list[int | None] = [0, 3600, 7290, 10_700, 14_400]
    assert placed([77_000 + (stamp or 0) for stamp in uneven]) == uneven


def test_a_hole_in_the_stamps_stays_a_hole() -> None:
    stamps = line(5) + line(5, start=5 * FRAME + 900_000)
    arrivals = [i * FRAME_US for i in range(5)] + [i * FRAME_US + 10_000_000 for i in range(5, 10)]
    assert placed(stamps, arrivals) == stamps


def test_a_burst_after_a_held_up_network_keeps_its_stamps() -> None:
    stamps = line(100)
    arrivals = [i * FRAME_US for i in range(50)]
    arrivals += [max(i * FRAME_US, 4_000_000 + i) for i in range(50, 100)]
    assert placed(stamps, arrivals) == stamps


def test_one_bad_stamp_is_replaced_and_the_true_line_goes_on() -> None:
    for bad in (0, 4 * FRAME, 5_000_000_000, None):
        stamps = line(10)
        stamps[5] = bad
        assert placed(stamps) == line(10), bad


def test_a_camera_that_jumps_stays_joined_to_its_old_line() -> None:
    for jump in (-9_000_000, -2 * FRAME, 9_000_000, 10**12):
        stamps = line(20) + line(30, start=20 * FRAME + jump)
        ticks = placed(stamps)
        steps = [b - a for a, b in pairwise(ticks)]
        assert steps == [FRAME] * 49, jump


def test_stamps_that_stand_still_are_replaced_until_they_move() -> None:
    assert placed(line(10) + [9 * FRAME] * 25 + line(10, start=35 * FRAME)) == line(45)


def test_the_count_of_32_bits_wraps_without_a_trace() -> None:
    start = 2**32 - 10 * FRAME - 7
    true = [start + index * FRAME for index in range(20)]
    assert placed([stamp % 2**32 for stamp in true]) == line(20)


STAMPS = st.lists(
    st.none() | st.integers(-(2**40), 2**40) | st.integers(0, 50 * FRAME), min_size=1, max_size=60
)


@given(STAMPS, st.data())
def test_whatever_the_stamps_ticks_rise_and_keep_to_real_time(
    stamps: list[int | None], data: st.DataObject
) -> None:
    arrivals: list[int] = []
    for _ in stamps:
        wait = data.draw(st.integers(0, 200_000))
        arrivals.append((arrivals[-1] if arrivals else 0) + wait)
    ticks = placed(stamps, arrivals)
    assert all(a < b for a, b in pairwise(ticks))
    # Never further ahead of the clock than a young connection's burst, plus the slowest frame each.
    assert ticks[-1] * 100 // 9 <= arrivals[-1] - arrivals[0] + 2_000_000 + len(ticks) * 250_000


def run_wall(
    wall: WallClock, frames: range, delay_of: "list[int] | None" = None, ppm: int = 0
) -> list[WallJump]:
    """Let frames arrive, the camera's clock ``ppm`` faster than ours."""
    jumps = []
    for number in frames:
        file_us = number * FRAME_US
        real = file_us - file_us * ppm // 1_000_000
        delay = delay_of[number % len(delay_of)] if delay_of else 0
        jump = wall.observe(RUN_BASE_US + file_us, 1_000_000 + real + delay, None)
        jumps += [jump] if jump else []
    return jumps


def test_the_least_delayed_picture_ties_the_run() -> None:
    wall = WallClock(UTC)
    run_wall(wall, range(50), [90_000, 60_000, 5_000, 30_000])
    assert wall.recorder_us(RUN_BASE_US) == UTC + 1_000_000 + 5_000
    assert wall.quality(RUN_BASE_US) is ClockQuality.ARRIVAL
    assert wall.camera_us(RUN_BASE_US) is None


def test_a_drifting_camera_is_followed_over_hours_slowly_and_both_ways() -> None:
    """Three hours at ±40 ppm (seen on cameras) end within a frame of the truth."""
    for ppm in (-40, 40):
        wall = WallClock(UTC)
        last = None
        for number in range(0, 3 * HOUR, 5):
            run_wall(wall, range(number, number + 1), [3_000, 9_000, 1_000], ppm)
            at = wall.recorder_us(RUN_BASE_US + number * FRAME_US)
            if last is not None and number > 200:
                slew = abs(at - last - 5 * FRAME_US)
                assert slew <= 5 * FRAME_US * SLEW_PPM // 1_000_000 + 5
            last = at
        true = UTC + 1_000_000 + number * FRAME_US - number * FRAME_US * ppm // 1_000_000
        assert last is not None and abs(last - true) < FRAME_US


def test_a_network_that_holds_back_and_catches_up_moves_nothing() -> None:
    wall = WallClock(UTC)
    run_wall(wall, range(200))
    for number in range(200, 300):
        arrived = 1_000_000 + max(number * FRAME_US, 12_000_000)
        assert wall.observe(RUN_BASE_US + number * FRAME_US, arrived, None) is None
    assert not run_wall(wall, range(300, 600))
    assert abs(wall.recorder_us(RUN_BASE_US) - UTC - 1_000_000) < 2_000


def test_a_camera_whose_clock_paused_is_tied_again() -> None:
    wall = WallClock(UTC)
    run_wall(wall, range(200))
    jumps = run_wall(wall, range(200, 400), [4_000_000])
    (jump,) = jumps
    assert jump.file_us == RUN_BASE_US + 200 * FRAME_US
    assert jump.after_us - jump.before_us == 4_000_000
    assert wall.recorder_us(RUN_BASE_US + 300 * FRAME_US) == UTC + 5_000_000 + 300 * FRAME_US


def test_the_cameras_clock_is_reckoned_back_to_the_runs_start() -> None:
    wall = WallClock(UTC)
    run_wall(wall, range(50))
    reported = RUN_BASE_US + 50 * FRAME_US
    wall.observe(reported, 1_000_000 + 50 * FRAME_US, UTC - 7_000_000)
    assert wall.camera_us(RUN_BASE_US) == UTC - 7_000_000 - 50 * FRAME_US
    assert wall.quality(RUN_BASE_US) is ClockQuality.EXTRAPOLATED
    assert wall.quality(reported) is ClockQuality.CAMERA


def test_tracks_keep_their_offset() -> None:
    run = RunTimer((90_000, 8000), 0, UTC)
    first = run.place(0, 4_000_000, 9_000_000)
    assert run.file_us(0, first) == RUN_BASE_US
    # Sound that was made a little earlier comes a little later.
    sound = run.place(1, 4_000_000 * 8000 // 90_000 - 800, 9_020_000)
    assert abs(run.file_us(1, sound) - RUN_BASE_US + 100_000) < 200


def test_sound_with_a_clock_of_its_own_is_placed_by_arrival() -> None:
    run = RunTimer((90_000, 8000), 0, UTC)
    run.place(0, 4_000_000, 9_000_000)
    sound = run.place(1, 0, 9_500_000)
    assert run.file_us(1, sound) == RUN_BASE_US + 500_000
    assert run.place(1, 160, 9_520_000) == sound + 160


def test_a_camera_without_a_calendar_has_no_time() -> None:
    wall = WallClock(UTC)
    for nonsense in (-2_208_988_800_000_000, 0, 2**62):
        wall.observe(RUN_BASE_US, 1_000_000, nonsense)
    assert wall.camera_us(RUN_BASE_US) is None
