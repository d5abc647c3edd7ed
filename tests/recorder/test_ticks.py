"""File ticks: true stamps are kept, untrue ones never stop or bend the recording."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.recorder.ticks import TrackTimer

FRAME = 3600
FRAME_US = 40_000


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


def test_what_waited_in_the_camera_keeps_its_stamps() -> None:
    """Some send at once what they have of the running GOP, here eight seconds of it."""
    stamps = line(300)
    arrivals = [i * 500 if i < 200 else 100_000 + (i - 200) * FRAME_US for i in range(300)]
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
    assert ticks[-1] * 100 // 9 <= arrivals[-1] - arrivals[0] + 10_000_000 + len(ticks) * 250_000


def real(stamps: list[int | None]) -> list[int]:
    """Give the microseconds between pictures that arrive as time passes."""
    return [round((b - a) * 100 / 9) for a, b in pairwise(placed(stamps))]


def test_stamps_at_another_pace_than_time_are_placed_by_arrival() -> None:
    """A camera says 25 frames a second and sends 21, or counts twice as fast as it declares."""
    for step in (FRAME * 21 // 25, FRAME * 25 // 21, 2 * FRAME):
        ticks = placed([number * step for number in range(25 * 120)])
        assert all(a < b for a, b in pairwise(ticks))
        # After the first ten seconds file time runs as time does.
        late = ticks[25 * 20 :]
        elapsed = (late[-1] - late[0]) / FRAME
        assert abs(elapsed - (len(late) - 1)) < 2, step
        # And never is it further away than those ten seconds brought it, the doubled one aside.
        true = [number * FRAME for number in range(len(ticks))]
        assert max(abs(a - b) for a, b in zip(ticks, true, strict=True)) <= 11 * 90_000


def test_a_camera_that_comes_to_its_senses_is_believed_again() -> None:
    slow = [number * (FRAME * 3 // 4) for number in range(25 * 20)]
    true: list[int | None] = [slow[-1] + (n + 1) * FRAME for n in range(25 * 60)]
    ticks = placed([*slow, *true])
    assert {b - a for a, b in pairwise(ticks[-100:])} == {FRAME}


def test_a_busy_network_alone_is_no_wrong_pace() -> None:
    stamps = line(25 * 60)
    arrivals = [i * FRAME_US + (i * 7919 % 13) * 50_000 for i in range(25 * 60)]
    assert placed(stamps, sorted(arrivals)) == stamps
