"""The recorder's CPU against ffmpeg pulling the same cameras at the same time.

Three parties each pull every main stream: our worker with everything on (FLAC, digests, journal,
fsync), ``ffmpeg -c copy``, and ``ffmpeg -c:v copy -c:a flac`` with its files hashed by ``openssl
dgst`` afterwards (SHA-256 and SM3). CPU is counted between two instants, so starting is left out.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bidwitness.errors import Unavailable
from bidwitness.recorder.wanted_copy import encode_wanted
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

SETTLE_S = 8
TICKS = os.sysconf("SC_CLK_TCK")


def measure_recorder(cameras: int, seconds: int) -> dict[str, float]:
    """Give cores per camera and the ratios to both peers."""
    if shutil.which("ffmpeg") is None or shutil.which("openssl") is None:
        raise Unavailable("This benchmark needs ffmpeg and openssl.")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = stack.enter_context(_cameras(cameras, folder))
        worker = stack.enter_context(_worker(urls, folder / "data"))
        copies = stack.enter_context(_ffmpeg(urls, folder / "copy", "-c", "copy", ending="mkv"))
        flacs = stack.enter_context(
            _ffmpeg(
                urls, folder / "flac", "-c:v", "copy", "-c:a", "flac", "-strict", "-2", ending="mp4"
            )
        )
        time.sleep(SETTLE_S)
        before = [_cpu([worker]), _cpu(copies), _cpu(flacs)]
        size_before = _size(folder / "flac")
        time.sleep(seconds)
        ours, copy, flac = (
            (now - then) / seconds / cameras
            for now, then in zip([_cpu([worker]), _cpu(copies), _cpu(flacs)], before, strict=True)
        )
        hashed = _size(folder / "flac") - size_before
        rss = _rss_mb(worker)
        digest = _digest_cpu(folder / "flac") * hashed / max(1, _size(folder / "flac"))
        digest /= seconds * cameras
    return {
        "recorder.cores_per_camera": ours,
        "recorder.copy_cores_per_camera": copy,
        "recorder.copy_ratio": ours / copy,
        "recorder.cpu_ratio": ours / (flac + digest),
        "recorder.mb_per_camera": rss / cameras,
    }


@contextmanager
def _cameras(count: int, folder: Path) -> Iterator[list[str]]:
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
        yield [camera["streams"]["main"] for camera in ready["cameras"]]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _worker(urls: Sequence[str], data: Path) -> Iterator[int]:
    environment = {
        **os.environ,
        "BIDWITNESS_DATA": str(data),
        "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bidwitness", "record-worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(encode_wanted([_wanted(n, url) for n, url in enumerate(urls)]) + "\n")
    process.stdin.flush()
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait()


def _wanted(number: int, url: str) -> WantedStream:
    name = f"camera{number}"
    return WantedStream(
        stream_id=name,
        camera_id=name,
        camera=name,
        room_id="room",
        room="room",
        role=StreamRole.MAIN,
        address=url,
        username=None,
        secret=None,
        record_sound=True,
    )


@contextmanager
def _ffmpeg(urls: Sequence[str], folder: Path, *how: str, ending: str) -> Iterator[list[int]]:
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


def _cpu(pids: Sequence[int]) -> float:
    """Give the seconds of CPU that processes have used."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            raise Unavailable("A peer of the measurement has ended; see what it said above.")
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _digest_cpu(folder: Path) -> float:
    """Give the CPU seconds of hashing every file twice by openssl."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for algorithm in ("-sha256", "-sm3"):
        files = [str(path) for path in folder.iterdir()]
        subprocess.run(["openssl", "dgst", algorithm, *files], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
