"""What PyAV, knowing nothing of us, receives from the virtual cameras."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from support.pull import Pulled, pull
from support.simulator import RunningSimulator

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.signals import find_beeps, find_flashes
from bidwitness.simulator.spec import FPS, FRAME_US, LOOP_FRAMES

# Camera, stream, transport: more than a loop long, all at once, so that each meets the seam.
PULLS = [
    ("locked", "main", "tcp"),
    ("plain", "sub", "udp"),
    ("aac", "main", "tcp"),
    ("h265", "main", "udp"),
    ("mute", "main", "tcp"),
    ("wrapping", "sub", "tcp"),
]
PICTURES = LOOP_FRAMES + 2 * FPS
EACH = pytest.mark.parametrize("which", PULLS, ids="-".join)


@pytest.fixture(scope="module")
def pulls(cameras: RunningSimulator) -> dict[tuple[str, str, str], Pulled]:
    def one(which: tuple[str, str, str]) -> Pulled:
        camera, role, transport = which
        return pull(
            cameras.url(camera, role),
            transport=transport,
            seconds=40,
            enough=lambda pulled: len(pulled.pictures) >= PICTURES,
        )

    with ThreadPoolExecutor(len(PULLS)) as pool:
        return dict(zip(PULLS, pool.map(one, PULLS), strict=True))


def steps(numbers: list[int]) -> set[int]:
    return {b - a for a, b in itertools.pairwise(numbers)}


@EACH
def test_every_frame_comes_once_and_in_order_over_the_seam(
    pulls: dict[tuple[str, str, str], Pulled], which: tuple[str, str, str]
) -> None:
    pulled = pulls[which]
    assert len(pulled.frames) == len(pulled.pictures) >= PICTURES
    shown = pulled.frames if which[0] != "aac" else sorted(pulled.frames)
    # With B-frames the last pictures of the pull may still miss one that is shown earlier.
    assert steps(shown[: PICTURES - 4]) == {1}
    assert any(frame % LOOP_FRAMES == 0 for frame in shown[1:])
    assert {(p.stamp.camera, p.stamp.stream) for p in pulled.pictures if p.stamp} == {which[:2]}


@EACH
def test_timestamps_run_on_over_the_seam(
    pulls: dict[tuple[str, str, str], Pulled], which: tuple[str, str, str]
) -> None:
    pulled = pulls[which]
    # libav gives the first picture of a connection no time.
    by_frame = {p.stamp.frame: p.pts for p in pulled.pictures[1:] if p.stamp and p.pts is not None}
    origins = {pts - frame * 90_000 // FPS for frame, pts in by_frame.items()}
    if which[0] == "mute":
        # Its first report comes after 2 s; until then libav counts from the first packet.
        assert max(origins) - min(origins) < 90_000 // FPS
    else:
        assert len(origins) == 1
    sounds = [s.pts for s in pulled.sounds if s.pts is not None]
    assert steps(sounds) <= ({1024} if which[0] == "aac" else {160})


@EACH
def test_sender_reports_tell_when_each_picture_was_sent(
    pulls: dict[tuple[str, str, str], Pulled],
    which: tuple[str, str, str],
    cameras: RunningSimulator,
) -> None:
    pictures = [p for p in pulls[which].pictures if p.stamp and p.camera_us is not None]
    assert len(pictures) >= PICTURES - (4 * FPS if which[0] == "mute" else 0)
    off = [p.camera_us - p.stamp.utc_us for p in pictures]
    # libav may give the first report to the picture before the one that it came with.
    assert sum(abs(us) > 1000 for us in off) <= 1, [us for us in off if abs(us) > 1000]
    assert all(p.stamp.utc_us == cameras.instant_us(p.stamp.frame) for p in pictures)


@EACH
def test_pictures_arrive_when_they_were_sent(
    pulls: dict[tuple[str, str, str], Pulled], which: tuple[str, str, str]
) -> None:
    late = [p.arrived_us - p.stamp.utc_us for p in pulls[which].pictures[-10 * FPS :] if p.stamp]
    assert min(late) >= 0
    # A picture is known to be whole when the next begins; B-frames wait for those they need.
    assert sorted(late)[len(late) // 2] < 6 * FRAME_US


def decoded(pulled: Pulled) -> list[tuple[int, np.ndarray]]:
    """Decode from the first key frame on; give (absolute frame, luma)."""
    context = av.CodecContext.create(pulled.codecs["video"], "r")
    start = next(i for i, p in enumerate(pulled.pictures) if p.key)
    images = []
    for picture in pulled.pictures[start:]:
        images += context.decode(av.Packet(picture.data))
    images += context.decode(None)
    frames = sorted(pulled.frames[start:])
    return list(zip(frames, (i.to_ndarray(format="gray") for i in images), strict=False))


@pytest.mark.parametrize("which", [PULLS[1], PULLS[2], PULLS[3], PULLS[4]], ids="-".join)
def test_bars_and_stamps_say_the_same(
    pulls: dict[tuple[str, str, str], Pulled], which: tuple[str, str, str]
) -> None:
    pictures = decoded(pulls[which])[:-4]
    assert len(pictures) > 6 * FPS
    assert [read_bars(image) for _, image in pictures] == [f % LOOP_FRAMES for f, _ in pictures]


@pytest.mark.parametrize("which", [PULLS[0], PULLS[1], PULLS[2], PULLS[3]], ids="-".join)
def test_flash_and_beep_coincide(
    pulls: dict[tuple[str, str, str], Pulled],
    which: tuple[str, str, str],
    cameras: RunningSimulator,
) -> None:
    pulled = pulls[which]
    pictures = decoded(pulled)
    flashes = [
        cameras.instant_us(pictures[i][0]) for i in find_flashes(image for _, image in pictures)
    ]
    context = av.CodecContext.create(pulled.codecs["audio"], "r")
    assert isinstance(context, av.AudioCodecContext)
    rate = 16_000 if which[0] == "aac" else 8_000
    context.sample_rate, context.layout = rate, "mono"
    context.extradata = pulled.extradata["audio"]
    sounds = [s for s in pulled.sounds if s.camera_us is not None]
    blocks = [f.to_ndarray()[0] for s in sounds for f in context.decode(av.Packet(s.data))]
    samples = np.concatenate(blocks)
    if samples.dtype == np.float32:
        samples = (samples * 32767).astype(np.int16)
    first_us = sounds[0].camera_us or 0
    beeps = [first_us + at * 1_000_000 // rate for at in find_beeps(samples, rate)]
    assert len(flashes) >= 16
    for flash in flashes[1:-1]:
        assert flash % 1_000_000 == 0
        assert min(abs(beep - flash) for beep in beeps) < 5_000


def test_all_cameras_are_genlocked(
    pulls: dict[tuple[str, str, str], Pulled],
) -> None:
    """The same second shows the same frame number in every stream."""
    seen: dict[int, set[int]] = {}
    for pulled in pulls.values():
        for picture in pulled.pictures:
            if picture.stamp:
                seen.setdefault(picture.stamp.utc_us, set()).add(picture.stamp.frame)
    assert max(map(len, seen.values())) == 1


def test_key_frames_come_as_often_as_asked(
    pulls: dict[tuple[str, str, str], Pulled],
) -> None:
    for which, pulled in pulls.items():
        keys = {p.stamp.frame % LOOP_FRAMES for p in pulled.pictures if p.key and p.stamp}
        expected = {0, 10 * FPS} if which[0] == "mute" else set(range(0, LOOP_FRAMES, FPS))
        assert keys == expected, which
        assert pulled.pictures[0].key is (which[0] != "mute")


def test_tracks_are_as_declared(pulls: dict[tuple[str, str, str], Pulled]) -> None:
    codecs = {which[0]: pulled.codecs for which, pulled in pulls.items()}
    assert codecs["plain"] == {"video": "h264", "audio": "pcm_alaw"}
    assert codecs["aac"] == {"video": "h264", "audio": "aac"}
    assert codecs["h265"] == {"video": "hevc", "audio": "pcm_mulaw"}
    assert codecs["mute"] == {"video": "h264"}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_wrong_password_is_refused(cameras: RunningSimulator, transport: str) -> None:
    before = cameras.status()["refused_logins"]
    url = cameras.url("locked").replace("secret", "guess")
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pull(url, transport=transport)
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pull(cameras.url("locked", login=False), transport=transport)
    assert cameras.status()["refused_logins"] > before


def test_an_old_camera_asks_for_the_password_in_the_clear(cameras: RunningSimulator) -> None:
    assert pull(cameras.url("old", "sub"), seconds=0.5).frames
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pull(cameras.url("old", "sub").replace("secret", "guess"))
