"""Frame n is sent at T0 + n * 40 ms, whatever is done to the system clock."""

from support.clock import START_US, FakeClock

from bidwitness.simulator.genlock import Genlock


def test_frames_count_from_a_full_sixteen_seconds_of_utc() -> None:
    clock = FakeClock(START_US + 123_456)
    genlock = Genlock(clock)
    assert genlock.t0_us % 16_000_000 == 0
    assert 0 <= START_US + 123_456 - genlock.t0_us < 16_000_000
    frame = genlock.frame_now()
    assert genlock.instant_us(frame) <= clock.utc_us() < genlock.instant_us(frame + 1)
    clock.advance(genlock.wait_us(frame + 1))
    assert genlock.frame_now() == frame + 1


def test_a_step_of_the_system_clock_moves_no_frame() -> None:
    clock = FakeClock()
    genlock = Genlock(clock)
    before = genlock.frame_now()
    clock.step(-3_600_000_000)
    assert genlock.frame_now() == before
    clock.advance(400_000)
    assert genlock.frame_now() == before + 10
