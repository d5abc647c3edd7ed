"""Cameras that misbehave, in a real recorder: when it is known, when it is alarmed, when it ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select
from support.factories import a_room
from support.recording import Recording, recording, wanted_stream
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.ids import new_id
from bidwitness.recorder.status_rows import save_status_rows
from bidwitness.storage.alarming.watch import StreamWatch
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, Camera, Stream, StreamStatus
from bidwitness.words import Health, StreamRole

SECOND = 1_000_000
CAMERAS = {"drop": {}, "stall": {}, "silent": {}, "gop": {"gop_seconds": 8}, "skew": {}, "well": {}}
# A report each second, a commit each half, as the recorder's processes do.
REPORT_S = 1.0


class Site:
    """The index of a room with these cameras; their streams are named by them."""

    def __init__(self, index: Database) -> None:
        self.index = index
        self.names: dict[str, str] = {}
        with index.write() as orm:
            room = a_room(orm, "开标室", cameras=0)
            for name in CAMERAS:
                camera = Camera(name=name, room_id=room.id, created_us=1)
                orm.add(camera)
                orm.flush()
                stream = new_id()
                orm.add(
                    Stream(
                        id=stream,
                        camera_id=camera.id,
                        role=StreamRole.MAIN,
                        address="rtsp://192.0.2.1/main",
                    )
                )
                self.names[stream] = name

    def alarms(self, name: str) -> list[Alarm]:
        with self.index.read() as orm:
            rows = orm.scalars(select(Alarm).order_by(Alarm.raised_us)).all()
            return [row for row in rows if self.names[row.subject.partition(":")[2]] == name]

    def state(self, name: str) -> Health | None:
        with self.index.read() as orm:
            rows = orm.scalars(select(StreamStatus)).all()
            return next((row.state for row in rows if self.names[row.stream_id] == name), None)


@contextmanager
def watched(site: Site, running: Recording) -> Iterator[None]:
    """Report and watch every second, as the recorder and keep do, until the block ends."""
    clock = SystemClock()
    watch = StreamWatch(site.index, clock)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(REPORT_S):
            states = [worker.state() for worker in running.workers.values()]
            with site.index.write() as orm:
                save_status_rows(orm, "recorder-1", states, clock.utc_us())
            watch.watch()

    thread = threading.Thread(target=look, name="watch")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


def spoil(simulator: RunningSimulator) -> None:
    simulator.fault("drop", "drop", "main", seconds=16)
    simulator.fault("stall", "stall", "main", seconds=16)
    simulator.fault("silent", "silent", "main", seconds=16)
    simulator.fault("skew", "skew", "main", ms=90_000)


def test_what_goes_wrong_is_known_in_5_s_and_alarmed_in_15(
    sqlite_index: Database, tmp_path: Path
) -> None:
    site = Site(sqlite_index)
    specs = [small_camera(name, title="room", **more) for name, more in CAMERAS.items()]
    with running_simulator(specs) as simulator:
        wanted = [wanted_stream(stream, simulator.url(name)) for stream, name in site.names.items()]
        with recording(tmp_path, wanted) as running, watched(site, running):
            wait_until(lambda: all(site.state(n) is Health.OK for n in CAMERAS), 30, "a start")
            spoil(simulator)
            began, utc = time.monotonic(), SystemClock().utc_us()
            for name in ("drop", "stall"):
                wait_until(
                    lambda n=name: site.state(n) in (Health.STALLED, Health.OFFLINE), 5, name
                )
            assert time.monotonic() - began < 5
            for name in ("drop", "stall", "silent", "gop", "skew"):
                wait_until(lambda n=name: bool(site.alarms(n)), 15, f"the alarm of {name}")
            for name in ("drop", "stall", "silent"):
                assert site.alarms(name)[0].raised_us - utc < 15 * SECOND
            simulator.clear_faults()
            for name in ("drop", "stall", "silent", "skew"):
                wait_until(
                    lambda n=name: all(a.cleared_us is not None for a in site.alarms(n)),
                    40,
                    f"{name} to be well again",
                )
    kinds = {name: [(a.kind, a.facts["cause"]) for a in site.alarms(name)] for name in CAMERAS}
    assert kinds["drop"] in ([("not_recording", "offline")], [("not_recording", "network")])
    assert kinds["stall"][0][0] == "not_recording" and kinds["stall"][0][1] in ("stall", "offline")
    assert kinds["silent"] == [("no_sound", "no_audio")]
    # Before its first key frame, up to eight seconds, there was truly nothing to record.
    assert [k for k in kinds["gop"] if k[0] != "not_recording"] == [("long_gop", "long_gop")]
    assert site.alarms("gop")[-1].facts["gop_ms"] > 5_000
    assert kinds["skew"] == [("clock_offset", "clock_offset")]
    assert abs(site.alarms("skew")[0].facts["clock_us"] - 90 * SECOND) < SECOND
    assert kinds["well"] == []
