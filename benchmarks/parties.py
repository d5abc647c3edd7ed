"""The processes that a recorder's measurement compares, and what they have used."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bidwitness.errors import Unavailable
from bidwitness.recorder.assignment import assign
from bidwitness.recorder.wanted_copy import encode_wanted
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

TICKS = os.sysconf("SC_CLK_TCK")
# Short enough for a run to have several cuts.
SEGMENT_S = 10


@contextmanager
def virtual_cameras(count: int, folder: Path) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Run our own camera server; give its process id and the addresses by role."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bidwitness", "simulate", "--cameras", str(count)),
            *("--port", "0", "--cache", str(folder / "loops"), "--while-stdin"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        roles = {
            role: [camera["streams"][role] for camera in ready["cameras"]]
            for role in ("main", "sub")
        }
        yield process.pid, roles
    finally:
        process.terminate()
        process.wait()


@contextmanager
def recorder_workers(
    urls: Sequence[str], role: StreamRole, data: Path
) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run as many of our workers as a recorder would for so many streams, with everything on."""
    wanted = {f"camera{n}": _wanted(f"camera{n}", url, role) for n, url in enumerate(urls)}
    workers: list[subprocess.Popen[str]] = []
    try:
        for streams in assign(list(wanted), {}).values():
            workers.append(_worker(data))
            pipe = workers[-1].stdin
            assert pipe is not None
            pipe.write(encode_wanted([wanted[stream] for stream in streams]) + "\n")
            pipe.flush()
        yield workers
    finally:
        for worker in workers:
            worker.communicate()


def _worker(data: Path) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "BIDWITNESS_DATA": str(data),
        "BIDWITNESS_SEGMENT_SECONDS": str(SEGMENT_S),
        "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "true",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "bidwitness.recorder.record_worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def _wanted(name: str, url: str, role: StreamRole) -> WantedStream:
    return WantedStream(
        stream_id=name,
        camera_id=name,
        camera=name,
        room_id="room",
        room="room",
        role=role,
        address=url,
        username=None,
        secret=None,
        record_sound=role is StreamRole.MAIN,
    )


@contextmanager
def ffmpegs(urls: Sequence[str], folder: Path, *how: str, ending: str) -> Iterator[list[int]]:
    """Run one ffmpeg a camera; give their process ids."""
    folder.mkdir(parents=True)
    fragments = ["-movflags", "frag_keyframe+empty_moov"] if ending == "mp4" else []
    processes = [
        subprocess.Popen(
            [
                *("ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url),
                *(*how, *fragments, str(folder / f"{number}.{ending}")),
            ],
            stdin=subprocess.DEVNULL,
        )
        for number, url in enumerate(urls)
    ]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def cpu_seconds(pids: Sequence[int]) -> float:
    """Give the seconds of CPU that processes have used. Raises ``Unavailable`` if one has ended."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            raise Unavailable("A peer of the measurement has ended; see what it said above.")
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


def resident_mb(pids: Sequence[int]) -> float:
    """Give what memory processes have together, in megabytes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * resource.getpagesize() / 1e6


def machine_seconds() -> tuple[float, float]:
    """Give the seconds that all processors have worked, and that they have existed."""
    fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS, sum(fields) / TICKS


def folder_bytes(folder: Path) -> int:
    """Give the size of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def openssl_seconds(folder: Path) -> float:
    """Give the CPU seconds of hashing every file by openssl, once by SHA-256, once by SM3."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for algorithm in ("-sha256", "-sm3"):
        files = [str(path) for path in folder.iterdir()]
        subprocess.run(["openssl", "dgst", algorithm, *files], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
