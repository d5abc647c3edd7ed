"""Faults on demand, as a viewer meets them; the status address."""

import itertools
import threading
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import pytest
from support.pull import Picture, Pulled, pull
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FPS, LOOP_FRAMES

STEP = 90_000 // FPS


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    """Cameras that these tests may harm."""
    with running_simulator([small_camera("a"), small_camera("b", join="now")]) as running:
        yield running


@pytest.fixture(autouse=True)
def _healed(simulator: RunningSimulator) -> Iterator[None]:
    yield
    simulator.clear_faults()


def meet(
    simulator: RunningSimulator, kind: str, *, seconds: float, for_seconds: float = 0, **more: Any
) -> Pulled:
    """Pull camera ``a`` for ``seconds`` and set a fault once its pictures flow."""
    flowing = threading.Event()

    def enough(pulled: Pulled) -> bool:
        if len(pulled.pictures) > FPS:
            flowing.set()
        return False

    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(pull, simulator.url("a"), seconds=seconds, enough=enough)
        assert flowing.wait(20)
        if for_seconds:
            more["seconds"] = for_seconds
        simulator.fault(kind, "a", **more)
        return pulling.result()


def timed(pulled: Pulled) -> list[tuple[Picture, int, int]]:
    """The pictures that have a stamp and a time: (picture, frame, pts)."""
    return [(p, p.stamp.frame, p.pts) for p in pulled.pictures if p.stamp and p.pts is not None]


def test_drop_closes_and_refuses_and_comes_back_with_the_right_frame(
    simulator: RunningSimulator,
) -> None:
    before = simulator.status()["connections_total"]
    pulled = meet(simulator, "drop", seconds=30, for_seconds=60)
    # The viewer was cut off within a second of its first pictures.
    assert FPS < len(pulled.frames) < 10 * FPS
    with pytest.raises(av.error.FFmpegError):
        pull(simulator.url("a"))
    assert pull(simulator.url("b"), seconds=1).frames, "another camera is harmed"
    simulator.clear_faults()
    after = pull(simulator.url("a"), seconds=1)
    assert after.frames[0] > pulled.frames[-1] + FPS
    for picture in after.pictures:
        assert picture.stamp
        assert picture.stamp.utc_us == simulator.instant_us(picture.stamp.frame)
    assert simulator.status()["connections_total"] >= before + 4


def test_stall_keeps_the_connection_and_skips_what_was_not_sent(
    simulator: RunningSimulator,
) -> None:
    pulled = meet(simulator, "stall", seconds=4, for_seconds=1.6)
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


def test_a_silent_track_is_declared_and_empty(simulator: RunningSimulator) -> None:
    simulator.fault("silent", "a", "main")
    pulled = pull(simulator.url("a"), seconds=2)
    assert pulled.codecs["audio"] == "pcm_alaw"
    assert pulled.sounds == []
    assert len(pulled.frames) >= 2 * FPS - 5
    assert pull(simulator.url("a", "sub"), seconds=1).sounds, "the other stream is silent, too"


@pytest.mark.parametrize("ms", [5_000, -5_000])
def test_jump_moves_all_timestamps_at_once(simulator: RunningSimulator, ms: int) -> None:
    pulled = meet(simulator, "jump", seconds=2.5, ms=ms)
    rows = timed(pulled)
    assert [b - a for (_, a, _), (_, b, _) in itertools.pairwise(rows)] == [1] * (len(rows) - 1)
    leaps = {q - p for (_, _, p), (_, _, q) in itertools.pairwise(rows)} - {STEP}
    assert STEP + 90 * ms in leaps


def test_repeat_freezes_the_timestamp(simulator: RunningSimulator) -> None:
    pulled = meet(simulator, "repeat", seconds=3, for_seconds=0.4)
    frames = [p.stamp.frame for p in pulled.pictures if p.stamp]
    assert {b - a for a, b in itertools.pairwise(frames)} == {1}
    camera = [p.camera_us for p in pulled.pictures]
    still = sum(1 for a, b in itertools.pairwise(camera) if a == b)
    assert 8 <= still <= 12


def test_skew_moves_what_reports_say_and_nothing_else(simulator: RunningSimulator) -> None:
    simulator.fault("skew", "a", ms=-90_000)
    pulled = pull(simulator.url("a"), seconds=1.5)
    off = {p.camera_us - p.stamp.utc_us for p in pulled.pictures if p.stamp and p.camera_us}
    assert off == {-90_000_000}
    assert {b - a for a, b in itertools.pairwise(pulled.frames)} == {1}


def test_garbage_is_noise_for_its_time(simulator: RunningSimulator) -> None:
    pulled = meet(simulator, "garbage", seconds=4, for_seconds=1)
    missing = pulled.frames[-1] - pulled.frames[0] + 1 - len(pulled.frames)
    assert 20 <= missing <= 30
    assert pulled.error is None


def test_resolution_changes_in_band_at_a_key_frame(simulator: RunningSimulator) -> None:
    pulled = meet(simulator, "resolution", seconds=6, width=480, height=270, for_seconds=2)
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


def test_status_names_viewers_and_faults(simulator: RunningSimulator) -> None:
    simulator.fault("stall", "b", "sub", seconds=60)
    status = simulator.status()
    assert status["loop_frames"] == LOOP_FRAMES
    assert simulator.instant_us(status["frame"]) <= status["utc_us"]
    state = simulator.camera("b")["state"]
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
