"""The recorder's CPU against ffmpeg pulling the same cameras at the same time, and what it loses.

Three parties each pull every stream, of ten cameras at most: our worker with everything on (FLAC,
digests, journal, fsync), ``ffmpeg -c copy``, and ``ffmpeg -c:v copy -c:a flac`` with its files
hashed by ``openssl dgst`` afterwards (SHA-256 and SM3). CPU is counted between two instants, so
starting is left out. With more cameras our workers then pull ten and all of them by turns, alone.
At the end they are killed without warning, and their frames are counted from what they left.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.parties import (
    cpu_seconds,
    ffmpegs,
    folder_bytes,
    machine_seconds,
    openssl_seconds,
    recorder_workers,
    resident_mb,
    virtual_cameras,
)
from bidwitness.clock import SystemClock
from bidwitness.errors import Unavailable
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.simulator.stamps import STAMP_LENGTH, STAMP_UUID, FrameStamp, read_sei
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import StreamRole

SETTLE_S = 8
# What the cost at many cameras is compared with, so often by turns: a shared machine's pace changes.
FEW = 10
ROUNDS = 3
US = 1_000_000


@dataclass(frozen=True)
class Costs:
    """Cores per camera of each party; ``full`` includes openssl's hashing."""

    ours: float
    copy: float
    full: float
    mb: float


def measure_recorder(cameras: int, seconds: int) -> dict[str, float]:
    """Give the figures of ``recorder`` by their dotted names."""
    if shutil.which("ffmpeg") is None or shutil.which("openssl") is None:
        raise Unavailable("This benchmark needs ffmpeg and openssl.")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pid, urls = stack.enter_context(virtual_cameras(cameras, folder))
        sent = cpu_seconds([pid]), time.monotonic()
        main = _costs(urls["main"][:FEW], StreamRole.MAIN, folder / "main", seconds)
        sub = _costs(urls["sub"][:FEW], StreamRole.SUB, folder / "sub", seconds)
        figures = {
            "recorder.cameras": cameras,
            "recorder.cores_per_camera": main.ours,
            "recorder.copy_cores_per_camera": main.copy,
            "recorder.copy_ratio": main.ours / main.copy,
            "recorder.cpu_ratio": main.ours / main.full,
            "recorder.sub_ratio": sub.ours / sub.full,
            "recorder.mb_per_camera": main.mb,
            **_scale(urls["main"], folder, seconds),
            **_losses(urls["main"], folder / "killed", seconds),
        }
        source = (cpu_seconds([pid]) - sent[0]) / (time.monotonic() - sent[1])
        return {**figures, "recorder.source_cores_per_camera": source / cameras}


def _costs(urls: Sequence[str], role: StreamRole, folder: Path, seconds: int) -> Costs:
    flac = ("-c:v", "copy", "-c:a", "flac", "-strict", "-2")
    with ExitStack() as stack:
        workers = stack.enter_context(recorder_workers(urls, role, folder / "data"))
        ours = [worker.pid for worker in workers]
        copies = stack.enter_context(ffmpegs(urls, folder / "copy", "-c", "copy", ending="mkv"))
        fulls = stack.enter_context(ffmpegs(urls, folder / "flac", *flac, ending="mp4"))
        time.sleep(SETTLE_S)
        before = [cpu_seconds(pids) for pids in (ours, copies, fulls)]
        size = folder_bytes(folder / "flac")
        time.sleep(seconds)
        used = [
            (cpu_seconds(pids) - then) / seconds / len(urls)
            for pids, then in zip((ours, copies, fulls), before, strict=True)
        ]
        all_of_it = folder_bytes(folder / "flac")
        mb = resident_mb(ours) / len(urls)
        share = (all_of_it - size) / max(1, all_of_it)
        hashing = openssl_seconds(folder / "flac") * share / seconds / len(urls)
    return Costs(used[0], used[1], used[2] + hashing, mb)


def _scale(urls: Sequence[str], folder: Path, seconds: int) -> dict[str, float]:
    """Compare the cost of a camera among all with that among few. Nobody else pulls."""
    if len(urls) <= FEW:
        return {}
    counts = (FEW, len(urls))
    costs: dict[int, list[float]] = {count: [] for count in counts}
    busy = []
    for turn, count in product(range(ROUNDS), counts):
        with recorder_workers(urls[:count], StreamRole.MAIN, folder / f"{turn}.{count}") as workers:
            time.sleep(SETTLE_S)
            pids = [worker.pid for worker in workers]
            before, machine = cpu_seconds(pids), machine_seconds()
            time.sleep(seconds)
            costs[count].append((cpu_seconds(pids) - before) / seconds / count)
            worked, existed = (b - a for a, b in zip(machine, machine_seconds(), strict=True))
            busy.append(worked / existed)
    few, many = (median(costs[count]) for count in counts)
    return {"recorder.scale_ratio": many / few, "recorder.scale_busy": max(busy)}


def _losses(urls: Sequence[str], folder: Path, seconds: int) -> dict[str, float]:
    """Record through several cuts, kill without warning, recover, and count."""
    with recorder_workers(urls, StreamRole.MAIN, folder) as workers:
        time.sleep(SETTLE_S + seconds)
        killed_us = time.time_ns() // 1000
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()
    volume = folder / "spool"
    writer = VolumeWriter(volume, SystemFiles(), SystemClock(), site="bench", recorder="bench")
    lost = 0
    loss_us = 0
    for number in range(len(urls)):
        stream = f"camera{number}"
        writer.release(writer.sink(stream))
        stamps = _stamps(volume / stream)
        frames = [stamp.frame for stamp in stamps]
        lost += frames[-1] - frames[0] + 1 - len(set(frames))
        loss_us = max(loss_us, killed_us - stamps[-1].utc_us)
    return {"recorder.frames_lost": lost, "recorder.kill_loss_s": loss_us / US}


def _stamps(stream: Path) -> list[FrameStamp]:
    """Give the stamps of all frames in a stream's segments, in their order."""
    found: list[FrameStamp] = []
    for path in sorted(stream.glob("*/*.mp4")):
        data = path.read_bytes()
        at = data.find(STAMP_UUID)
        while at >= 0:
            stamp = read_sei(data[at : at + len(STAMP_UUID) + STAMP_LENGTH])
            if stamp is not None:
                found.append(stamp)
            at = data.find(STAMP_UUID, at + 1)
    if not found:
        raise Unavailable(f"{stream.name} holds no frame of a virtual camera.")
    return sorted(found, key=lambda stamp: stamp.frame)
