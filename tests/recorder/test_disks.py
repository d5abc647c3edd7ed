"""Disks that are full, read-only or slow, and a process without file handles: with real ones.

All suffer at the same time, each recording with a volume and cameras of its own. What is missing
is found by the numbers in the stored pictures.
"""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from support.desk import Left
from support.needs import absent
from support.record_worker import Worker, running_worker
from support.recording import (
    SECOND,
    Recording,
    assert_every_frame,
    joined_by_init,
    recording,
    stored_frames,
    wanted_stream,
)
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.stored import ffmpeg_words
from support.wait import wait_until

from bidwitness.storage.evidence.records import GapFacts, check_record
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import GapCause, Health

CAMERAS = ("full", "full2", "locked", "slow", "stuck", "handles", "handles2")
FRAME_US = 40_000
TROUBLE_S = 5.0
# Of the cameras of these tests one sends about 100 kB a second.
SMALL_BUFFER = 200_000


class SlowFiles(SystemFiles):
    """A disk that takes ``sync_s`` to sync, and takes nothing at all while it is ``stuck``."""

    def __init__(self) -> None:
        self.sync_s = 0.0
        self.free = threading.Event()
        self.free.set()

    def append(self, handle: int, data: bytes) -> None:
        self.free.wait(30)
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        time.sleep(self.sync_s)
        super().sync(handle)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A disk of its own in memory. Needs the right to mount."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        absent("The right to mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def remount(path: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(path)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left on a disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


@dataclass
class Suffered:
    """Volumes by camera, and what was seen meanwhile."""

    volumes: dict[str, Path] = field(default_factory=dict)
    causes: dict[str, GapCause | None] = field(default_factory=dict)
    messages: dict[str, str | None] = field(default_factory=dict)
    from_us: int = 0
    unlocked_us: int = 0
    to_us: int = 0
    exit_code: int | None = None

    def left(self, name: str) -> Left:
        return Left(self.volumes[name], name)

    def gaps(self, name: str) -> list[GapFacts]:
        return [gap for gap in self.left(name).gaps if gap.medium == "all"]


@dataclass
class Parties:
    """All that records."""

    full: Recording
    locked: Recording
    slow: Recording
    stuck: Recording
    slow_files: SlowFiles
    stuck_files: SlowFiles
    worker: Worker


@pytest.fixture(scope="module")
def suffered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suffered]:
    folder = tmp_path_factory.mktemp("disks")
    done = Suffered()
    with ExitStack() as stack:
        full = stack.enter_context(small_disk(folder / "full", "24m"))
        locked = stack.enter_context(small_disk(folder / "locked", "24m"))
        remount(locked, "ro")
        cameras = stack.enter_context(
            running_simulator([small_camera(name, title="room") for name in CAMERAS])
        )
        parties = _start(stack, cameras, folder, done)
        for party in (parties.full, parties.slow, parties.stuck):
            party.wait_for_segments(1)
        handled = [Left(done.volumes[name], name) for name in ("handles", "handles2")]
        wait_until(lambda: all(left.segments for left in handled), 40, "segments of the worker")
        _suffer(parties, cameras, full, locked, done)
        parties.locked.wait_for_segments(1)
        counts = {name: len(done.left(name).segments) for name in CAMERAS}
        wait_until(
            lambda: all(len(done.left(name).segments) > counts[name] for name in CAMERAS),
            40,
            "another segment of each",
        )
        for party in (parties.full, parties.locked, parties.slow, parties.stuck):
            party.stop()
        done.exit_code = parties.worker.end()
        yield done


def _start(stack: ExitStack, cameras: RunningSimulator, folder: Path, done: Suffered) -> Parties:
    def volume(name: str, at: Path) -> Path:
        done.volumes[name] = at
        return at

    def start(*names: str, **how: object) -> Recording:
        wanted = [wanted_stream(name, cameras.url(name)) for name in names]
        at = folder / names[0] / "spool"
        for name in names:
            volume(name, at)
        return stack.enter_context(recording(at, wanted, **how))  # type: ignore[arg-type]  # as given

    slow_files, stuck_files = SlowFiles(), SlowFiles()
    data = folder / "handles"
    handled = ("handles", "handles2")
    for name in handled:
        volume(name, data / "spool")
    wanted = [wanted_stream(name, cameras.url(name)) for name in handled]
    return Parties(
        full=start("full", "full2"),
        locked=start("locked"),
        slow=start("slow", files=slow_files),
        stuck=start("stuck", files=stuck_files, limit_bytes=SMALL_BUFFER),
        slow_files=slow_files,
        stuck_files=stuck_files,
        worker=stack.enter_context(running_worker(data, wanted, segment_s=4)),
    )


