"""Up, ready, and the figures."""

from pathlib import Path

import pytest
from support import factories
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock

from bidwitness.api.health import render
from bidwitness.storage.index.alarms import raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.measures import Measure


def test_it_is_up_and_ready(api_on_both: RunningApi) -> None:
    with api_on_both.client() as client:
        assert client.get("/health").json()["status"] == "up"
        answer = client.get("/ready")
        assert answer.json() == {"index": "answers", "store": "answers"}


def test_it_is_up_but_not_ready_without_its_index(api: RunningApi, clock: FakeClock) -> None:
    with api.client() as client:
        assert client.get("/ready").status_code == 200
        path = Path(str(api.database.engine.url.database))
        api.database.close()
        path.write_bytes(b"this is no database" * 400)
        clock.sleep(2)
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["index"]) == (503, "does not answer")
        assert client.get("/health").status_code == 200
        assert "this is no" not in answer.text


def test_figures_of_streams_alarms_and_sessions(api_on_both: RunningApi) -> None:
    with api_on_both.database.write() as orm:
        factories.a_room(orm, cameras=2)
        raise_alarm(orm, "offline", "stream:x", 1, cause="x")
    with api_on_both.client() as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'bidwitness_alarms{kind="offline"} 1' in lines
    assert "bidwitness_segments_not_stored 0" in lines
    counted = [line for line in lines if line.startswith("bidwitness_streams{")]
    assert sum(int(line.rsplit(" ", 1)[1]) for line in counted) == 4


def test_figures_are_for_this_machine_or_a_token(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with (
        running_api(
            sqlite_index, tmp_path, clock=clock, behind_proxy=True, metrics_token="t0ken-t0ken"
        ) as api,
        api.client(**forwarded) as client,
    ):
        problem_of(client.get("/metrics"), 401, "unauthenticated")
        wrong = {"Authorization": "Bearer t0ken"}
        problem_of(client.get("/metrics", headers=wrong), 401, "unauthenticated")
        right = {"Authorization": "Bearer t0ken-t0ken"}
        assert client.get("/metrics", headers=right).status_code == 200


def test_a_forwarded_request_is_never_this_machine(api: RunningApi) -> None:
    with api.client(**{"X-Forwarded-For": "127.0.0.1"}) as client:
        problem_of(client.get("/metrics"), 401, "unauthenticated")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_a_label_stays_on_its_line(name: str) -> None:
    text = render([Measure("m", "about", 1, (("camera", name),))])
    assert len(text.splitlines()) == 3 and text.endswith("} 1\n")
