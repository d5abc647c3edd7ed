"""Each benchmark of a bar runs through on a small scale, so that none rots; what they decide by."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from support.database import empty_database
from support.factories import a_room, streams_of
from support.simulator import running_simulator, small_camera

from benchmarks import index as index_bench
from benchmarks import kill, ledger, live, replay, soak
from benchmarks.__main__ import BENCHMARKS, merge
from benchmarks.plans import check_plans, questions
from benchmarks.years import ROWS_A_DAY
from bidwitness.errors import Unavailable
from bidwitness.simulator.spec import FRAME_US, LOOP_FRAMES
from bidwitness.storage.index.database import Database, open_database

SMALL = {"width": 480, "height": 270, "bitrate": 400_000}


def finite(figures: dict[str, float], *names: str) -> bool:
    return all(math.isfinite(figures[name]) and figures[name] >= 0 for name in names)


def test_the_index_is_filled_and_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_bench, "ROUNDS", 6)
    figures = index_bench.measure_index(ROWS_A_DAY + 1)
    # A whole day, and of today what has been recorded so far.
    assert figures["index.rows"] == ROWS_A_DAY * 1.5
    assert finite(figures, "index.timeline_p95_ms", "index.sessions_p95_ms", "index.today_p95_ms")
    assert figures["index.last_timeline_rows_read"] > 6 * 480


def test_entries_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SINGLES", 2)
    figures = ledger.measure_ledger(50)
    assert figures["ledger.entries_per_s"] > 0 and figures["ledger.single_ms"] > 0


def test_the_wall_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAIN", SMALL)
    monkeypatch.setattr(live, "SETTLE_S", 0)
    monkeypatch.setattr(live, "FIRST_ROUNDS", 1)
    figures = live.measure_live(2, 2)
    assert finite(figures, "live.p95_ms", "live.nine_p95_ms", "live.first_frame_ms")


def test_a_session_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST_ROUNDS", 1), ("SEEKS", 1), ("PULL_IN_S", 0), ("PLAY_S", 2)):
        monkeypatch.setattr(replay, name, value)
    figures = replay.measure_replay(4, 120)
    assert finite(
        figures,
        *("replay.first_frame_ms", "replay.seek_p95_ms", "replay.spread_p95_frames"),
    )


@contextmanager
def _small_cameras(count: int, _: Path) -> Iterator[tuple[int, dict[str, list[str]]]]:
    specs = [small_camera(f"camera-{number}") for number in range(count)]
    with running_simulator(specs) as cameras:
        yield cameras.pid, {"main": [cameras.url(spec.name) for spec in specs]}


def test_a_recorder_is_watched_for_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "virtual_cameras", _small_cameras)
    figures = soak.measure_soak(1, 3)
    assert figures["soak.threads"] > 0 and figures["soak.memory_mb"] > 0
    assert {"soak.memory_mb_per_hour", "soak.handles_per_hour"} <= figures.keys()


def test_recorders_are_killed_and_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "SITES", 1)
    monkeypatch.setattr(kill, "SHORT_S", (2.0, 3.0))
    monkeypatch.setattr(kill, "LONG_SHARE", 0)
    figures = kill.measure_kill(1, 1, 1)
    assert figures["kill.kills"] == 1 and figures["kill.seed"] == 1
    assert figures["kill.problems"] == 0 and figures["kill.frames"] > 25
    assert figures["kill.bars_read"] > 0


def test_every_benchmark_is_found_by_its_name_and_its_figures_are_merged(tmp_path: Path) -> None:
    for name in BENCHMARKS:
        assert callable(getattr(import_module(f"benchmarks.{name}"), f"measure_{name}"))
    file = tmp_path / "figures.json"
    file.touch()
    merge(file, {"live.p95_ms": 1.0, "live.load": 2.0})
    merge(file, {"live.p95_ms": 3.0})
    assert json.loads(file.read_text()) == {"live.p95_ms": 3.0, "live.load": 2.0}


def test_a_slope_is_what_grows_in_an_hour() -> None:
    samples = [soak.Sample(at, 100 + at / 3600, 30, 5 + at // 10) for at in range(0, 100, 10)]
    found = soak.slopes(samples)
    assert found["soak.memory_mb_per_hour"] == pytest.approx(1)
    assert found["soak.handles_per_hour"] == 0
    assert found["soak.threads_per_hour"] == pytest.approx(360)


def test_a_delay_runs_from_sending_to_painting_also_over_the_seam_of_the_loop() -> None:
    t0 = 1_700_000_000_000_000
    sent = t0 + (5 * LOOP_FRAMES + LOOP_FRAMES - 1) * FRAME_US
    paint = {"at": 250.0, "number": LOOP_FRAMES - 1}
    unread = {"at": 251.0, "number": None}
    assert live.delays_of([paint, unread], (sent + 120_000) / 1000 - 250.0, t0) == [
        pytest.approx(120, abs=0.01)
    ]


def test_the_spread_is_that_of_the_frames_shown_at_the_same_time() -> None:
    def tile(*numbers: int) -> list[dict[str, float]]:
        return [{"at": place * 40.0, "number": number} for place, number in enumerate(numbers)]

    same = [tile(1, 2, 3, 4), tile(1, 2, 3, 4)]
    late = [tile(1, 2, 3, 4), tile(LOOP_FRAMES - 1, 0, 1, 2)]
    assert set(replay.spreads_of(same)) == {0}
    assert set(replay.spreads_of(late)) == {2}


def test_a_plan_that_strays_is_refused(postgres: str, migrated_postgres: str) -> None:
    with empty_database(postgres, migrated_postgres) as url:
        database = open_database(url)
        try:
            _check_plans_of(database)
        finally:
            database.close()


def _check_plans_of(database: Database) -> None:
    with database.write() as orm:
        (stream,) = streams_of(orm, a_room(orm, sub=False))
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO gaps (stream_id, cause, from_us, to_us) "
            f"SELECT '{stream}', 'network', n * 1000, n * 1000 + 1 FROM generate_series(1, 5000) n"
        )

    def ask(condition: str) -> int:
        with questions(database) as asked, database.engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT * FROM gaps WHERE {condition}")
        return check_plans(database, asked, ["gaps"])

    with pytest.raises(Unavailable, match="looked at 5000 rows"):
        ask("to_us > 4999000")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE gaps")
    assert ask(f"stream_id = '{stream}' AND from_us BETWEEN 5000 AND 7000") == 3
