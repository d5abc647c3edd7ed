"""The matrix of sources: each is recorded with every frame, or refused with the fix named.

Our simulator and GStreamer's server; pictures are proved by the bar codes decoded from the
stored bytes, sound by its beep beside the flash.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from support.certificates import self_signed
from support.gst_camera import running_gst_cameras
from support.recording import (
    SECOND,
    Recording,
    assert_every_frame,
    assert_every_number,
    assert_plays,
    joined_by_init,
    recording,
    sound_offsets_us,
    wanted_stream,
)
from support.simulator import CACHE, RunningSimulator, running_simulator, small_camera
from support.stored import decode
from support.wait import wait_until

from bidwitness.addresses import parse_camera_address
from bidwitness.clock import SystemClock
from bidwitness.errors import BidWitnessError
from bidwitness.recorder.meters import LONG_GOP_MS
from bidwitness.recorder.source import RtspOpener
from bidwitness.simulator.encode import make_loop
from bidwitness.simulator.recipes import sound_recipe
from bidwitness.simulator.spec import CameraSpec
from bidwitness.storage.media.boxes import read_init, split_pieces
from bidwitness.words import Health, StreamFault, StreamRole

OPEN = RtspOpener(SystemClock(), allow_loopback=True)
PASSWORD = "p@:/#?密 码"
LOGIN = {"user": "管理员@/#", "password": PASSWORD}
# Times are proved by test_rtsp; here a busy machine may be late.
LATE_US = 250_000
SEGMENT_S = 3


def camera(name: str, **changes: object) -> CameraSpec:
    """As small as bar codes can be read, and main and sub the same, so that one loop serves."""
    size = {"width": 320, "height": 192, "sub_width": 320, "sub_height": 192}
    rates = {"bitrate": 300_000, "sub_bitrate": 300_000}
    return small_camera(name, **{**size, **rates, "title": "room", **changes})


OURS = {
    spec.name: spec
    for spec in (
        camera("l16", sound="l16"),
        camera("opus", sound="opus"),
        camera("g726", sound="g726"),
        camera("mute", sound="none"),
        camera("mjpeg", codec="mjpeg"),
        camera("declared", sets="declared"),
        camera("in-band", sets="in_band"),
        camera("apart", sets="apart"),
        camera("apart265", sets="apart", codec="h265"),
        camera("wrong-fps", declared_fps=50, b_frames=2),
        camera("long-gop", gop_seconds=8),
        camera("udp"),
        camera("login", auth="either", **LOGIN),
        camera("sha256", auth="sha256", **LOGIN),
        camera("basic", auth="basic", **LOGIN),
        camera("resized", join="now"),
    )
}
# Other ways than RTSP over TCP, and what a person has to allow.
WAYS = {"udp": "rtspu", "tunnel": "rtsph"}
ALLOWED = {"basic": {"basic_in_clear": True}, "tls": {"unproven_certificate": True}}
STORED = {"l16": "flac", "opus": "opus", "aac": "mp4a.40.2", "alaw": "flac"}


THEIRS = {
    spec.name: spec
    for spec in (
        camera("aac", sound="aac"),
        camera("l16", sound="l16"),
        camera("opus", sound="opus", codec="h265"),
        camera("g726", sound="g726"),
        camera("mjpeg", codec="mjpeg"),
        camera("udp"),
        camera("tunnel"),
        camera("mute", sound="none"),
    )
}
# Each as (server, camera); those with a certificate of their own are servers of their own.
MATRIX = {
    **{("ours", name): spec for name, spec in OURS.items()},
    **{("gst", name): spec for name, spec in THEIRS.items()},
    ("ours-tls", "tls"): camera("tls"),
    ("gst-tls", "tls"): camera("tls"),
}
Servers = dict[str, RunningSimulator]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def servers(certificate: Path) -> Iterator[Servers]:
    tls = [camera("tls")]
    with (
        running_simulator([*OURS.values()]) as ours,
        running_gst_cameras([*THEIRS.values()]) as gst,
        running_simulator(tls, options=["--certificate", str(certificate)]) as ours_tls,
        running_gst_cameras(tls, certificate=certificate) as gst_tls,
    ):
        yield {"ours": ours, "gst": gst, "ours-tls": ours_tls, "gst-tls": gst_tls}


def stream_of(server: str, name: str) -> str:
    return f"{server}-{name}_main"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Recording:
    """All of them at once; the picture of one changes its size while it is recorded."""
    wanted = []
    for server, name in MATRIX:
        scheme, rest = servers[server].url(name).split("://", 1)
        url = f"{WAYS.get(name, scheme)}://{rest}"
        wanted.append(wanted_stream(stream_of(server, name), url, **ALLOWED.get(name, {})))
    volume = tmp_path_factory.mktemp("volume")
    with recording(volume, wanted, segment_s=SEGMENT_S) as running:
        resized = running.left(stream_of("ours", "resized"))
        wait_until(lambda: len(resized.segments) >= 1, 40, "the first segment")
        servers["ours"].fault("resolution", "resized", "main", width=480, height=272, seconds=3)
        others = [running.left(stream_of(*which)) for which in MATRIX if "long-gop" not in which]
        wait_until(lambda: len(resized.segments) >= 4, 40, "another size, and the first again")
        wait_until(lambda: all(len(left.segments) >= 2 for left in others), 40, "two segments")
        long_gop = running.workers[stream_of("ours", "long-gop")]
        wait_until(lambda: (long_gop.state().gop_ms or 0) > LONG_GOP_MS, 40, "a long GOP")
        running.states = {name: worker.state() for name, worker in running.workers.items()}
    return running


@pytest.mark.parametrize("which", MATRIX, ids="-".join)
def test_every_frame_is_stored(recorded: Recording, which: tuple[str, str]) -> None:
    """Pictures, sound and times of a camera's main stream, out of the stored bytes alone."""
    spec, stream = MATRIX[which], stream_of(*which)
    left = recorded.left(stream)
    theirs = which[0].startswith("gst")
    frames = assert_every_frame(left, spec.b_frames) if spec.codec != "mjpeg" else []
    # When many begin at once on a busy machine, GStreamer's pictures all wait before they leave.
    if frames and not theirs:
        off = [frame.wall_us - frame.stamp.utc_us for frame in frames]
        assert max(map(abs, off)) <= LATE_US, f"{stream} is off by {min(off)}…{max(off)} µs"
    assert assert_every_number(left, spec.b_frames) > 50
    assert_plays(left)
    assert len({segment.run for segment in left.segments}) == 1
    codecs = {track.medium: track.codec for track in left.segments[0].tracks}
    assert codecs.get("sound") == STORED.get(spec.sound)
    if "sound" in codecs:
        path, record = max(
            zip(left.paths, left.segments, strict=True),
            key=lambda one: one[1].wall[1] - one[1].wall[0],
        )
        offsets = sound_offsets_us(path, record)
        # Until its first reports GStreamer's tracks are put together by what PLAY and arrival say.
        limit_us = 150_000 if theirs else 80_000
        assert offsets and max(map(abs, offsets)) <= limit_us, f"{stream}: {offsets}"
        assert left.gaps == []


