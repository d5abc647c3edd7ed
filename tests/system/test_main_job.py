"""The main job: cameras over real RTSP, a session cut out, sealed, verified, written out.

``bidwitness demo --seconds`` is run as a user would run it; then everything it left behind is
looked at, from the stored bytes.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from support.examine import Examiner

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.demo.cast import CAMERAS
from bidwitness.simulator.spec import FRAME_US
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.database import open_database
from bidwitness.storage.index.models import Claim, Gap, Session
from bidwitness.words import SessionState

# The first test waits for the whole demo, encoding of the cameras' pictures included.
pytestmark = pytest.mark.timeout(450)

SECONDS = 20
BEEP_TOLERANCE_US = 80_000


@dataclass(frozen=True)
class Job:
    """A demo that has ended: what it printed, and where it kept everything."""

    code: int
    output: str
    data: Path
    package: Path
    examiner: Examiner


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bidwitness", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=420,
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    data = tmp_path_factory.mktemp("demo")
    package = data / "package.zip"
    words = ["demo", "--seconds", str(SECONDS), "--data", str(data), "--export", str(package)]
    done = run(*words)
    settings = load_settings(data=data)
    database = open_database(settings.database_url)
    examiner = Examiner(database, open_footage(settings, SystemClock()))
    yield Job(done.returncode, done.stdout + done.stderr, data, package, examiner)
    database.close()


def test_the_demo_says_that_all_of_it_is_true(job: Job) -> None:
    assert job.code == 0, job.output
    for camera in CAMERAS:
        assert camera.name in job.output


def test_every_frame_of_every_stream_is_stored(job: Job) -> None:
    streams = job.examiner.streams()
    assert len(streams) == 2 * len(CAMERAS)
    for name, stream in streams.items():
        frames = job.examiner.assert_every_frame(stream)
        assert len(frames) > SECONDS * 25, name


def test_times_are_those_at_which_the_cameras_sent(job: Job) -> None:
    for name, stream in job.examiner.streams().items():
        errors = [abs(f.wall_us - f.stamp.utc_us) for f in job.examiner.frames(stream)]
        assert max(errors) < FRAME_US, (name, max(errors))


def test_a_beep_is_with_its_flash_in_every_segment(job: Job) -> None:
    seen = 0
    for camera in CAMERAS:
        stream = job.examiner.streams()[f"{camera.name}/main"]
        for segment in job.examiner.segments(stream):
            offsets = job.examiner.sound_offsets_us(segment)
            assert all(abs(offset) < BEEP_TOLERANCE_US for offset in offsets), (camera, offsets)
            long_enough = segment.to_us - segment.from_us > 3_000_000
            assert offsets or camera.sound == "none" or not long_enough, camera
            seen += len(offsets)
    assert seen > 3 * SECONDS


def test_segments_of_a_run_concatenate_in_silence(job: Job) -> None:
    for stream in job.examiner.streams().values():
        job.examiner.assert_joins(stream)


def test_the_session_is_sealed_and_owns_its_time_on_every_stream(job: Job) -> None:
    with job.examiner.database.read() as orm:
        session = orm.scalars(select(Session)).one()
        claims = list(orm.scalars(select(Claim).where(Claim.session_id == session.id)))
        assert session.state is SessionState.SEALED
        assert {c.stream_id for c in claims} == set(job.examiner.streams().values())
        assert all(c.to_us == session.ended_us for c in claims)
        assert list(orm.scalars(select(Gap))) == []


def test_each_camera_has_a_file_that_begins_at_zero(job: Job) -> None:
    for camera in CAMERAS:
        shown = run("frame-numbers", str(job.data / "demo" / f"{camera.name}.mp4"))
        numbers = json.loads(shown.stdout)
        assert (numbers["missing"], numbers["out_of_order"], numbers["unstamped"]) == (0, 0, 0)
        assert numbers["frames"] > (SECONDS - 2) * 25


def test_the_package_is_authentic_until_a_byte_changes(job: Job, tmp_path: Path) -> None:
    policy = f"{job.package}.policy"
    assert run("verify", str(job.package)).returncode == 3
    proven = run("verify", str(job.package), "--policy", policy)
    assert proven.returncode == 0, proven.stdout
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(job.package) as old, zipfile.ZipFile(changed, "w") as new:
        media = max(old.infolist(), key=lambda item: item.file_size)
        for item in old.infolist():
            body = bytearray(old.read(item))
            if item is media:
                body[len(body) // 2] ^= 1
            new.writestr(item, bytes(body))
    refused = run("verify", str(changed), "--policy", policy)
    assert refused.returncode == 1
    assert media.filename.rsplit("/", 1)[-1] in refused.stdout + refused.stderr
