"""Real RTSP recorded: every frame, its instant, its sound; from our simulator and GStreamer's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gst_camera import running_gst_cameras
from support.recording import (
    SECOND,
    Recording,
    assert_every_frame,
    assert_plays,
    recording,
    sound_offsets_us,
    wanted_stream,
)
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.words import StreamRole

FRAME_US = 40_000
CAMERAS = {
    name: small_camera(name, title="room", **changes)
    for name, changes in {
        "alaw": {},
        "ulaw": {"sound": "ulaw", "join": "now"},
        "aac": {"sound": "aac", "codec": "h265"},
        "bframes": {"b_frames": 2},
        "late": {"report_delay": 3},
    }.items()
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator([*CAMERAS.values()]) as running:
        yield running


def check(running: Recording, camera: str) -> None:
    """Frames, instants, joins and sound of a camera's streams, out of the stored bytes alone."""
    for stream in running.workers:
        if not stream.startswith(f"{camera}_"):
            continue
        left = running.left(stream)
        frames = assert_every_frame(left, CAMERAS[camera].b_frames if camera in CAMERAS else 0)
        late = [frame.wall_us - frame.stamp.utc_us for frame in frames]
        assert max(map(abs, late)) <= FRAME_US, f"{stream} is off by {min(late)}…{max(late)} µs"
        assert_plays(left)
        for path, record in zip(left.paths, left.segments, strict=True):
            whole = record.end - record.start > 2 * SECOND
            if whole and any(track.medium == "sound" for track in record.tracks):
                offsets = sound_offsets_us(path, record)
                assert offsets and max(map(abs, offsets)) <= 80_000, f"{stream}: {offsets}"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator) -> Recording:
    """All cameras, main and sub, recorded at the same time."""
    wanted = [
        wanted_stream(f"{name}_{role}", simulator.url(name, role), role)
        for name in CAMERAS
        for role in StreamRole
    ]
    with recording(tmp_path_factory.mktemp("recorded"), wanted) as running:
        running.wait_for_segments(2)
    return running


@pytest.mark.parametrize("name", CAMERAS)
def test_our_simulator(recorded: Recording, name: str) -> None:
    check(recorded, name)
    main, sub = (recorded.left(f"{name}_{role}").segments[0] for role in StreamRole)
    assert [track.medium for track in main.tracks] == ["picture", "sound"]
    # Sound is recorded once.
    assert [track.medium for track in sub.tracks] == ["picture"]
    assert main.quality in ("camera", "extrapolated")


def test_gstreamers_server(tmp_path: Path) -> None:
    with running_gst_cameras([small_camera("gst"), small_camera("gst2", sound="ulaw")]) as cameras:
        wanted = [wanted_stream("gst_main", cameras.url("gst"))]
        wanted.append(wanted_stream("gst2_main", cameras.url("gst2")))
        with recording(tmp_path, wanted) as running:
            running.wait_for_segments(2)
        check(running, "gst")
        check(running, "gst2")


def test_streams_are_within_a_tenth_of_a_second(
    recorded: Recording, simulator: RunningSimulator
) -> None:
    """The same frame of all cameras, main and sub, lies at the same instant of ours."""
    late_us = simulator.status()["late_us"]
    walls = [
        {frame.stamp.frame: frame.wall_us for frame in assert_every_frame(recorded.left(stream), 2)}
        for stream in recorded.workers
    ]
    common = set.intersection(*(set(wall) for wall in walls))
    assert len(common) > 100
    spreads = [max(w[frame] for w in walls) - min(w[frame] for w in walls) for frame in common]
    assert max(spreads) <= 100_000 + late_us, f"apart by up to {max(spreads)} µs"