def test_pcm_is_kept_to_the_last_bit(recorded: Recording) -> None:
    recipe = sound_recipe(OURS["l16"], StreamRole.MAIN)
    assert recipe is not None
    sent = b"".join(data for (data,) in make_loop(recipe, CACHE).units) * 8
    stored = decode(joined_by_init(recorded.left(stream_of("ours", "l16")))[0]).samples
    (track,) = [t for t in recorded.left(stream_of("ours", "l16")).segments[0].tracks if t.id == 2]
    assert track.source_codec == "pcm_s16be"
    assert stored.dtype == np.int16 and len(stored) > 16_000 * 4
    assert stored.astype(">i2").tobytes() in sent


def test_sound_that_cannot_be_kept_is_a_gap_and_the_fix_is_named(recorded: Recording) -> None:
    left = recorded.left(stream_of("ours", "g726"))
    assert {(gap.cause, gap.medium) for gap in left.gaps} == {("no_audio", "sound")}
    first, last = left.segments[0], left.segments[-1]
    missing = sum(gap.end - gap.start for gap in left.gaps)
    assert abs(missing - (last.wall[1] - first.wall[0])) < SECOND
    state = recorded.states[stream_of("ours", "g726")]
    assert state.state is Health.DEGRADED and state.message is not None
    assert "it is G.726. Set the camera's sound to G.711" in state.message
    assert (
        recorded.states[stream_of("ours", "mute")].state is Health.OK
        and recorded.left(stream_of("ours", "mute")).gaps == []
    )


def test_mjpeg_is_kept_as_such(recorded: Recording) -> None:
    left = recorded.left(stream_of("ours", "mjpeg"))
    data = left.paths[0].read_bytes()
    init, *pieces = split_pieces([data])
    picture, _ = read_init(init.data)
    assert (picture.codec, picture.width, picture.height) == ("mp4v.6C", 320, 192)
    # Not a fragment a picture, though each is a key frame.
    seconds = (left.segments[0].wall[1] - left.segments[0].wall[0]) / SECOND
    assert len(pieces) < seconds * 6
    with av.open(io.BytesIO(data)) as container:
        first = next(bytes(packet) for packet in container.demux(video=0))
    assert first.startswith(b"\xff\xd8") and first.endswith(b"\xff\xd9")


def test_a_changed_size_goes_on_in_the_same_run(recorded: Recording) -> None:
    left = recorded.left(stream_of("ours", "resized"))
    inits = [segment.init for segment in left.segments]
    assert len(set(inits)) == 2 and inits[0] == inits[-1]
    shapes = [{image.shape for _, image in decode(data).pictures} for data in joined_by_init(left)]
    assert shapes == [{(192, 320)}, {(272, 480)}, {(192, 320)}]


def test_a_long_gop_is_recorded_and_alarmed(recorded: Recording) -> None:
    state = recorded.states[stream_of("ours", "long-gop")]
    assert state.verdicts[StreamFault.LONG_GOP] and state.state is Health.OK


@pytest.mark.parametrize("server", ["ours-tls", "gst-tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    servers: Servers, certificate: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """Unless this computer trusts it; that somebody may allow it is proved in the matrix."""
    address = parse_camera_address(servers[server].url("tls"))
    with pytest.raises(BidWitnessError) as caught:
        OPEN(address, with_sound=True)
    assert "allow an unproven certificate for this camera" in caught.value.detail
    assert set(caught.value.fields) == {"unproven_certificate"}
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    OPEN(address, with_sound=True).close()


def test_a_login_that_would_go_in_clear_is_refused(servers: Servers) -> None:
    with pytest.raises(BidWitnessError) as caught:
        OPEN(parse_camera_address(servers["ours"].url("basic")), with_sound=True)
    assert "Switch it to Digest, or use rtsps://" in caught.value.detail
    assert PASSWORD not in caught.value.detail
