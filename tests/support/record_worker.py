"""A worker process of the recorder, run as its supervisor runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bidwitness.recorder.wanted_copy import encode_wanted
from bidwitness.storage.wanted import WantedStream


class Worker:
    """A worker process with its pipes."""

    def __init__(self, data: Path, wanted: Sequence[WantedStream], segment_s: int) -> None:
        environment = {
            **os.environ,
            "BIDWITNESS_DATA": str(data),
            "BIDWITNESS_SEGMENT_SECONDS": str(segment_s),
            "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bidwitness.recorder.record_worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(encode_wanted(wanted) + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """End its input, as a supervisor does; give its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)


@contextmanager
def running_worker(
    data: Path, wanted: Sequence[WantedStream], *, segment_s: int = 60
) -> Iterator[Worker]:
    """Run a worker without its supervisor until the block ends; kill it if it still runs."""
    worker = Worker(data, wanted, segment_s)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
        assert worker.process.stdin is not None
        worker.process.stdin.close()
