"""The wall of a run: tied to the least delayed picture, moved slowly, told of pauses."""

from bidwitness.recorder.timing import (
    RUN_BASE_US,
    SLEW_PPM,
    RunTimer,
    WallClock,
    WallJump,
)
from bidwitness.words import ClockQuality

FRAME_US = 40_000
UTC = 1_700_000_000_000_000
HOUR = 90_000


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


def test_a_night_of_drift_with_the_wrap_in_it_ends_where_time_does() -> None:
    """14 hours of a camera whose clock is off by 150 ppm, whose RTP count wraps after 13 h 15 m,
    on a network that jitters: file ticks and instants follow real time, and nothing is bent."""
    for ppm in (-150, 150):
        run = RunTimer((90_000,), 0, UTC)
        start, step_us = 2**32 - 13 * 3600 * 90_000, 500_000
        last_wall = None
        for number in range(14 * 3600 * 2):
            made_us = number * step_us
            stamp = (start + made_us * 9 // 100 * (1_000_000 + ppm) // 1_000_000) % 2**32
            arrived = 1_000_000 + made_us + (number * 7919 % 13) * 3_000
            ticks = run.place(0, stamp, arrived)
            run.observe(ticks, arrived, None)
            wall = run.wall.recorder_us(run.file_us(0, ticks))
            assert abs(wall - (UTC + 1_000_000 + made_us)) <= 60_000, (ppm, number)
            assert last_wall is None or abs(wall - last_wall - step_us) <= 40_000
            last_wall = wall
        assert run.corrected == 0


def test_a_camera_that_sets_its_clock_moves_no_instant_of_ours() -> None:
    wall = WallClock(UTC)
    for number in range(500):
        file_us = RUN_BASE_US + number * FRAME_US
        set_to = 3_600_000_000 if number >= 250 else 0
        wall.observe(file_us, 1_000_000 + number * FRAME_US, UTC + number * FRAME_US + set_to)
        assert wall.recorder_us(file_us) == UTC + 1_000_000 + number * FRAME_US
    before, after = RUN_BASE_US + 249 * FRAME_US, RUN_BASE_US + 250 * FRAME_US
    assert wall.camera_us(before) == UTC + 249 * FRAME_US
    assert wall.camera_us(after) == UTC + 250 * FRAME_US + 3_600_000_000
