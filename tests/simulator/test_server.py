"""Faults on demand, as a viewer meets them; the status address."""

import itertools
import threading
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import av
import pytest
from support.pull import Picture, Pulled, pull
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FPS, LOOP_FRAMES

STEP = 90_000 // FPS


@dataclass(frozen=True)
class Meeting:
    """A fault, met by a viewer that pulls for ``seconds``. Each has a camera of its own."""

    seconds: float
    fault: dict[str, Any]


MEETINGS = {
    "drop": Meeting(30, {"kind": "drop", "seconds": 60}),
    "stall": Meeting(5, {"kind": "stall", "seconds": 1.6}),
    "forth": Meeting(4, {"kind": "jump", "ms": 5_000}),
    "back": Meeting(4, {"kind": "jump", "ms": -5_000}),
    "repeat": Meeting(4, {"kind": "repeat", "seconds": 0.4}),
    "garbage": Meeting(5, {"kind": "garbage", "seconds": 1}),
    "resolution": Meeting(6, {"kind": "resolution", "width": 480, "height": 270, "seconds": 2}),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    """Cameras that these tests may harm."""
    specs = [small_camera(name, title="faulty") for name in MEETINGS]
    specs += [small_camera("a", title="faulty"), small_camera("b", title="faulty", join="now")]
    with running_simulator(specs) as running:
        yield running


@pytest.fixture(scope="module")
def met(simulator: RunningSimulator) -> dict[str, Pulled]:
    """What each viewer got; all at once, as they mostly wait."""
    with ThreadPoolExecutor(len(MEETINGS)) as pool:
        return dict(zip(MEETINGS, pool.map(lambda n: meet(simulator, n), MEETINGS), strict=True))


def meet(simulator: RunningSimulator, name: str) -> Pulled:
    """Pull a camera and set its fault once its pictures flow."""
    meeting = MEETINGS[name]
    flowing = threading.Event()

    def enough(pulled: Pulled) -> bool:
        if len(pulled.pictures) > FPS:
            flowing.set()
        return False

    url = simulator.url(name)
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(pull, url, seconds=meeting.seconds, enough=enough)
        assert flowing.wait(20)
        simulator.fault(camera=name, **meeting.fault)
        return pulling.result()


@pytest.fixture
def healing(simulator: RunningSimulator) -> Iterator[RunningSimulator]:
    """The simulator, whose faults end with the test."""
    yield simulator
    simulator.clear_faults()


def timed(pulled: Pulled) -> list[tuple[Picture, int, int]]:
    """The pictures that have a stamp and a time: (picture, frame, pts)."""
    return [(p, p.stamp.frame, p.pts) for p in pulled.pictures if p.stamp and p.pts is not None]


def test_drop_closes_and_refuses_and_comes_back_with_the_right_frame(
    healing: RunningSimulator, met: dict[str, Pulled]
) -> None:
    pulled = met["drop"]
    assert FPS < len(pulled.frames) < 10 * FPS
    before = healing.status()["connections_total"]
    healing.fault("drop", "drop", seconds=60)
    with pytest.raises(av.error.FFmpegError):
        pull(healing.url("drop"))
    assert pull(healing.url("b"), seconds=1).frames, "another camera is harmed"
    healing.clear_faults()
    after = pull(healing.url("drop"), seconds=1)
    assert after.frames[0] > pulled.frames[-1] + FPS
    for picture in after.pictures:
        assert picture.stamp
        assert picture.stamp.utc_us == healing.instant_us(picture.stamp.frame)
    assert healing.status()["connections_total"] >= before + 3


def test_stall_keeps_the_connection_and_skips_what_was_not_sent(met: dict[str, Pulled]) -> None:
    pulled = met["stall"]
    assert pulled.error is None
    (hole,) = [
        (b, q - p) for (_, a, p), (_, b, q) in itertools.pairwise(timed(pulled)) if b != a + 1
    ]
    after, ticks = hole
    lost = ticks // STEP - 1
    assert 39 <= lost <= 42
    assert after in pulled.frames
    arrived = [p.arrived_us for p in pulled.pictures]
    assert max(b - a for a, b in itertools.pairwise(arrived)) > 1_400_000


def test_a_silent_track_is_declared_and_empty(healing: RunningSimulator) -> None:
    healing.fault("silent", "a", "main")
    pulled = pull(healing.url("a"), seconds=2)
    assert pulled.codecs["audio"] == "pcm_alaw"
    assert pulled.sounds == []
    assert len(pulled.frames) >= 2 * FPS - 5
    assert pull(healing.url("a", "sub"), seconds=1).sounds, "the other stream is silent, too"


@pytest.mark.parametrize(("name", "ms"), [("forth", 5_000), ("back", -5_000)])
def test_jump_moves_all_timestamps_at_once(met: dict[str, Pulled], name: str, ms: int) -> None:
    rows = timed(met[name])
    assert [b - a for (_, a, _), (_, b, _) in itertools.pairwise(rows)] == [1] * (len(rows) - 1)
    leaps = {q - p for (_, _, p), (_, _, q) in itertools.pairwise(rows)} - {STEP}
    assert STEP + 90 * ms in leaps


def test_repeat_freezes_the_timestamp(met: dict[str, Pulled]) -> None:
    pulled = met["repeat"]
    frames = [p.stamp.frame for p in pulled.pictures if p.stamp]
    assert {b - a for a, b in itertools.pairwise(frames)} == {1}
    camera = [p.camera_us for p in pulled.pictures]
    still = sum(1 for a, b in itertools.pairwise(camera) if a == b)
    assert 8 <= still <= 12


def test_skew_moves_what_reports_say_and_nothing_else(healing: RunningSimulator) -> None:
    healing.fault("skew", "a", ms=-90_000)
    pulled = pull(healing.url("a"), seconds=1.5)
    off = {p.camera_us - p.stamp.utc_us for p in pulled.pictures if p.stamp and p.camera_us}
    assert off == {-90_000_000}
    assert {b - a for a, b in itertools.pairwise(pulled.frames)} == {1}


def test_garbage_is_noise_for_its_time(met: dict[str, Pulled]) -> None:
    pulled = met["garbage"]
    missing = pulled.frames[-1] - pulled.frames[0] + 1 - len(pulled.frames)
    assert 20 <= missing <= 30
    assert pulled.error is None


def test_resolution_changes_in_band_at_a_key_frame(met: dict[str, Pulled]) -> None:
    pulled = met["resolution"]
    context = av.CodecContext.create("h264", "r")
    sizes: list[int] = []
    numbers: list[int | None] = []
    for picture in pulled.pictures:
        for image in context.decode(av.Packet(picture.data)):
            sizes.append(image.width)
            numbers.append(read_bars(image.to_ndarray(format="gray")))
    numbers += [read_bars(image.to_ndarray(format="gray")) for image in context.decode(None)]
    assert [size for size, _ in itertools.groupby(sizes)] == [640, 480, 640]
    assert numbers == [frame % LOOP_FRAMES for frame in pulled.frames]


def test_status_names_viewers_and_faults(healing: RunningSimulator) -> None:
    healing.fault("stall", "b", "sub", seconds=60)
    status = healing.status()
    assert status["loop_frames"] == LOOP_FRAMES
    assert healing.instant_us(status["frame"]) <= status["utc_us"]
    state = healing.camera("b")["state"]
    assert (state["main"]["faults"], state["sub"]["faults"]) == ([], ["stall"])
    assert (state["main"]["codec"], state["main"]["width"]) == ("h264", 640)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "fire"}, 422),
        ({"kind": "stall"}, 422),
        ({"kind": "stall", "camera": "nobody", "seconds": 1}, 404),
    ],
)
def test_a_wrong_fault_is_answered_and_nothing_is_changed(
    simulator: RunningSimulator, fault: dict[str, Any], status: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        simulator.fault(**fault)
    with caught.value:
        assert caught.value.code == status
    for camera in simulator.status()["cameras"]:
        assert camera["state"]["main"]["faults"] == []


def test_join_now_may_begin_between_key_frames(simulator: RunningSimulator) -> None:
    firsts = [pull(simulator.url("b"), seconds=0.1).frames[0] % FPS for _ in range(3)]
    assert any(firsts)
