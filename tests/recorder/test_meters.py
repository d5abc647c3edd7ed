"""Key frames too far apart and frame rates that fall, judged by arrival alone."""

import pytest

from bidwitness.recorder.meters import GopMeter, LossMeter, RateWatch
from bidwitness.recorder.packets import Packet

SECOND = 1_000_000


def gop_of(distances_ms: list[int], then_ms: int = 0) -> int | None:
    """Key frames so far apart, 25 pictures a second between them, and a time after the last."""
    meter = GopMeter()
    at = 5 * SECOND
    meter.picture(at, key=True)
    for distance in distances_ms:
        for step in range(40, distance, 40):
            meter.picture(at + step * 1000, key=False)
        at += distance * 1000
        meter.picture(at, key=True)
    for step in range(40, then_ms + 1, 40):
        meter.picture(at + step * 1000, key=False)
    return meter.gop_ms


def test_the_longest_of_the_last_gops() -> None:
    assert gop_of([1000, 2000, 1000]) == 2000
    assert gop_of([8000, 1000, 1000, 1000, 1000]) == 1000


def test_a_gop_that_does_not_end_is_known_to_be_long_before_it_ends() -> None:
    assert gop_of([], then_ms=4000) is None
    assert gop_of([], then_ms=6000) == 6000
    assert gop_of([1000], then_ms=7000) == 7000


def test_a_key_frame_in_several_packets_is_one() -> None:
    meter = GopMeter()
    for second in range(4):
        for part in range(3):
            meter.picture(second * SECOND + part * 2000, key=True)
        for step in range(40, 1000, 40):
            meter.picture(second * SECOND + step * 1000, key=False)
    assert meter.gop_ms == 1000


def test_a_pause_is_no_long_gop() -> None:
    meter = GopMeter()
    for at in range(0, 3 * SECOND, 40_000):
        meter.picture(at, key=at % SECOND == 0)
    for at in range(20 * SECOND, 23 * SECOND, 40_000):
        meter.picture(at, key=at % SECOND == 0)
    assert meter.gop_ms == 1000
    meter.pause()
    assert meter.gop_ms is None


class Camera:
    """Sends pictures at a rate that may change."""

    def __init__(self, declared: int | None = None) -> None:
        self.watch = RateWatch()
        self.watch.declared_fps = declared
        self.watch.begin()
        self.now = 7 * SECOND

    def send(self, fps: int, seconds: int) -> bool | None:
        for _ in range(fps * seconds):
            self.now += SECOND // fps
            self.watch.picture(self.now)
        return self.watch.low


def test_a_rate_below_what_is_declared_is_low_from_the_start() -> None:
    assert Camera(declared=25).send(25, 30) is False
    assert Camera(declared=25).send(12, 15) is None
    assert Camera(declared=25).send(12, 35) is True


def test_a_rate_that_falls_below_what_it_used_to_be_is_low_until_it_is_back() -> None:
    camera = Camera()
    assert camera.send(25, 90) is False
    assert camera.send(20, 60) is False
    assert camera.send(10, 40) is True
    assert camera.send(17, 30) is True, "neither low nor well: it stays"
    assert camera.send(25, 20) is False
    assert camera.watch.centi_fps == pytest.approx(2500, abs=30)


def test_another_connection_remembers_what_the_camera_used_to_deliver() -> None:
    camera = Camera()
    camera.send(25, 90)
    camera.watch.begin()
    assert camera.watch.low is None
    assert camera.send(8, 40) is True


def test_after_a_day_what_is_delivered_is_the_usual() -> None:
    camera = Camera()
    camera.send(25, 90)
    assert camera.send(10, 60) is True
    camera.now += 25 * 3600 * SECOND
    camera.watch.begin()
    assert camera.send(10, 120) is False


def test_one_slow_measure_is_no_verdict() -> None:
    camera = Camera(declared=25)
    camera.send(25, 20)
    camera.send(10, 10)
    assert camera.send(25, 20) is False


def test_the_meter_counts_pictures_of_one_track_and_bytes_of_all() -> None:
    from bidwitness.recorder.meters import Meter

    meter = Meter()
    assert meter.read(0) == (None, None)
    for number in range(50):
        meter.count(Packet(number % 2, b"x" * 125, 0, 0, 0, True, 0), 0)
    assert meter.read(SECOND) == (2500, 50)


def test_lost_packets_are_a_share_of_the_last_minutes() -> None:
    meter = LossMeter()
    for second in range(10):
        meter.look(second * 400, 0, second * SECOND)
        assert (meter.ppm, meter.high) == (None, None), "too little is known"
    meter.look(4000, 0, 10 * SECOND)
    assert (meter.ppm, meter.high) == (0, False)
    lost = 0
    for second in range(11, 60):
        lost += 1
        meter.look(second * 400, lost, second * SECOND)
    assert meter.ppm is not None and 1500 < meter.ppm < 2500 and meter.high
    for second in range(60, 140):
        meter.look(second * 400, lost, second * SECOND)
    assert (meter.ppm, meter.high) == (0, False)
    meter.begin()
    assert meter.ppm is None


def test_a_few_lost_packets_are_high_only_where_it_was_high_before() -> None:
    meter, worse = LossMeter(), LossMeter()
    for second in range(200):
        # One of 2,500 all the time; the other first lost one of a hundred.
        meter.look(second * 2500, second, second * SECOND)
        early = 25 * min(second, 60)
        worse.look(second * 2500, second + early, second * SECOND)
    assert meter.high is False
    assert worse.ppm is not None and 200 < worse.ppm < 1000 and worse.high is True
