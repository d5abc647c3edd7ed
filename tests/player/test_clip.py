"""The file for people: every frame of the session, times from 0, gaps as long as they were."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from support.clock import FakeClock
from support.footage import FRAME_US, numbers_in
from support.needs import absent
from support.viewing import SECOND, Scene

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import NotFound
from bidwitness.player.session_clips import CameraClip, write_session_clips
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database


@pytest.fixture
def scene(sqlite_index: Database, tmp_path: Path) -> Scene:
    return Scene(sqlite_index, load_settings(data=tmp_path).spool, FakeClock(), cameras=2)


def clips_of(scene: Scene, session: str, tmp_path: Path) -> list[CameraClip]:
    footage = open_footage(load_settings(data=tmp_path), SystemClock())
    return write_session_clips(
        scene.index, scene.clock, footage, Who("test"), session, tmp_path / "out"
    )


def test_every_frame_with_sound_from_zero(scene: Scene, tmp_path: Path) -> None:
    for number in range(2):
        scene.reel(number).segments(24)
    session = scene.session(2, 20)
    scene.clock.advance(60 * SECOND)
    clips = clips_of(scene, session, tmp_path)
    assert [clip.camera for clip in clips] == ["room evaluation-1", "room evaluation-2"]
    for clip in clips:
        report = clip.report
        assert (report.frames, report.seconds, report.gaps) == (18 * 25, 18.0, 0)
        data = report.path.read_bytes()
        assert (report.bytes, report.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert numbers_in(data) == list(range(2 * 25, 20 * 25))
        with av.open(str(report.path)) as container:
            assert container.start_time == 0
            assert container.duration == pytest.approx(18 * SECOND, abs=SECOND // 10)
            assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert not list(report.path.parent.glob("*.part"))


def test_ffmpeg_reads_it_without_a_word(scene: Scene, tmp_path: Path) -> None:
    reel = scene.reel()
    reel.segments(12)
    reel.skip(5)
    reel.segments(12)
    scene.reel(1).segments(12)
    session = scene.session(0, 29)
    scene.clock.advance(60 * SECOND)
    path = clips_of(scene, session, tmp_path)[0].report.path
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        absent("ffmpeg")
        return
    done = subprocess.run(
        [ffmpeg, "-nostdin", "-v", "warning", "-i", path, "-f", "null", "-"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == b""


def test_a_gap_keeps_its_length(scene: Scene, tmp_path: Path) -> None:
    reel = scene.reel()
    reel.segments(10)
    reel.skip(7)
    reel.segments(10)
    session = scene.session(0, 27, streams=[scene.stream])
    scene.clock.advance(60 * SECOND)
    (clip,) = clips_of(scene, session, tmp_path)
    assert (clip.report.frames, clip.report.gaps, clip.report.seconds) == (500, 1, 27.0)
    with av.open(str(clip.report.path)) as container:
        times = [round(frame.pts * frame.time_base * SECOND) for frame in container.decode(video=0)]
    assert times == [n * FRAME_US for n in [*range(250), *range(17 * 25, 27 * 25)]]


def test_a_neighbour_stays_out(scene: Scene, tmp_path: Path) -> None:
    scene.reel().segments(30)
    session = scene.session(0, 12.3, streams=[scene.stream])
    scene.session(12.3, 30, streams=[scene.stream])
    scene.clock.advance(60 * SECOND)
    (clip,) = clips_of(scene, session, tmp_path)
    assert numbers_in(clip.report.path.read_bytes()) == list(range(12 * 25))


def test_nothing_to_write(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such session"):
        clips_of(scene, "nosuch", tmp_path)
    session = scene.session(0, 10)
    with pytest.raises(NotFound, match="no picture"):
        clips_of(scene, session, tmp_path)
    assert not list((tmp_path / "out").iterdir())


def test_the_command_prints_what_it_wrote(scene: Scene, tmp_path: Path) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10, streams=[scene.stream])
    done = subprocess.run(
        ["python", "-m", "bidwitness", "clip", session, "--out", tmp_path / "c", "--json"],
        env={
            "PATH": str(Path(sys.executable).parent),
            "BIDWITNESS_DATA": str(tmp_path),
            "BIDWITNESS_DATABASE": f"sqlite:///{tmp_path}/index.db",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (camera,) = json.loads(done.stdout)["cameras"]
    assert camera["frames"] == 250
    assert Path(camera["path"]).stat().st_size == camera["bytes"]
