"""`bidwitness work` and `beat` as processes, over both brokers: a killed worker loses nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support.compose import running_redis
from support.places import DAY, START, Shelf, a_stream
from support.processes import Command, running_command
from support.wait import wait_until

from bidwitness.celery import MAX_BACKLOG, backlog, hint, make_app
from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import ConfigError
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import Job, Segment
from bidwitness.words import JobState, RoomKind

WAIT_S = 90
TESTS = Path(__file__).parent.parent


@pytest.fixture(params=["filesystem", "redis"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "filesystem":
        yield f"filesystem://{tmp_path}/broker"
        return
    with running_redis(tmp_path / "redis") as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def settings(tmp_path: Path, broker: str) -> Settings:
    return load_settings(
        data=tmp_path / "data", broker=broker, job_lease_seconds=2, sweep_seconds=1
    )


@pytest.fixture
def index(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database_url)
    upgrade(database)
    yield database
    database.close()


def environment(settings: Settings) -> dict[str, str]:
    return {
        "BIDWITNESS_DATA": str(settings.data),
        "BIDWITNESS_BROKER": settings.broker,
        "BIDWITNESS_JOB_LEASE_SECONDS": str(settings.job_lease_seconds),
        "BIDWITNESS_SWEEP_SECONDS": str(settings.sweep_seconds),
        "PYTHONPATH": str(TESTS),
    }


def worker(settings: Settings) -> AbstractContextManager[Command]:
    log = settings.data.parent / "work.log"
    module = "support.slow_worker"
    return running_command(environment=environment(settings), log=log, module=module)


def beat(settings: Settings) -> AbstractContextManager[Command]:
    log = settings.data.parent / "beat.log"
    return running_command("beat", environment=environment(settings), log=log)


def queued(index: Database, folder: Path) -> str:
    folder.mkdir()
    with index.write() as orm:
        payload = {"folder": str(folder)}
        return enqueue(orm, "wait", payload, by="ann", now_us=SystemClock().utc_us()).id


def row(index: Database, job: str) -> Job:
    with index.read() as orm:
        found = orm.get(Job, job)
        assert found is not None
        return found


def past_its_loop(settings: Settings, index: Database) -> int:
    """A segment that the sweep has to find; gives its number."""
    old = Shelf(index, settings.spool).segment(a_stream(index, RoomKind.PUBLIC), START)
    now = SystemClock().utc_us()
    with index.write() as orm:
        found = orm.get(Segment, old.id)
        assert found is not None
        found.from_us, found.to_us = now - 31 * DAY, now - 30 * DAY - 1
    return old.id


def test_the_job_of_a_killed_worker_is_run_again_and_the_sweep_on_time(
    settings: Settings, index: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    job = queued(index, folder)
    with worker(settings) as first:
        assert hint(make_app(settings), job)
        wait_until(lambda: any(folder.glob("pid-*")), WAIT_S, "the first attempt")
        first.kill()
    assert row(index, job).state == JobState.RUNNING
    (folder / "go").touch()
    old = past_its_loop(settings, index)

    def marked() -> bool:
        with index.read() as orm:
            return orm.get_one(Segment, old).removed_us is not None

    with worker(settings) as second, beat(settings) as clockwork:
        wait_until(lambda: row(index, job).state == JobState.DONE, WAIT_S, "the second attempt")
        after = row(index, job)
        assert after.attempt == 2
        assert after.result == {"pid": second.process.pid}
        wait_until(marked, WAIT_S, "the sweep")
        assert clockwork.terminate() == 0, clockwork.said()
        assert second.terminate() == 0, second.said()


def test_messages_do_not_pile_up_while_nobody_works(
    settings: Settings, index: Database, tmp_path: Path
) -> None:
    app = make_app(settings)
    for _ in range(MAX_BACKLOG):
        hint(app, "no-such-job")
    assert backlog(app) == MAX_BACKLOG
    with beat(settings) as clockwork:
        wait_until(lambda: "sending nothing" in clockwork.said(), WAIT_S, "beat to notice")
        assert clockwork.terminate() == 0
    assert backlog(app) == MAX_BACKLOG


def test_a_torn_message_does_not_end_the_worker(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data")
    database = open_database(settings.database_url)
    upgrade(database)
    job = queued(database, tmp_path / "job")
    (tmp_path / "job" / "go").touch()
    app = make_app(settings)
    messages = settings.data / "broker" / "messages"
    (messages / "000000000000001_torn.bidwitness.msg").touch()
    (messages / "000000000000002_torn.bidwitness.msg").write_text('{"body": "')
    hint(app, job)
    with worker(settings):
        wait_until(lambda: row(database, job).state == JobState.DONE, WAIT_S, "the job")
    assert list(messages.iterdir()) == []
    database.close()


def test_a_broker_that_is_away_is_no_error_for_who_queues(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data", broker="redis://127.0.0.1:1/0")
    assert not hint(make_app(settings), "a-job")


def test_a_broker_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for broker in (f"filesystem://{tmp_path}/taken", "filesystem://host/folder"):
        with pytest.raises(ConfigError, match="BIDWITNESS_BROKER"):
            make_app(load_settings(data=tmp_path, broker=broker))
