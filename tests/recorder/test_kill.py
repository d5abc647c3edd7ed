"""A worker process killed without warning, with cameras that make it hard; and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.desk import Left
from support.recording import assert_plays, stored_frames, wanted_stream
from support.simulator import running_simulator, small_camera
from support.wait import wait_until

from bidwitness.recorder.status import decode_states
from bidwitness.recorder.wanted_copy import encode_wanted
from bidwitness.storage.spool.reading import open_segments
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import Health

SECOND = 1_000_000
CAMERAS = [
    small_camera("plain", title="room"),
    small_camera("long", title="room", gop_seconds=10),
    small_camera("silent", title="room", sound="ulaw"),
]


class Worker:
    """A worker process with its pipes."""

    def __init__(self, data: Path, wanted: list[WantedStream]) -> None:
        environment = {
            **os.environ,
            "BIDWITNESS_DATA": str(data),
            "BIDWITNESS_SEGMENT_SECONDS": "60",
            "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bidwitness.recorder.record_worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(encode_wanted(wanted) + "\n")
        self.process.stdin.flush()

    def wait_until_well(self, count: int) -> None:
        """Read its states until so many streams are well or degraded."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + 30
        for line in self.process.stdout:
            assert time.monotonic() < deadline, line
            states = [state.state for state in decode_states(line)]
            if sum(state in (Health.OK, Health.DEGRADED) for state in states) == count:
                return
        raise AssertionError(f"the worker ended with {self.process.wait()}")

    def end(self) -> int:
        """End its input, as a supervisor does; give its exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


@contextmanager
def running_worker(data: Path, wanted: list[WantedStream]) -> Iterator[Worker]:
    worker = Worker(data, wanted)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
        for pipe in (worker.process.stdin, worker.process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_killed_worker_loses_at_most_a_second(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_simulator(CAMERAS) as simulator:
        simulator.fault("silent", "silent", "main")
        wanted = [wanted_stream(f"{c.name}_main", simulator.url(c.name)) for c in CAMERAS]
        with running_worker(tmp_path, wanted) as worker:
            worker.wait_until_well(3)
            # Somewhere in the middle of the GOP of ten seconds.
            started = time.monotonic()
            wait_until(lambda: time.monotonic() - started > 4, 10, "four seconds of footage")
            worker.process.send_signal(signal.SIGKILL)
            killed_us = time.time_ns() // 1000
            worker.process.wait()
        assert all(open_segments(spool, stream.stream_id) for stream in wanted)
        with running_worker(tmp_path, wanted) as worker:
            worker.wait_until_well(3)
            started = time.monotonic()
            wait_until(lambda: time.monotonic() - started > 4, 10, "four more seconds")
            assert worker.end() == 0
    for stream in wanted:
        left = Left(spool, stream.stream_id)
        before, after = left.segments
        assert before.run != after.run
        sent = [f.stamp for f in stored_frames(left)]
        kept = [stamp for stamp in sent if stamp.utc_us < killed_us]
        lost_us = killed_us - max(stamp.utc_us for stamp in kept)
        assert lost_us <= SECOND, f"{stream.stream_id} lost {lost_us} µs"
        (gap,) = [g for g in left.gaps if g.medium == "all"]
        assert (gap.cause, gap.start, gap.end) == ("recorder_down", before.end, after.start)
        assert_plays(left)
        assert [path.name for path in left.others] == [".lock"]
