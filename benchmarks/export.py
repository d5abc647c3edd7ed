"""Writing a package against ``cp`` of the same files to the same disk.

A package is durable when it has its name, so the peer is ``cp`` and then ``sync`` of what it wrote;
``export.plain_cp_ratio`` is over ``cp`` alone, which may end before a byte is on the disk.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.evidence import make_footage, write_bag
from bidwitness.errors import Unavailable

ROUNDS = 3


def measure_export(streams: int, seconds: int) -> dict[str, float]:
    """Give the ratio for ``seconds`` (rounded up to minutes) of footage of some streams."""
    if shutil.which("cp") is None or shutil.which("sync") is None:
        raise Unavailable("This benchmark needs cp and sync.")
    minutes = -(-seconds // 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = make_footage(folder / "spool", streams, minutes)
        files = [path for made in footage for path in made.files]
        size = sum(path.stat().st_size for path in files)
        package, copy = folder / "package.zip", folder / "copy"

        def export() -> None:
            write_bag(package, footage, minutes)

        def plain() -> None:
            subprocess.run(["cp", "-r", str(folder / "spool"), str(copy)], check=True)

        def durable() -> None:
            plain()
            targets = [str(path) for path in copy.rglob("*")]
            subprocess.run(["sync", *targets], check=True)

        taken: dict[Callable[[], None], list[float]] = {export: [], durable: [], plain: []}
        for _ in range(ROUNDS):
            for run, times in taken.items():
                subprocess.run(["sync"], check=True)
                begun = time.perf_counter()
                run()
                times.append(time.perf_counter() - begun)
                package.unlink(missing_ok=True)
                shutil.rmtree(copy, ignore_errors=True)
        ours, peer, cached = (median(times) for times in taken.values())
    return {
        "export.cp_ratio": peer / ours,
        "export.plain_cp_ratio": cached / ours,
        "export.mb_per_s": size / ours / 1e6,
        "export.cp_mb_per_s": size / peer / 1e6,
    }
