"""A worker process killed without warning, with cameras that make it hard; and started again."""

import signal
import time
from pathlib import Path

from support.desk import Left
from support.record_worker import running_worker
from support.recording import assert_plays, stored_frames, wanted_stream
from support.simulator import running_simulator, small_camera
from support.wait import wait_until

from bidwitness.storage.spool.reading import open_segments
from bidwitness.storage.wanted import WantedStream

SECOND = 1_000_000
CAMERAS = [
    small_camera("plain", title="room"),
    small_camera("long", title="room", gop_seconds=10),
    small_camera("silent", title="room", sound="ulaw"),
]


def open_runs(spool: Path, stream: WantedStream) -> set[str]:
    return {segment.table.header.run for segment in open_segments(spool, stream.stream_id)}


def wait_for_footage(
    spool: Path, wanted: list[WantedStream], seconds: float, besides: frozenset[str] = frozenset()
) -> None:
    """Return when each stream has so many seconds of picture in a run that is not ``besides``.

    Not when its state is well: for a moment after a quick restart the footage of before still is.
    """

    def written(stream: str) -> float:
        tables = [segment.table for segment in open_segments(spool, stream)]
        fragments = [f for t in tables if t.header.run not in besides for f in t.fragments]
        pictures = [f.place for f in fragments if f.place.track == 1]
        return (pictures[-1].end - pictures[0].dts) / 90_000 if pictures else 0

    wait_until(
        lambda: all(written(stream.stream_id) >= seconds for stream in wanted),
        40,
        f"{seconds} s of every stream",
    )


def test_a_killed_worker_loses_at_most_a_second(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_simulator(CAMERAS) as simulator:
        simulator.fault("silent", "silent", "main")
        wanted = [wanted_stream(f"{c.name}_main", simulator.url(c.name)) for c in CAMERAS]
        with running_worker(tmp_path, wanted) as worker:
            # Somewhere in the middle of the GOP of ten seconds.
            wait_for_footage(spool, wanted, 4)
            worker.process.send_signal(signal.SIGKILL)
            killed_us = time.time_ns() // 1000
            worker.process.wait()
        killed = [open_runs(spool, stream) for stream in wanted]
        assert all(len(runs) == 1 for runs in killed)
        with running_worker(tmp_path, wanted) as worker:
            wait_for_footage(spool, wanted, 1, besides=frozenset().union(*killed))
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
