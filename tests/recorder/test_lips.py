"""Sound and picture, when the camera says only later how they belong together."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.desk import UTC0, Desk
from support.fake_source import FakeCamera

from bidwitness.recorder.lips import APART_US
from bidwitness.recorder.packets import Packet
from bidwitness.recorder.timing import RunTimer
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.storage.spool.blob import WallPoint, wall_at

US = 1_000_000
FRAME_US, SOUND_US = 40_000, 20_000
UTC = 1_700_000_000_000_000
MONOTONIC = 5 * US
CAMERA_UTC = 1_600_000_000_000_000
# A packet of the fake camera's sound comes so long after its first sample.
SOUND_LASTS_US = 21_000


class Camera:
    """25 pictures and 50 packets of sound a second, sound stamped ``wrong_us`` too late.

    ``reports``: the seconds at which each track's report comes, told by all that follows.
    """

    def __init__(self, wrong_us: int, *reports: float | None) -> None:
        self.run = RunTimer((90_000, 8000), 0, UTC)
        self.reports = reports
        self.wrong_us = wrong_us
        # By how much the camera's clock is off: of the picture's and of the sound's reports.
        self.clock_us = [0, 0]
        self.at_us = 0
        self.pictures: list[tuple[int, int, int]] = []
        self.sounds: list[tuple[int, int]] = []

    def said(self, track: int, at_us: int) -> int | None:
        since = self.reports[track]
        known = since is not None and at_us >= since * US
        return UTC + at_us + self.clock_us[track] if known else None

    def record(self, seconds: float) -> "Camera":
        for at in range(self.at_us, self.at_us + round(seconds * US), SOUND_US):
            arrived = MONOTONIC + at
            if at % FRAME_US == 0:
                ticks = self.run.place(0, at * 9 // 100, arrived)
                self.run.observe(ticks, arrived, self.said(0, at))
                wall = self.run.wall.recorder_us(self.run.file_us(0, ticks))
                self.pictures.append((at, self.run.file_us(0, ticks), wall))
            ticks = self.run.place(1, (at + self.wrong_us) * 8 // 1000, arrived)
            if (said := self.said(1, at)) is not None:
                self.run.hear(1, ticks, said, arrived)
            self.sounds.append((at, self.run.file_us(1, ticks)))
        self.at_us += round(seconds * US)
        return self

    @property
    def apart_us(self) -> int:
        """How much too late the newest sound lies against the newest picture."""
        (picture_at, picture, _), (sound_at, sound) = self.pictures[-1], self.sounds[-1]
        return (sound - picture) - (sound_at - picture_at)


@pytest.mark.parametrize("reports", [(0, 0), (3, 1), (1, 3), (5, 5), (40, 20)])
@pytest.mark.parametrize("wrong_us", [-87_000, 87_000, 25_000])
def test_late_reports_bring_the_picture_to_its_sound(
    wrong_us: int, reports: tuple[float, float]
) -> None:
    camera = Camera(wrong_us, *reports).record(5)
    assert abs(camera.apart_us - wrong_us) < 200
    camera.record(65)
    assert abs(camera.apart_us) < 1000
    # Nothing leaps, nothing stands still, and no picture leaves its instant.
    steps = [b[1] - a[1] for a, b in zip(camera.pictures, camera.pictures[1:], strict=False)]
    assert min(steps) >= FRAME_US * 97 // 100 and max(steps) <= FRAME_US * 103 // 100
    assert all(abs(wall - UTC - MONOTONIC - at) < 1000 for at, _, wall in camera.pictures)
    heard = [b[1] - a[1] for a, b in zip(camera.sounds, camera.sounds[1:], strict=False)]
    assert set(heard) == {SOUND_US}
    assert camera.run.corrected == 0


@pytest.mark.parametrize("reports", [(None, None), (1, None), (None, 1)])
def test_without_reports_of_both_what_was_assumed_stays(
    reports: tuple[float | None, float | None],
) -> None:
    camera = Camera(87_000, *reports).record(40)
    assert abs(camera.apart_us - 87_000) < 200


@pytest.mark.parametrize("wrong_us", [APART_US - 1000, 1_200_000])
def test_what_nobody_notices_and_what_cannot_be_stay(wrong_us: int) -> None:
    camera = Camera(wrong_us, 0, 0).record(40)
    # More than two seconds apart would not be placed by its stamps at all.
    assert abs(camera.apart_us - wrong_us) < 200


def test_a_camera_that_sets_its_clock_moves_nothing() -> None:
    camera = Camera(0, 0, 0).record(30)
    camera.clock_us[0] = 300_000
    camera.record(6)
    camera.clock_us[1] = 300_000
    camera.record(30)
    assert abs(camera.apart_us) < 200


def late_sound(packets: list[Packet], by_us: int) -> list[Packet]:
    """Stamp the sound later than it is."""
    ticks = by_us * 8 // 1000
    return [
        replace(p, pts=(p.pts or 0) + ticks, dts=(p.dts or 0) + ticks) if p.track else p
        for p in packets
    ]


def picture_ticks(path: Path) -> list[int]:
    """Give the tick of every picture of a segment."""
    return [
        sample.dts
        for piece in split_pieces([path.read_bytes()])
        if not piece.is_init and read_fragment(piece.data).track == 1
        for sample in read_samples(piece.data)
    ]


def test_a_picture_on_the_move_keeps_its_instants(tmp_path: Path) -> None:
    seconds, wrong_us = 26, 80_000
    packets = [
        replace(p, camera_us=CAMERA_UTC + p.arrived_us - p.track * SOUND_LASTS_US)
        for p in late_sound(FakeCamera(seconds=seconds).packets(), wrong_us)
    ]
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(FakeCamera().tracks, segment_s=20)
    desk.play(segmenter, packets)
    desk.finish(segmenter)
    left = desk.left()
    assert left.gaps == []
    instants = [
        wall_at([WallPoint(a.pts, a.recorder_us) for a in segment.anchors], ticks, 90_000)
        for path, segment in zip(left.paths, left.segments, strict=True)
        for ticks in picture_ticks(path)
    ]
    assert len(instants) == seconds * 25
    off = [abs(at - UTC0 - n * FRAME_US) for n, at in enumerate(instants)]
    assert max(off) <= 12_000
    # It was moved at all: its file time no longer runs with its instants.
    first, last = left.fragments_of(1)[0], left.fragments_of(1)[-1]
    file_us = (sum(last) - first[0]) * 100 // 9
    assert abs(abs(file_us - seconds * US) - wrong_us) < 1000
