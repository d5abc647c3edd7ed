"""What happens between recorder and camera: cables cut, cameras that forget, restart or talk noise.

Each camera hangs on a cable of its own and all suffer at the same time; the clocks of cameras are
looked at on the way. What is missing is found by the numbers in the stored pictures.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from support.cable import Cable, laid
from support.recording import (
    SECOND,
    Recording,
    StoredFrame,
    assert_every_frame,
    assert_plays,
    recording,
    stored_frames,
    wanted_stream,
)
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.wait import wait_until

from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.words import Health

FRAME_US = 40_000
CUT_S = 9.0
CAMERAS: dict[str, dict[str, object]] = {
    "beside": {},
    "short": {},
    "cut": {},
    "forgets": {},
    "noise": {},
    "reboots": {"report_delay": 2},
    "far": {},
    "wraps": {"wrap_seconds": 9},
    "late": {"report_delay": 2},
    "silent": {"report_delay": 60},
}
# How much later everything comes from the far camera.
FAR_S = 0.05


@dataclass
class Suffered:
    """A recording, and when things happened (µs UTC)."""

    recording: Recording
    simulator: RunningSimulator
    dialled: dict[str, int]
    # How late the cameras themselves were at worst, on a busy machine.
    late_us: int = 0
    at: dict[str, int] = field(default_factory=dict)

    def frames(self, name: str) -> list[StoredFrame]:
        return stored_frames(self.recording.left(name))

    def segments(self, name: str) -> list[SegmentFacts]:
        return self.recording.left(name).segments

    def gaps(self, name: str) -> list[GapFacts]:
        return [gap for gap in self.recording.left(name).gaps if gap.medium == "all"]


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture(scope="module")
def suffered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suffered]:
    specs = [small_camera(name, title="room", **more) for name, more in CAMERAS.items()]
    with ExitStack() as stack:
        cameras = stack.enter_context(running_simulator(specs))
        # The same camera after its restart: other numbers everywhere.
        reborn = stack.enter_context(running_simulator([s for s in specs if s.name == "reboots"]))
        cables = {
            name: stack.enter_context(laid(cameras.url(name), FAR_S if name == "far" else 0))
            for name in CAMERAS
        }
        wanted = [wanted_stream(name, cables[name].url(cameras.url(name))) for name in CAMERAS]
        volume = tmp_path_factory.mktemp("suffered")
        running = stack.enter_context(recording(volume, wanted))
        running.wait_for_segments(1)
        done = Suffered(running, cameras, {name: cable.dialled for name, cable in cables.items()})
        _suffer(done, cables, reborn)
        counts = {name: len(done.segments(name)) for name in CAMERAS}
        wait_until(
            lambda: all(len(done.segments(name)) > counts[name] for name in CAMERAS),
            40,
            "another segment of each",
        )
        running.stop()
        done.late_us = cameras.status()["late_us"]
        done.dialled = {name: cables[name].dialled - done.dialled[name] for name in CAMERAS}
        yield done


def _suffer(done: Suffered, cables: dict[str, Cable], reborn: RunningSimulator) -> None:
    begun = time.monotonic()
    for name in ("cut", "short"):
        done.at[name] = now_us()
        cables[name].cut()
    cables["forgets"].forget()
    cables["noise"].spoil(40_000)
    done.at["noise"] = now_us()
    parts = urlsplit(reborn.url("reboots"))
    assert parts.hostname is not None and parts.port is not None
    cables["reboots"].reboot((parts.hostname, parts.port))
    workers = done.recording.workers
    hurt = ("cut", "forgets", "reboots")
    wait_until(
        lambda: all(workers[name].state().state is not Health.OK for name in hurt),
        5,
        "what is cut to show",
    )
    wait_until(lambda: time.monotonic() - begun > 2.5, 5, "a short cut")
    cables["short"].join()
    cables["reboots"].booted()
    wait_until(lambda: time.monotonic() - begun > CUT_S, 15, "a long cut")
    cables["cut"].join()
    wait_until(
        lambda: all(worker.state().state is Health.OK for worker in workers.values()),
        40,
        "all to be well again",
    )


def holes(frames: Sequence[StoredFrame]) -> list[tuple[StoredFrame, StoredFrame]]:
    """Give the pictures around each hole in the numbers."""
    return [
        (before, after)
        for before, after in pairwise(frames)
        if after.stamp.utc_us - before.stamp.utc_us != FRAME_US
    ]


def assert_one_stated_hole(suffered: Suffered, name: str, causes: set[str]) -> float:
    """All frames are there but those of one gap, which says so exactly. Gives its seconds."""
    assert_plays(suffered.recording.left(name))
    ((before, after),) = holes(suffered.frames(name))
    missing_us = after.stamp.utc_us - before.stamp.utc_us - FRAME_US
    gaps = sorted(suffered.gaps(name), key=lambda gap: gap.start)
    assert {gap.cause for gap in gaps} <= causes
    assert all(one.end == other.start for one, other in pairwise(gaps))
    old = next(s for s in suffered.segments(name) if s.end == gaps[0].start)
    new = next(s for s in suffered.segments(name) if s.start == gaps[-1].end)
    assert old.run != new.run
    assert abs(gaps[-1].end - gaps[0].start - missing_us) <= 120_000
    return missing_us / SECOND


def assert_nothing_happened(suffered: Suffered, name: str) -> list[StoredFrame]:
    """Every frame is there, in one run, at its instant."""
    frames = assert_every_frame(suffered.recording.left(name))
    assert suffered.gaps(name) == []
    assert len({segment.run for segment in suffered.segments(name)}) == 1
    assert suffered.dialled[name] == 0
    return frames


def assert_at_their_instants(suffered: Suffered, frames: Sequence[StoredFrame]) -> None:
    late = max(abs(frame.wall_us - frame.stamp.utc_us) for frame in frames)
    assert late <= 120_000 + suffered.late_us


def camera_errors_us(suffered: Suffered, name: str) -> list[int]:
    """Give how far the camera's UTC in each segment's first anchor is from the picture's own."""
    left = suffered.recording.left(name)
    errors = []
    by_wall = {frame.wall_us: frame.stamp.utc_us for frame in suffered.frames(name)}
    for segment in left.segments:
        anchor = segment.anchors[0]
        nearest = min(by_wall, key=lambda wall: abs(wall - anchor.recorder_us))
        assert abs(nearest - anchor.recorder_us) <= 2 and anchor.camera_us is not None
        errors.append(anchor.camera_us - by_wall[nearest])
    return errors


