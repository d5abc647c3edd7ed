"""The compose file's processes on PostgreSQL, Redis and SeaweedFS; then the database goes away.

PostgreSQL is stopped for a minute in mid-session and the recorder killed meanwhile: nothing that
was received is lost, and what was not received is a gap with its cause.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from support.compose import environment, processes, read_compose, running_redis, seaweed_command
from support.database import PostgresServer, free_port, open_postgres
from support.examine import Examiner
from support.needs import absent
from support.seaweed import weed
from support.system import all_ok, supervised
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.demo.client import ApiClient
from bidwitness.demo.processes import VirtualCameras, make_logins
from bidwitness.demo.run import new_session, set_stage
from bidwitness.demo.staff import Staff
from bidwitness.errors import BidWitnessError
from bidwitness.serve import Supervisor
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.database import Database, open_database
from bidwitness.storage.index.models import Gap, Segment
from bidwitness.words import GapCause

VARIABLES = {
    "BIDWITNESS_DB_PASSWORD": "db-pass",
    "BIDWITNESS_S3_ACCESS_KEY": "compose-key",
    "BIDWITNESS_S3_SECRET_KEY": "compose-secret",
}
OUTAGE_S = 60
SECOND = 1_000_000
# What kill -9 may cost: the second since the last flush, and a GOP until the next key frame.
KILL_LOSS_US = SECOND


@dataclass
class Composed:
    """Everything of the compose file, as processes."""

    settings: Settings
    client: Staff
    postgres: PostgresServer
    supervisor: Supervisor
    cameras: VirtualCameras


@contextmanager
def running_compose(folder: Path) -> Iterator[Composed]:
    program = weed()
    if program is None:
        absent("SeaweedFS (the dev extra)")
        raise AssertionError("absent() did not end the test")
    compose = read_compose(VARIABLES)
    with ExitStack() as stack:
        postgres = stack.enter_context(open_postgres())
        _create_owner(postgres)
        redis = stack.enter_context(running_redis(folder / "redis"))
        s3, api, live = free_port(), free_port(), free_port()
        (folder / "weed").mkdir()
        words, keys = seaweed_command(compose, program, folder / "weed", s3)
        stack.enter_context(_running(words, keys, folder / "weed.log"))
        places = {
            "/data": str(folder / "data"),
            "postgres:5432": f"127.0.0.1:{postgres.port}",
            "redis:6379": f"127.0.0.1:{redis}",
            "seaweedfs:8333": f"127.0.0.1:{s3}",
            "0.0.0.0": "127.0.0.1",
        }
        settings_of = {name: environment(compose, name, places) for name in processes(compose)}
        common = {k: v for env in settings_of.values() for k, v in env.items()}
        common |= {
            "BIDWITNESS_PORT": str(api),
            "BIDWITNESS_LIVE_PORT": str(live),
            "BIDWITNESS_LIVE_HOST": "127.0.0.1",
            "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "true",
            "BIDWITNESS_SEGMENT_SECONDS": "10",
            "BIDWITNESS_UNDO_SECONDS": "0",
        }
        stack.enter_context(_environment(common))
        settings = load_settings()
        cameras = stack.enter_context(VirtualCameras(settings, folder / "logs"))
        passwords = make_logins(settings)
        supervisor = stack.enter_context(
            supervised(processes(compose), {**os.environ, **common}, folder / "logs")
        )
        client = stack.enter_context(Staff(f"http://127.0.0.1:{api}", passwords))
        wait_until(client.is_ready, 60, "the server")
        yield Composed(settings, client, postgres, supervisor, cameras)


def _create_owner(postgres: PostgresServer) -> None:
    engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE bidwitness LOGIN PASSWORD 'db-pass'"))
        connection.execute(text("CREATE DATABASE bidwitness OWNER bidwitness"))
    engine.dispose()


@contextmanager
def _running(words: list[str], keys: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(words, env={**os.environ, **keys}, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@pytest.mark.timeout(400)
def test_a_minute_without_the_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = SystemClock()
    with running_compose(tmp_path_factory.mktemp("compose")) as system:
        client = system.client
        stage = set_stage(client, system.cameras.addresses)
        wait_until(lambda: all_ok(client), 60, "every camera to record")
        session = new_session(client, stage, 3600)
        wait_until(lambda: _state(client, session) == "recording", 30, "the session to start")

        system.postgres.stop()
        down_us = clock.utc_us()
        killed = system.supervisor.pids()["record"]
        clock.sleep(OUTAGE_S / 2)
        os.killpg(killed, signal.SIGKILL)
        killed_us = clock.utc_us()
        wait_until(
            lambda: system.supervisor.pids().get("record", killed) != killed, 15, "a recorder"
        )
        clock.sleep(OUTAGE_S - (clock.utc_us() - down_us) / SECOND)
        system.postgres.start()
        up_us = clock.utc_us()

        wait_until(lambda: _answers(client, session), 60, "the API to answer again")
        wait_until(lambda: all_ok(client), 60, "every camera to record again")
        clock.sleep(5)
        client.post(f"sessions/{session}/end", {"outcome": "completed"})
        wait_until(lambda: _state(client, session) == "sealed", 120, "the seal")
        assert client.post(f"sessions/{session}/verify")["ok"]
        settings = system.settings

        database = open_database(settings.database_url)
        examiner = Examiner(database, open_footage(settings, clock))
        times = Times(down_us, killed_us, up_us)
        for name, stream in examiner.streams().items():
            _assert_one_hole(examiner, name, stream, times)
            wait_until(lambda s=stream: _all_stored(database, s), 60, "everything to be stored")
        database.close()


def _assert_one_hole(examiner: Examiner, name: str, stream: str, times: "Times") -> None:
    """All frames but those of the kill are there: also those received without a database."""
    frames = list(examiner.frames(stream))
    holes = [(a, b) for a, b in pairwise(frames) if b.stamp.frame != a.stamp.frame + 1]
    assert len(holes) == 1, (name, holes)
    before, after = holes[0]
    last = before.stamp.utc_us
    assert times.killed_us - KILL_LOSS_US < last <= times.killed_us + SECOND, name
    assert any(times.down_us < f.stamp.utc_us < last for f in frames), name
    assert any(after.stamp.utc_us < f.stamp.utc_us < times.up_us for f in frames), name
    with examiner.database.read() as orm:
        gaps = list(orm.scalars(select(Gap).where(Gap.stream_id == stream)))
    assert {gap.cause for gap in gaps} == {GapCause.RECORDER_DOWN}, name
    assert min(gap.from_us for gap in gaps) <= last + SECOND


@dataclass(frozen=True)
class Times:
    """Instants of the outage, µs UTC."""

    down_us: int
    killed_us: int
    up_us: int


def _state(client: ApiClient, session: str) -> str:
    return str(client.get(f"sessions/{session}")["state"])


def _answers(client: ApiClient, session: str) -> bool:
    try:
        return _state(client, session) == "recording"
    except BidWitnessError:
        return False


def _all_stored(database: Database, stream: str) -> bool:
    waiting = select(Segment.id).where(Segment.stream_id == stream, Segment.stored_us.is_(None))
    # The newest segment may have been closed a moment ago.
    with database.read() as orm:
        return len(orm.scalars(waiting).all()) <= 1
