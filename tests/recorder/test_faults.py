"""Cameras that misbehave, all at the same time: causes, health, and what is still recorded."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.desk import Left
from support.recording import (
    SECOND,
    Recording,
    assert_every_frame,
    assert_plays,
    recording,
    stored_frames,
    wanted_stream,
)
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.wait import wait_until

from bidwitness.simulator.stamps import read_sei
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.words import GapCause, Health

FAULTS: dict[str, dict[str, object]] = {
    "drop": {"seconds": 6},
    "stall": {"seconds": 12},
    "pause": {"seconds": 3},
    "silent": {"seconds": 6},
    "jump": {"ms": 5000},
    "back": {"ms": -5000},
    "repeat": {"seconds": 2},
    "skew": {"ms": 90_000},
    "garbage": {"seconds": 2},
    "resolution": {"width": 480, "height": 270},
    "none": {},
}
KINDS = {"pause": "stall", "back": "jump"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator([small_camera(name, title="room") for name in FAULTS]) as running:
        yield running


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator) -> Recording:
    """Record, spoil each camera in its way, and go on until all are well again."""
    wanted = [wanted_stream(f"{name}_main", simulator.url(name)) for name in FAULTS]
    with recording(tmp_path_factory.mktemp("faulted"), wanted) as running:
        running.wait_for_segments(1)
        for name, more in FAULTS.items():
            if name != "none":
                simulator.fault(KINDS.get(name, name), name, "main", **more)
        spoiled = time.monotonic()
        for name in ("drop", "stall"):
            worker = running.workers[f"{name}_main"]
            wait_until(lambda w=worker: w.state().state is not Health.OK, 5, f"{name} to show")
        assert time.monotonic() - spoiled < 5
        silent = running.workers["silent_main"]
        wait_until(lambda: silent.state().cause is GapCause.NO_AUDIO, 10, "silence to show")
        wait_until(
            lambda: (
                all(worker.state().state is Health.OK for worker in running.workers.values())
                and time.monotonic() - spoiled > 14
            ),
            60,
            "all cameras to be well again",
        )
        counts = {name: len(running.left(name).segments) for name in running.workers}
        wait_until(
            lambda: all(len(running.left(n).segments) > counts[n] for n in running.workers),
            30,
            "another segment of each",
        )
    return running


def readable_numbers(left: Left) -> list[int]:
    """Give the numbers of the stored pictures that have not become noise, in their order."""
    found: list[int] = []
    for path in left.paths:
        for piece in list(split_pieces([path.read_bytes()]))[1:]:
            if read_fragment(piece.data).track == 1:
                samples = read_samples(piece.data)
                data = [piece.data[s.offset : s.offset + s.size] for s in samples]
                found += [stamp.frame for body in data if (stamp := read_sei(body)) is not None]
    return found


def gaps(faulted: Recording, name: str, medium: str = "all") -> list[tuple[str, float]]:
    """(cause, seconds) of a camera's gaps."""
    found = faulted.left(f"{name}_main").gaps
    return [(g.cause, (g.end - g.start) / SECOND) for g in found if g.medium == medium]


def test_nothing_is_missing_without_a_cause(faulted: Recording) -> None:
    """From the first instant to the last, each is in a segment or in a gap."""
    for name in faulted.workers:
        left = faulted.left(name)
        until = left.segments[0].start
        for item in sorted([*left.segments, *left.gaps], key=lambda item: item.start):
            if item in left.gaps and item.medium != "all":
                continue
            assert item.start <= until + 1, f"{name}: nothing from {until} to {item.start}"
            until = max(until, item.end)
        if name != "garbage_main":
            assert_plays(left)


def test_the_camera_beside_them_is_untouched(faulted: Recording) -> None:
    assert_every_frame(faulted.left("none_main"))
    assert gaps(faulted, "none") == []
    assert len({s.run for s in faulted.left("none_main").segments}) == 1


