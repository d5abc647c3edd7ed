"""Sources without a picture: a microphone, a telephone line's recorder; from our simulator and
GStreamer's server.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from support.desk import Left
from support.gst_camera import running_gst_cameras
from support.recording import SECOND, Recording, assert_plays, recording, wanted_stream
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.stored import decode
from support.wait import wait_until

from bidwitness.addresses import parse_camera_address
from bidwitness.clock import SystemClock
from bidwitness.errors import BidWitnessError
from bidwitness.recorder.source import RtspOpener
from bidwitness.simulator.signals import find_beeps
from bidwitness.simulator.spec import CameraSpec
from bidwitness.storage.media.boxes import read_init, split_pieces
from bidwitness.storage.spool.blob import WallPoint, wall_at
from bidwitness.words import Health, Medium

OPEN = RtspOpener(SystemClock(), allow_loopback=True)
# Until its reports come, a sound is placed by its least delayed packet; and the machine is busy.
LATE_US = 150_000


def microphone(name: str, **changes: object) -> CameraSpec:
    return small_camera(name, title="room", sound_only=True, **changes)


OURS = [
    microphone("alaw"),
    microphone("ulaw", report_delay=3),
    microphone("aac", sound="aac"),
    microphone("l16", sound="l16"),
    microphone("opus", sound="opus"),
    microphone("udp"),
    microphone("g726", sound="g726"),
]
THEIRS = [microphone("alaw"), microphone("aac", sound="aac"), microphone("opus", sound="opus")]
KEPT = [("ours", spec.name) for spec in OURS if spec.name != "g726"]
KEPT += [("gst", spec.name) for spec in THEIRS]
STORED = {"aac": "mp4a.40.2", "opus": "opus"}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RunningSimulator]]:
    with running_simulator(OURS) as ours, running_gst_cameras(THEIRS) as gst:
        yield {"ours": ours, "gst": gst}


@pytest.fixture(scope="module")
def recorded(
    tmp_path_factory: pytest.TempPathFactory, servers: dict[str, RunningSimulator]
) -> Recording:
    """All of them at once; one stops sending for a while."""
    wanted = []
    for server, name in KEPT:
        url = servers[server].url(name)
        url = url.replace("rtsp://", "rtspu://") if name == "udp" else url
        wanted.append(wanted_stream(f"{server}-{name}_main", url))
    with recording(tmp_path_factory.mktemp("volume"), wanted, segment_s=3) as running:
        ulaw = running.workers["ours-ulaw_main"]
        running.wait_for_segments(1)
        servers["ours"].fault("stall", "ulaw", "main", seconds=6)
        wait_until(lambda: ulaw.state().state is Health.OFFLINE, 20, "the stall")
        running.wait_for_segments(3)
        running.states = {name: worker.state() for name, worker in running.workers.items()}
    return running


@pytest.mark.parametrize("which", KEPT, ids="-".join)
def test_every_sample_is_stored_at_its_instant(recorded: Recording, which: tuple[str, str]) -> None:
    left = recorded.left("-".join(which) + "_main")
    assert_plays(left)
    (track,) = read_init(next(split_pieces([left.paths[0].read_bytes()])).data)
    assert (track.id, track.medium) == (2, Medium.SOUND)
    assert track.codec == STORED.get(which[1], "flac")
    by_run: dict[str, list[tuple[int, int]]] = {}
    ends = [segment.run for segment in left.segments]
    assert len(set(ends)) == (2 if which == ("ours", "ulaw") else 1)
    for run in dict.fromkeys(ends):
        by_run[run] = _fragments(left, run)
        assert not (seams := _seams(by_run[run])), f"not in step: {seams}"
    off = _beeps_off_us(left)
    assert len(off) >= 3 and max(map(abs, off)) <= LATE_US, off
    state = recorded.states["-".join(which) + "_main"]
    assert state.state is Health.OK and state.centi_fps is None and state.gop_ms is None
    assert state.centi_dbfs is not None and state.verdicts == dict.fromkeys(state.verdicts, False)


def test_what_did_not_come_is_a_gap_of_the_whole_stream(recorded: Recording) -> None:
    gaps = recorded.left("ours-ulaw_main").gaps
    assert {gap.medium for gap in gaps} == {"all"} and gaps[0].cause == "stall"
    assert 3 * SECOND < gaps[-1].end - gaps[0].start < 12 * SECOND
    for server, name in KEPT:
        if (server, name) != ("ours", "ulaw"):
            assert recorded.left(f"{server}-{name}_main").gaps == []


def test_sound_alone_that_cannot_be_kept_is_refused(servers: dict[str, RunningSimulator]) -> None:
    with pytest.raises(BidWitnessError) as caught:
        OPEN(parse_camera_address(servers["ours"].url("g726")), with_sound=True)
    assert "sound alone, and it is G.726" in caught.value.detail
    assert "set it to G.711, AAC, Opus or 16-bit PCM" in caught.value.detail


def test_a_sub_stream_has_no_sound_of_its_own(servers: dict[str, RunningSimulator]) -> None:
    with pytest.raises(BidWitnessError) as caught:
        OPEN(parse_camera_address(servers["ours"].url("alaw", "sub")), with_sound=False)
    assert "leave the sub-stream's address empty" in caught.value.detail


def _fragments(left: Left, run: str) -> list[tuple[int, int]]:
    paths = [p for p, s in zip(left.paths, left.segments, strict=True) if s.run == run]
    found = []
    for path in paths:
        found += Left.fragments_in(path)
    return found


def _seams(fragments: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Give (number, start, samples missing before it) of each that does not follow its neighbour."""
    ends = [start + length for start, length in fragments]
    starts = [start for start, _ in fragments[1:]]
    pairs = enumerate(zip(ends, starts, strict=False), 1)
    return [(number, start, start - end) for number, (end, start) in pairs if start != end]


def _beeps_off_us(left: Left) -> list[int]:
    """Give how far each beep is from a full second, by the instants that the records state."""
    off: list[int] = []
    for path, record in zip(left.paths, left.segments, strict=True):
        walls = [WallPoint(anchor.pts, anchor.recorder_us) for anchor in record.anchors]
        (track,) = record.tracks
        seen = decode(path.read_bytes())
        samples = seen.samples
        if samples.dtype != np.int16:
            samples = (samples * 32767).astype(np.int16)
        scale = track.timescale
        first = Left.fragments_in(path)[0][0]
        for index in find_beeps(samples, scale):
            at = wall_at(walls, first + index, scale)
            off.append((at + SECOND // 2) % SECOND - SECOND // 2)
    return off
