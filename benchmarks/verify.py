"""The verifier against ``sha256sum`` over the same files, and its work on records alone.

``verify.structure_s`` and ``verify.py_structure_s`` are whole commands, from start to answer, over
a package of four hours and four streams. ``verify.media_ratio`` is the whole time of ``sha256sum``
over the files of a package divided by that of ``bidwitness verify``, both from the page cache;
``verify.media_cpu_ratio`` is the same of CPU, which a busy machine bends less.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.evidence import make_footage, media_files, write_bag
from bidwitness.errors import Unavailable
from bidwitness.storage.evidence.report import UNPROVEN

ROUNDS = 3
SESSION_MINUTES, SESSION_STREAMS = 240, 4
OURS = (sys.executable, "-m", "bidwitness", "verify")


def measure_verify(streams: int, seconds: int) -> dict[str, float]:
    """Give seconds for the structure of 4 h and 4 streams, and the ratio for ``seconds`` of media
    (rounded up to minutes) of ``streams`` streams."""
    if shutil.which("sha256sum") is None:
        raise Unavailable("This benchmark needs sha256sum.")
    with tempfile.TemporaryDirectory() as folder:
        return _structure(Path(folder) / "structure") | _media(
            Path(folder) / "media", streams, -(-seconds // 60)
        )


def _structure(folder: Path) -> dict[str, float]:
    footage = make_footage(folder / "spool", SESSION_STREAMS, SESSION_MINUTES, bytes_a_picture=32)
    bag = folder / "bag"
    write_bag(bag, footage, SESSION_MINUTES)
    alone = (sys.executable, "-I", "-S", str(bag / "verify.py"))
    (ours, _), (theirs, _) = _alternating(
        [[*OURS, "--structure", str(bag)], [*alone, "--structure", str(bag)]], UNPROVEN
    )
    return {"verify.structure_s": ours, "verify.py_structure_s": theirs}


def _media(folder: Path, streams: int, minutes: int) -> dict[str, float]:
    footage = make_footage(folder / "spool", streams, minutes)
    bag = folder / "bag"
    write_bag(bag, footage, minutes)
    files = media_files(bag, footage)
    size = sum(path.stat().st_size for path in files)
    alone = [sys.executable, "-I", "-S", str(bag / "verify.py"), str(bag)]
    (peer, peer_cpu), (ours, our_cpu), (theirs, _) = _alternating(
        [["sha256sum", *map(str, files)], [*OURS, str(bag)], alone], UNPROVEN
    )
    return {
        "verify.media_ratio": peer / ours,
        "verify.media_cpu_ratio": peer_cpu / our_cpu,
        "verify.py_media_ratio": peer / theirs,
        "verify.media_mb_per_s": size / ours / 1e6,
        "verify.sha256sum_mb_per_s": size / peer / 1e6,
    }


def _alternating(commands: Sequence[Sequence[str]], code: int) -> list[tuple[float, float]]:
    """Run commands in turn, so that what else the machine does meets them all; give the medians of
    their seconds and of their seconds of CPU."""
    taken: list[list[tuple[float, float]]] = [[] for _ in commands]
    # An installed program has its byte code at hand; a developer's machine may be told to keep none.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(ROUNDS):
        for command, times in zip(commands, taken, strict=True):
            begun, used = time.perf_counter(), _cpu()
            ended = subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=False)
            times.append((time.perf_counter() - begun, _cpu() - used))
            if ended.returncode not in (0, code):
                raise Unavailable(f"{command[0]} ended with {ended.returncode}.")
    return [(median(t for t, _ in times), median(c for _, c in times)) for times in taken]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
