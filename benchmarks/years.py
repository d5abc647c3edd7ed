"""An index of years: a site's rooms, a session a room and day, and its segments put in by COPY.

42 streams (seven rooms, three cameras each, main and sub) record eight hours a day in segments of
a minute, 250 days a year. Records and fragment tables are left out: no page of a session or of
the list reads them. Gaps are three a stream and day, as a network that is not good makes them.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy import make_url
from support.factories import a_room, streams_of

from bidwitness.config import Settings
from bidwitness.ids import new_id
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Init, Room, Session
from bidwitness.storage.sessions.report import report_json
from bidwitness.storage.sessions.reporting import session_report
from bidwitness.words import SessionState

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
ROOMS, CAMERAS = 7, 3
STREAMS = ROOMS * CAMERAS * 2
MINUTES_A_DAY = 8 * 60
DAYS_A_YEAR = 250
ROWS_A_DAY = STREAMS * MINUTES_A_DAY
# The beginning of the first day's sessions, 09:00 in Beijing.
BEGIN = datetime(2016, 1, 4, 1, tzinfo=UTC)
RUN = "run" + "0" * 13
INIT = hashlib.sha256(b"init").hexdigest()
TRACKS = [
    {"id": 1, "medium": "picture", "codec": "avc1.640028", "timescale": 90_000},
    {"id": 2, "medium": "sound", "codec": "fLaC", "timescale": 8_000},
]
BIG = ("segments", "gaps", "claims", "bookings", "sessions", "items", "lots", "projects")


@dataclass(frozen=True)
class Years:
    """What has been filled: sessions by id in the order of their days, those of today last."""

    sessions: list[str]
    running: list[str]
    now_us: int
    rows: int


def fill(database: Database, settings: Settings, rows: int) -> Years:
    """Fill an empty, migrated index with at least ``rows`` rows of segments, of whole days."""
    days = [_day(number) for number in range(-(-rows // ROWS_A_DAY))]
    rooms = _rooms(database)
    url = make_url(database.engine.url).set(drivername="postgresql")
    sessions: list[str] = []
    running: list[str] = []
    now_us = days[-1] + 4 * HOUR
    with psycopg.connect(url.render_as_string(hide_password=False)) as raw:
        # References are not checked row by row: that would take most of the time.
        raw.execute("SET session_replication_role = replica")
        rows = _segments(raw, rooms, days, now_us)
        _copy(raw, "gaps", _gaps(rooms, days))
        for number, day in enumerate(days):
            today = number == len(days) - 1
            made = [_session(room, day, now_us if today else None) for room in rooms]
            for table in ("projects", "lots", "sessions", "items", "bookings", "claims"):
                _copy(raw, table, (row for one in made for row in one.tables[table]))
            (running if today else sessions).extend(one.id for one in made)
        raw.commit()
        _store_reports(database, settings, raw, sessions, now_us)
        raw.autocommit = True
        for table in BIG:
            raw.execute(f"VACUUM (ANALYZE, PARALLEL 0) {table}")
    return Years(sessions, running, now_us, rows)


def _day(number: int) -> int:
    """Give the beginning of a day's sessions, in µs UTC; 250 of the days of each year."""
    year, rest = divmod(number, DAYS_A_YEAR)
    begins = BEGIN.replace(year=BEGIN.year + year) + timedelta(days=rest)
    return int(begins.timestamp()) * SECOND


@dataclass(frozen=True)
class _Place:
    """A room and the streams that stand in it."""

    id: str
    streams: list[str]


def _rooms(database: Database) -> list[_Place]:
    with database.write() as orm:
        made: list[Room] = [
            a_room(orm, f"评标室{number + 1}", cameras=CAMERAS) for number in range(ROOMS)
        ]
        orm.add(Init(id=INIT, body=b"init", tracks=TRACKS))
        return [_Place(room.id, streams_of(orm, room)) for room in made]


def _copy(raw: psycopg.Connection, table: str, rows: Iterator[dict[str, object]]) -> None:
    """COPY rows of equal columns; None is NULL."""
    columns: list[str] | None = None
    out = io.StringIO()
    for row in rows:
        columns = columns or list(row)
        out.write("\t".join(r"\N" if v is None else str(v) for v in row.values()) + "\n")
    if columns is not None:
        with raw.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            copy.write(out.getvalue())


