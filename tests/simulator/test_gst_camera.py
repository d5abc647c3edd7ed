"""The second source: GStreamer's server must be as readable as our own, by the same tools."""

import itertools
from collections.abc import Iterator

import av
import pytest
from support.gst_camera import running_gst_cameras
from support.pull import Pulled, pull
from support.simulator import RunningSimulator, small_camera

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FPS, FRAME_US, LOOP_FRAMES


@pytest.fixture(scope="module")
def foreign() -> Iterator[RunningSimulator]:
    login = {"user": "operator", "password": "secret"}
    specs = [
        small_camera("one", **login),
        small_camera("two", codec="h265", sound="ulaw", **login),
        small_camera("three", sound="none", **login),
    ]
    with running_gst_cameras(specs) as running:
        yield running


@pytest.mark.parametrize(
    ("camera", "role", "transport", "codecs"),
    [
        ("one", "main", "tcp", {"video": "h264", "audio": "pcm_alaw"}),
        ("one", "sub", "udp", {"video": "h264", "audio": "pcm_alaw"}),
        ("two", "main", "tcp", {"video": "hevc", "audio": "pcm_mulaw"}),
        ("three", "sub", "tcp", {"video": "h264"}),
    ],
)
def test_frames_are_whole_in_order_and_timed(
    foreign: RunningSimulator, camera: str, role: str, transport: str, codecs: dict[str, str]
) -> None:
    def reported(pulled: Pulled) -> bool:
        return sum(1 for p in pulled.pictures if p.camera_us is not None) > FPS

    url = foreign.url(camera, role)
    pulled = pull(url, transport=transport, seconds=15, enough=reported)
    assert pulled.codecs == codecs
    assert len(pulled.frames) == len(pulled.pictures) > FPS
    assert {b - a for a, b in itertools.pairwise(pulled.frames)} == {1}
    off = [p.camera_us - p.stamp.utc_us for p in pulled.pictures if p.stamp and p.camera_us]
    # The first report is given to the picture before the one that it came with.
    assert abs(off[0]) <= FRAME_US + 5_000
    assert max(map(abs, off[1:])) < 5_000
    if "audio" in codecs:
        assert len(pulled.sounds) > 2 * FPS


def test_bars_and_stamps_say_the_same(foreign: RunningSimulator) -> None:
    pulled = pull(foreign.url("one"), seconds=2)
    start = next(i for i, p in enumerate(pulled.pictures) if p.key)
    context = av.CodecContext.create("h264", "r")
    images = [i for p in pulled.pictures[start:] for i in context.decode(av.Packet(p.data))]
    images += context.decode(None)
    read = [read_bars(image.to_ndarray(format="gray")) for image in images]
    assert read == [frame % LOOP_FRAMES for frame in pulled.frames[start:]]


def test_a_wrong_password_is_refused(foreign: RunningSimulator) -> None:
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pull(foreign.url("one").replace("secret", "guess"))