def test_a_dropped_connection(faulted: Recording) -> None:
    ((cause, length),) = gaps(faulted, "drop")
    assert cause in ("network", "offline") and 6 <= length < 13


def test_a_stalled_camera(faulted: Recording) -> None:
    found = gaps(faulted, "stall")
    assert {cause for cause, _ in found} <= {"stall", "offline"}
    assert 12 <= sum(length for _, length in found) < 24


def test_a_short_pause_is_a_gap_within_the_run(faulted: Recording) -> None:
    ((cause, length),) = gaps(faulted, "pause")
    assert cause == "stall" and 2.9 <= length <= 3.2
    assert len({s.run for s in faulted.left("pause_main").segments}) == 1


def test_silence(faulted: Recording) -> None:
    found = gaps(faulted, "silent", "sound")
    assert {cause for cause, _ in found} == {"no_audio"}
    assert 5.5 <= sum(length for _, length in found) <= 6.6
    assert_every_frame(faulted.left("silent_main"))
    assert gaps(faulted, "silent") == []


@pytest.mark.parametrize("name", ["jump", "back", "repeat", "skew"])
def test_bad_stamps_lose_no_frame_and_bend_no_instant(faulted: Recording, name: str) -> None:
    left = faulted.left(f"{name}_main")
    frames = assert_every_frame(left)
    assert gaps(faulted, name) == []
    # On a busy machine the cameras themselves are late, all of them alike.
    beside = {f.stamp.frame: f.wall_us for f in stored_frames(faulted.left("none_main"))}
    late = [abs(f.wall_us - beside.get(f.stamp.frame, f.stamp.utc_us)) for f in frames]
    off = [by for by in late if by > 120_000]
    # While the stamps stand still there is only the arrival to go by; then they are right again.
    allowed = 60 if name == "repeat" else 0
    assert len(off) <= allowed and max(late) <= SECOND, f"{len(off)} off by up to {max(late)} µs"
    assert late[-1] <= 120_000


def test_garbage_costs_what_was_garbage_and_what_is_stated(faulted: Recording) -> None:
    """Noise in good packets is kept as it came, or the connection ends. Around it nothing is lost."""
    numbers = readable_numbers(faulted.left("garbage_main"))
    assert numbers == sorted(set(numbers))
    holes = [(a, b) for a, b in pairwise(numbers) if b != a + 1]
    first, last = holes[0][0], holes[-1][1]
    assert last - first < 25 * 9 and numbers[-1] > last + 25
    # Two seconds were noise, and the key frame to begin again with may be a second away.
    lost_s = sum(b - a - 1 for a, b in holes) / 25 - 3
    assert sum(length for _, length in gaps(faulted, "garbage")) >= lost_s


def test_a_camera_whose_clock_is_set_is_told_apart_from_ours(faulted: Recording) -> None:
    """Its sender reports name another time from then on; where its footage lies does not change."""
    anchors = [anchor for s in faulted.left("skew_main").segments for anchor in s.anchors]
    off = [a.camera_us - a.recorder_us for a in anchors if a.camera_us is not None]
    assert abs(off[0]) <= 120_000 and abs(off[-1] - 90 * SECOND) <= 120_000
    assert all(min(abs(by), abs(by - 90 * SECOND)) <= 120_000 for by in off)


def test_another_size_goes_on_in_the_same_run(faulted: Recording) -> None:
    left = faulted.left("resolution_main")
    assert len({s.run for s in left.segments}) == 1 and len({s.init for s in left.segments}) == 2
    assert gaps(faulted, "resolution") == []
    assert_every_frame(left)


def test_frames_after_a_fault_are_the_cameras_own(faulted: Recording) -> None:
    for name in ("drop", "stall", "pause"):
        frames = [frame.stamp.frame for frame in stored_frames(faulted.left(f"{name}_main"))]
        assert frames == sorted(set(frames))
