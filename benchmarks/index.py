"""The timeline of a session and pages of the session list in an index of years, on PostgreSQL.

``index.timeline_p95_ms`` is the slower of the two: the timeline of sessions of any day, and pages
of the list from any place. The plan of every question is checked before anything is measured. The
page of today, whose sessions still record and have no stored report, is a figure of its own, and
so is what one question costs that does nothing.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from support.database import open_postgres

from benchmarks.plans import check_plans, questions
from benchmarks.years import BIG, Years, fill
from bidwitness.config import Settings, load_settings
from bidwitness.player.timeline import session_timeline
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.sessions.views import Wish, list_sessions
from bidwitness.words import Role

ROUNDS = 60
PAGE = 50


def measure_index(rows: int) -> dict[str, float]:
    """Give the figures of an index of at least ``rows`` rows of segments."""
    with open_postgres() as server, tempfile.TemporaryDirectory() as data:
        _tune(server.url)
        server.stop()
        server.start()
        database = open_database(server.url)
        settings = load_settings(data=Path(data))
        try:
            upgrade(database)
            begun = time.perf_counter()
            years = fill(database, settings, rows)
            filled = time.perf_counter() - begun
            return {
                "index.rows": years.rows,
                "index.fill_s": filled,
                **_figures(database, settings, years),
            }
        finally:
            database.close()


def _tune(url: str) -> None:
    """Set what matters for filling; for answering, PostgreSQL is as it comes."""
    database = open_database(url)
    raw = database.engine.raw_connection()
    try:
        raw.driver_connection.autocommit = True
        cursor = raw.cursor()
        for setting in ("max_wal_size = '16GB'", "wal_level = minimal", "max_wal_senders = 0"):
            cursor.execute(f"ALTER SYSTEM SET {setting}")
    finally:
        raw.close()
        database.close()


def _figures(database: Database, settings: Settings, years: Years) -> dict[str, float]:
    chance = random.Random(1)
    chosen = chance.sample(years.sessions, min(ROUNDS, len(years.sessions)))
    places = [_place(database, session) for session in chosen]

    def timeline(session_id: str) -> None:
        with database.read() as orm:
            found = session_timeline(
                orm, settings, session_id, years.now_us, frozenset({Role.SUPERVISOR}), "bench"
            )
        assert any(lane.ranges for lane in found.lanes)

    def page(after: tuple[int, str] | None) -> None:
        with database.read() as orm:
            list_sessions(orm, settings, years.now_us, Wish(), after=after, limit=PAGE)

    looked = {}
    first, last = years.sessions[0], years.sessions[-1]
    for name, ask in (
        ("first_timeline", lambda: timeline(first)),
        ("last_timeline", lambda: timeline(last)),
        ("sessions", lambda: page(places[0])),
        ("today", lambda: page(None)),
    ):
        with questions(database) as asked:
            ask()
        looked[f"index.{name}_rows_read"] = check_plans(database, asked, BIG)
        looked[f"index.{name}_questions"] = len(asked)
    timelines = _times([lambda one=one: timeline(one) for one in chosen])
    pages = _times([lambda place=place: page(place) for place in places])
    today = _times([lambda: page(None)] * (ROUNDS // 3))
    nothing = _times([lambda: _nothing(database)] * ROUNDS)
    return {
        "index.timeline_p95_ms": max(_p95(timelines), _p95(pages)),
        "index.session_timeline_p95_ms": _p95(timelines),
        "index.session_timeline_p50_ms": median(timelines),
        "index.sessions_p95_ms": _p95(pages),
        "index.sessions_p50_ms": median(pages),
        "index.today_p95_ms": _p95(today),
        "index.question_p95_ms": _p95(nothing),
        **looked,
    }


def _place(database: Database, session_id: str) -> tuple[int, str]:
    with database.engine.connect() as connection:
        planned = connection.exec_driver_sql(
            "SELECT planned_from_us FROM sessions WHERE id = %s", (session_id,)
        ).scalar_one()
    return int(planned), session_id


def _nothing(database: Database) -> None:
    with database.read() as orm:
        orm.connection().exec_driver_sql("SELECT 1")


def _times(asks: Sequence[Callable[[], None]]) -> list[float]:
    """Give the milliseconds of each, in order; the first is asked twice, for what Python loads."""
    asks[0]()
    out: list[float] = []
    for ask in asks:
        begun = time.perf_counter()
        ask()
        out.append((time.perf_counter() - begun) * 1000)
    return out


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