def _segments(
    raw: psycopg.Connection, rooms: Sequence[_Place], days: Sequence[int], now_us: int
) -> int:
    """COPY the segments minute by minute, as recorders commit them; indexes are made after it."""
    made = raw.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'segments' "
        "AND indexname LIKE 'ix_%'"
    ).fetchall()
    for name, _ in made:
        raw.execute(f"DROP INDEX {name}")
    raw.execute("SET maintenance_work_mem = '512MB'")
    columns = (
        "stream_id, from_us, to_us, run_seq, record_id, run_id, init_id, quality, sha256, bytes, "
        "pieces, recorder, store_key, store_version, stored_us"
    )
    streams = [stream for room in rooms for stream in room.streams]
    digest = hashlib.sha256(b"segment").hexdigest()
    tail = f"{RUN}\t{INIT}\tcamera\t\\\\x{digest}\t30000000\t270\trecorder-1\tsegments/key\tversion"
    count = 0
    with raw.cursor().copy(f"COPY segments ({columns}) FROM STDIN") as copy:
        for day in days:
            lines: list[str] = []
            for minute in range(MINUTES_A_DAY):
                start = day + minute * MINUTE
                if start >= now_us:
                    break
                rest = f"\t{start}\t{start + MINUTE}\t{minute}\t{count}\t{tail}\t{start + HOUR}\n"
                lines += [stream + rest for stream in streams]
                count += len(streams)
            copy.write("".join(lines))
    for _, definition in made:
        raw.execute(definition)
    return count


def _gaps(rooms: Sequence[_Place], days: Sequence[int]) -> Iterator[dict[str, object]]:
    for day in days:
        for room in rooms:
            for stream in room.streams:
                for part in range(3):
                    start = day + (part * 150 + 7) * MINUTE + 20 * SECOND
                    yield {
                        "stream_id": stream,
                        "cause": "network",
                        "from_us": start,
                        "to_us": start + 5 * SECOND,
                    }


@dataclass(frozen=True)
class _Made:
    id: str
    tables: dict[str, list[dict[str, object]]]


def _session(room: _Place, day: int, now_us: int | None) -> _Made:
    """Make a session of eight hours in a room; ``now_us``: it records still."""
    project, lot, session, booking = (new_id() for _ in range(4))
    end = None if now_us else day + 8 * HOUR
    span = {"from_us": day, "to_us": day + 8 * HOUR}
    row: dict[str, object] = {
        "id": session,
        "kind": "evaluation",
        "state": SessionState.RECORDING if now_us else SessionState.ARCHIVED,
        "condition": "running",
        "outcome": None if now_us else "completed",
        "planned_from_us": day,
        "planned_to_us": day + 8 * HOUR,
        "started_us": day,
        "ended_us": end,
        "created_us": day,
        "created_by": "bench",
        "version": 1,
    }
    named = {"code": f"P-{project}", "name": f"项目 {project}", "category": "construction"}
    claim = {"session_id": session, "booking_id": booking, "from_us": day, "to_us": end}
    made = {"class": "own", "made_us": day, "made_by": "bench"}
    return _Made(
        session,
        {
            "projects": [{"id": project, **named, "created_us": day}],
            "lots": [{"id": lot, "project_id": project, "code": "-", "phase": "evaluating"}],
            "sessions": [row],
            "items": [{"id": new_id(), "session_id": session, "lot_id": lot}],
            "bookings": [
                {
                    "id": booking,
                    "session_id": session,
                    "room_id": room.id,
                    "role": "main",
                    "seat_ids": "[]",
                    **span,
                }
            ],
            "claims": [
                {"id": new_id(), "stream_id": stream, **claim, **made} for stream in room.streams
            ],
        },
    )


def _store_reports(
    database: Database,
    settings: Settings,
    raw: psycopg.Connection,
    sessions: Sequence[str],
    now_us: int,
) -> None:
    """Give every sealed session a report of the size of a true one."""
    with database.read() as orm:
        session = orm.get(Session, sessions[-1])
        assert session is not None
        report = report_json(session_report(orm, settings, session, now_us))
    raw.execute(
        "UPDATE sessions SET report = %s WHERE ended_us IS NOT NULL",
        (psycopg.types.json.Jsonb(report),),
    )
    raw.commit()
