"""The second source: GStreamer's server must be as readable as our own, by the same tools."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


# (camera, stream, transport): what libav makes of its tracks.
PULLS = {
    ("one", "main", "tcp"): {"video": "h264", "audio": "pcm_alaw"},
    ("one", "sub", "udp"): {"video": "h264", "audio": "pcm_alaw"},
    ("two", "main", "tcp"): {"video": "hevc", "audio": "pcm_mulaw"},
    ("three", "sub", "tcp"): {"video": "h264"},
}


@pytest.fixture(scope="module")
def pulls(foreign: RunningSimulator) -> dict[tuple[str, str, str], Pulled]:
    """All at once, until a second of pictures and of sound came after the first report."""

    def reported(pulled: Pulled) -> bool:
        pictures = sum(1 for p in pulled.pictures if p.camera_us is not None)
        heard = "audio" not in pulled.codecs or len(pulled.sounds) > 2 * FPS
        return heard and pictures > FPS

    def one(which: tuple[str, str, str]) -> Pulled:
        url = foreign.url(*which[:2])
        return pull(url, transport=which[2], seconds=15, enough=reported)

    with ThreadPoolExecutor(len(PULLS)) as pool:
        return dict(zip(PULLS, pool.map(one, PULLS), strict=True))


@pytest.mark.parametrize("which", PULLS, ids="-".join)
def test_frames_are_whole_in_order_and_timed(
    pulls: dict[tuple[str, str, str], Pulled], which: tuple[str, str, str]
) -> None:
    pulled = pulls[which]
    assert pulled.codecs == PULLS[which]
    assert len(pulled.frames) == len(pulled.pictures) > FPS
    assert {b - a for a, b in itertools.pairwise(pulled.frames)} == {1}
    off = [p.camera_us - p.stamp.utc_us for p in pulled.pictures if p.stamp and p.camera_us]
    # The first report is given to the picture before the one that it came with.
    assert abs(off[0]) <= FRAME_US + 5_000
    assert max(map(abs, off[1:])) < 5_000
    if "audio" in pulled.codecs:
        assert len(pulled.sounds) > 2 * FPS


def test_bars_and_stamps_say_the_same(pulls: dict[tuple[str, str, str], Pulled]) -> None:
    pulled = pulls["one", "main", "tcp"]
    start = next(i for i, p in enumerate(pulled.pictures) if p.key)
    context = av.CodecContext.create("h264", "r")
    images = [i for p in pulled.pictures[start:] for i in context.decode(av.Packet(p.data))]
    images += context.decode(None)
    read = [read_bars(image.to_ndarray(format="gray")) for image in images]
    assert read == [frame % LOOP_FRAMES for frame in pulled.frames[start:]]


def test_a_wrong_password_is_refused(foreign: RunningSimulator) -> None:
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pull(foreign.url("one").replace("secret", "guess"))