def _suffer(
    parties: Parties, cameras: RunningSimulator, full: Path, locked: Path, done: Suffered
) -> None:
    pid = parties.worker.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # By now it has been tried to write the locked disk some times.
    done.messages = {"locked": parties.locked.workers["locked"].state().message}
    done.unlocked_us = time.time_ns() // 1000
    remount(locked, "rw")
    begun = time.monotonic()
    done.from_us = time.time_ns() // 1000
    ballast = fill(full)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, limits[1]))
    cameras.fault("drop", "handles2", "main", seconds=1)
    parties.slow_files.sync_s = 1.0
    parties.stuck_files.free.clear()
    states = {
        name: party.workers[name].state
        for party in (parties.full, parties.locked, parties.slow, parties.stuck)
        for name in party.workers
    }
    for name, cause in (("full", GapCause.DISK), ("full2", GapCause.DISK)):
        wait_until(lambda n=name, c=cause: states[n]().cause is c, 10, f"{name} to show")
    wait_until(lambda: states["stuck"]().cause is GapCause.WRITER, 15, "a stuck disk to show")
    wait_until(lambda: time.monotonic() - begun > TROUBLE_S, 10, "some seconds of trouble")
    done.causes = {name: state().cause for name, state in states.items()}
    assert parties.worker.process.poll() is None
    done.to_us = time.time_ns() // 1000
    ballast.unlink()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    parties.slow_files.sync_s = 0
    parties.stuck_files.free.set()
    wait_until(
        lambda: all(state().state is Health.OK for state in states.values()),
        40,
        "all to be well again",
    )


def assert_records_hold(left: Left) -> None:
    """The chain has no hole, nothing is left over, and what is stored plays."""
    for before, after in pairwise(left.entries):
        assert after.read().place.prev == before.leaf.hex()
    for entry in left.entries:
        check_record(entry.record)
    assert [path.name for path in left.others] == [".lock"]
    for joined in joined_by_init(left):
        assert not ffmpeg_words(joined)


def assert_gaps_say_what_is_missing(suffered: Suffered, name: str) -> list[GapFacts]:
    """Each hole in the numbers is a gap of that length, and there is no other gap."""
    left = suffered.left(name)
    assert_records_hold(left)
    frames = stored_frames(left)
    gaps = sorted(suffered.gaps(name), key=lambda gap: gap.start)
    missing = [
        b.stamp.frame - a.stamp.frame - 1
        for a, b in pairwise(frames)
        if b.stamp.frame != a.stamp.frame + 1
    ]
    ends = {segment.end for segment in left.segments}
    stated: list[int] = []
    for gap in gaps:
        if gap.start in ends:
            stated.append(0)
        stated[-1] += gap.end - gap.start
    assert len(stated) == len(missing) > 0
    for stated_us, frames_missing in zip(stated, missing, strict=True):
        assert abs(stated_us - frames_missing * FRAME_US) <= 120_000
    return gaps


@pytest.mark.parametrize("name", ["full", "full2"])
def test_a_full_disk(suffered: Suffered, name: str) -> None:
    gaps = assert_gaps_say_what_is_missing(suffered, name)
    # A little room may be found meanwhile, for a moment.
    assert {gap.cause for gap in gaps} == {"disk"}
    # All that came before the disk was full is there.
    assert gaps[0].start >= suffered.from_us - SECOND
    assert suffered.to_us - SECOND <= gaps[-1].end <= suffered.to_us + 6 * SECOND


def test_a_disk_that_cannot_be_written_is_waited_for(suffered: Suffered) -> None:
    assert suffered.messages["locked"] == "The volume cannot be written: Read-only file system."
    left = suffered.left("locked")
    assert_every_frame(left)
    assert_records_hold(left)
    assert left.segments[0].start > suffered.unlocked_us


def test_a_slow_disk_costs_nothing(suffered: Suffered) -> None:
    """Every sync takes a second; the camera's packets wait in memory."""
    assert suffered.causes["slow"] is None
    assert_every_frame(suffered.left("slow"))
    assert suffered.gaps("slow") == []
    assert_records_hold(suffered.left("slow"))


def test_a_disk_that_is_stuck_costs_what_did_not_fit_into_memory(suffered: Suffered) -> None:
    (gap,) = assert_gaps_say_what_is_missing(suffered, "stuck")
    assert gap.cause == "writer"
    # What fitted was written when the disk went on.
    assert gap.start >= suffered.from_us + SECOND // 2


def test_no_file_handles(suffered: Suffered) -> None:
    assert suffered.exit_code == 0
    (gap,) = assert_gaps_say_what_is_missing(suffered, "handles")
    assert gap.cause == "disk"
    # A segment that has just ended may have no file of the next one yet: its first pictures are lost.
    assert suffered.from_us - SECOND <= gap.start and gap.end <= suffered.to_us + 6 * SECOND


def test_a_camera_lost_while_there_are_no_file_handles(suffered: Suffered) -> None:
    gaps = assert_gaps_say_what_is_missing(suffered, "handles2")
    assert {gap.cause for gap in gaps} <= {"network", "offline", "disk"}
    assert gaps[-1].end <= suffered.to_us + 16 * SECOND
