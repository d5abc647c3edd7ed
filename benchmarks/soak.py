"""Whether a recorder grows: memory, handles and threads over time, as slopes an hour.

One worker records all cameras with everything on; its segments are short, so that minutes hold as
many cuts as hours do otherwise. What it takes while it starts is left out. A slope over a few
minutes is only a hint: what is made once and kept looks like growth. For a verdict let it run for
an hour or more.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.parties import SEGMENT_S, recorder_workers, resident_mb, virtual_cameras
from bidwitness.errors import Unavailable
from bidwitness.words import StreamRole

# At least so many segments are cut before anything counts, or a quarter of the time if that is less.
WARM_UP_S = 6 * SEGMENT_S
SAMPLES = 120
HOUR_S = 3600


@dataclass(frozen=True)
class Sample:
    at_s: float
    mb: float
    handles: int
    threads: int


def measure_soak(cameras: int, seconds: int) -> dict[str, float]:
    """Give the slopes of a recorder of so many cameras over ``seconds``, warm-up included."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, urls = stack.enter_context(virtual_cameras(cameras, folder))
        workers = stack.enter_context(
            recorder_workers(urls["main"], StreamRole.MAIN, folder / "data")
        )
        begun = time.monotonic()
        warm = min(WARM_UP_S, seconds / 4)
        time.sleep(warm)
        samples: list[Sample] = []
        while (now := time.monotonic() - begun) < seconds:
            samples.append(_sample([worker.pid for worker in workers], now))
            time.sleep(max(0.2, (seconds - warm) / SAMPLES))
        if any(worker.poll() is not None for worker in workers):
            raise Unavailable("The recorder has ended; see what it said above.")
    return {"soak.cameras": cameras, "soak.hours": seconds / HOUR_S, **slopes(samples)}


def _sample(pids: Sequence[int], at_s: float) -> Sample:
    handles = sum(1 for pid in pids for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(at_s, resident_mb(pids), handles, sum(_threads(pid) for pid in pids))


def _threads(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def slopes(samples: Sequence[Sample]) -> dict[str, float]:
    """Give by least squares what each grew an hour, and what it came to."""
    last = samples[-1]
    at = [sample.at_s for sample in samples]
    return {
        "soak.memory_mb_per_hour": _slope(at, [s.mb for s in samples]),
        "soak.handles_per_hour": _slope(at, [s.handles for s in samples]),
        "soak.threads_per_hour": _slope(at, [s.threads for s in samples]),
        "soak.memory_mb": last.mb,
        "soak.handles": last.handles,
        "soak.threads": last.threads,
    }


def _slope(at: Sequence[float], values: Sequence[float]) -> float:
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((t - middle) ** 2 for t in at)
    if not spread:
        return 0.0
    rise = sum((t - middle) * (v - mean) for t, v in zip(at, values, strict=True))
    return rise / spread * HOUR_S
