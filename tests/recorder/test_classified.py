"""While a room is classified its cameras see nobody, and the gap says why nothing is there."""

import time
from dataclasses import replace
from pathlib import Path

from support.recording import assert_plays, recording, stored_frames, wanted_stream
from support.simulator import running_simulator, small_camera
from support.wait import wait_until

SECOND = 1_000_000


def test_the_simulator_sees_no_connection(tmp_path: Path) -> None:
    cameras = [small_camera(name, title="room") for name in ("closed", "open")]
    with running_simulator(cameras) as simulator:
        wanted = [
            wanted_stream(f"{c.name}_{role}", simulator.url(c.name, role))
            for c in cameras
            for role in ("main", "sub")
        ]
        mine = [stream for stream in wanted if stream.camera_id == "closed"]

        def viewers(camera: str) -> int:
            state = simulator.camera(camera)["state"]
            return sum(int(stream["viewers"]) for stream in state.values())

        with recording(tmp_path, wanted, segment_s=2) as running:
            wait_until(lambda: viewers("closed") == viewers("open") == 2, 20, "both rooms")
            running.wait_for_segments(1)
            start_us = time.time_ns() // 1000
            closed = (start_us, start_us + 3 * SECOND)
            for stream in mine:
                running.workers[stream.stream_id].change(replace(stream, classified=(closed,)))
            wait_until(lambda: viewers("closed") == 0, 5, "the room to be left alone")
            before = simulator.status()["connections_total"]
            seen = set()
            while time.time_ns() // 1000 < closed[1] - SECOND // 4:
                seen.add((viewers("closed"), viewers("open")))
                time.sleep(0.1)
            assert seen == {(0, 2)}
            assert simulator.status()["connections_total"] == before
            wait_until(lambda: viewers("closed") == 2, 10, "recording to resume")
            running.wait_for_segments(3)
    for stream in mine:
        left = running.left(stream.stream_id)
        (gap,) = [gap for gap in left.gaps if gap.medium == "all"]
        assert gap.cause == "classified"
        assert closed[0] - SECOND <= gap.start <= closed[0] + SECOND // 5
        assert closed[1] <= gap.end <= closed[1] + 2 * SECOND
        frames = stored_frames(left)
        inside = [f for f in frames if closed[0] + SECOND // 5 < f.stamp.utc_us < closed[1]]
        assert frames and not inside
        assert_plays(left)
    assert running.left("open_main").gaps == []