def test_a_cable_that_is_cut(suffered: Suffered) -> None:
    missing = assert_one_stated_hole(suffered, "cut", {"stall", "offline"})
    # Found after five seconds; then it is dialled again and again.
    assert CUT_S - 1 <= missing <= CUT_S + 14
    ((before, _),) = holes(suffered.frames("cut"))
    assert before.stamp.utc_us >= suffered.at["cut"] - SECOND // 2


def test_a_cable_that_is_plugged_in_again_at_once_costs_nothing(suffered: Suffered) -> None:
    frames = assert_nothing_happened(suffered, "short")
    assert_at_their_instants(suffered, frames)


def test_a_camera_that_forgot_the_connection_is_left_after_five_seconds(
    suffered: Suffered,
) -> None:
    missing = assert_one_stated_hole(suffered, "forgets", {"stall"})
    assert 4 <= missing <= 9
    # Once to ask what it is, once to pull.
    assert suffered.dialled["forgets"] == 2


def test_a_camera_that_restarts(suffered: Suffered) -> None:
    missing = assert_one_stated_hole(suffered, "reboots", {"network", "offline"})
    assert 2 <= missing <= 9
    assert_at_their_instants(suffered, suffered.frames("reboots"))
    last = suffered.segments("reboots")[-1]
    assert last.quality in ("camera", "extrapolated")


def test_noise_on_the_line_costs_seconds_and_no_more(suffered: Suffered) -> None:
    frames = suffered.frames("noise")
    around = suffered.at["noise"] - SECOND, suffered.at["noise"] + 12 * SECOND
    for before, after in holes(frames):
        assert around[0] <= before.stamp.utc_us and after.stamp.utc_us <= around[1]
        if after.stamp.utc_us - before.stamp.utc_us > SECOND + FRAME_US:
            middle = (before.wall_us + after.wall_us) // 2
            assert any(gap.start <= middle < gap.end for gap in suffered.gaps("noise"))
    assert frames[-1].stamp.utc_us > around[1]


def test_the_camera_beside_them_is_untouched(suffered: Suffered) -> None:
    assert_nothing_happened(suffered, "beside")


def test_the_count_of_rtp_wraps_without_a_trace(suffered: Suffered) -> None:
    frames = assert_nothing_happened(suffered, "wraps")
    assert frames[-1].stamp.utc_us - frames[0].stamp.utc_us > 10 * SECOND
    assert_at_their_instants(suffered, frames)
    assert max(map(abs, camera_errors_us(suffered, "wraps"))) <= 2000


@pytest.mark.parametrize("name", ["beside", "late"])
def test_the_cameras_own_time_is_known_from_the_first_picture(
    suffered: Suffered, name: str
) -> None:
    first = suffered.segments(name)[0]
    assert first.quality == ("extrapolated" if name == "late" else "camera")
    # libav may tie a first report that comes between two pictures to the one before.
    allowed = FRAME_US + 2000 if name == "late" else 2000
    assert max(map(abs, camera_errors_us(suffered, name))) <= allowed


def test_a_camera_that_never_says_its_time_is_placed_by_arrival(suffered: Suffered) -> None:
    frames = assert_nothing_happened(suffered, "silent")
    assert {segment.quality for segment in suffered.segments("silent")} == {"arrival"}
    anchors = [anchor for s in suffered.segments("silent") for anchor in s.anchors]
    assert {anchor.camera_us for anchor in anchors} == {None}
    assert_at_their_instants(suffered, frames)


def test_streams_are_within_a_tenth_of_a_second(suffered: Suffered) -> None:
    """Cameras with reports, one of them half of that away."""
    names = ("beside", "short", "far", "wraps", "late")
    walls = [{f.stamp.utc_us: f.wall_us for f in suffered.frames(name)} for name in names]
    common = set.intersection(*(set(wall) for wall in walls))
    assert len(common) > 250
    spreads = [max(w[at] for w in walls) - min(w[at] for w in walls) for at in common]
    assert max(spreads) <= 100_000 + suffered.late_us, f"apart by up to {max(spreads)} µs"
