"""Raises and clears the alarms of streams. Run by ``keep``: a dead recorder cannot speak of itself."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.storage.alarming.judge import (
    Finding,
    Reported,
    WatchedStream,
    is_recorded,
    judge,
)
from bidwitness.storage.alarming.wording import sentence
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, Camera, Room, Stream, StreamStatus
from bidwitness.storage.wanted_index import pulled
from bidwitness.words import StreamAlarm, StreamFault

_SUBJECT = "stream:"


def reported_of(row: StreamStatus) -> Reported:
    """Give a status row as a value."""
    return Reported(
        state=row.state,
        cause=row.cause,
        at_us=row.at_us,
        centi_fps=row.centi_fps,
        gop_ms=row.gop_ms,
        centi_dbfs=row.centi_dbfs,
        clock_us=row.clock_us,
        loss_ppm=row.loss_ppm,
        verdicts={StreamFault(name): bool(found) for name, found in (row.verdicts or {}).items()},
    )


class StreamWatch:
    """Looks at all streams' status every second or so."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        # Since when (monotonic µs) we have seen nothing come of a stream. Ours and not the
        # recorder's: its instants begin anew with each cause, and stand still when it is dead.
        self._missing: dict[str, int] = {}

    def watch(self) -> None:
        """Raise and clear what the present status calls for. Raises ``IndexUnavailable``."""
        now = self._clock.utc_us()
        with self._database.read() as orm:
            streams = watched_streams(orm)
            standing = _standing(orm)
        findings = {s.stream_id: judge(s, now, self._missing_us(s, now)) for s in streams}
        gone = {stream for stream, _ in standing} - findings.keys()
        self._missing = {s: since for s, since in self._missing.items() if s in findings}
        by_id = {stream.stream_id: stream for stream in streams}
        changes = [
            (by_id[stream], finding)
            for stream, found in findings.items()
            for finding in found
            if finding.stands != ((stream, finding.kind) in standing)
        ]
        if changes or gone:
            with self._database.write() as orm:
                for stream, finding in changes:
                    _follow(orm, stream, finding, now)
                for subject, kind in standing:
                    if subject in gone:
                        clear_alarm(orm, kind, _SUBJECT + subject, now)

    def _missing_us(self, stream: WatchedStream, now_us: int) -> int:
        monotonic = self._clock.monotonic_us()
        if is_recorded(stream, now_us):
            self._missing.pop(stream.stream_id, None)
            return 0
        return monotonic - self._missing.setdefault(stream.stream_id, monotonic)


def watched_streams(orm: Orm) -> list[WatchedStream]:
    """Give every stream that is to be recorded, with what the recorder said of it."""
    rows = orm.execute(
        select(Stream, Camera, Room, StreamStatus)
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .outerjoin(StreamStatus, StreamStatus.stream_id == Stream.id)
        .where(*pulled())
    ).all()
    return [
        WatchedStream(
            stream_id=stream.id,
            role=stream.role,
            camera=camera.name,
            room_id=room.id,
            room=room.name,
            reported=None if status is None else reported_of(status),
        )
        for stream, camera, room, status in rows
    ]


def _standing(orm: Orm) -> set[tuple[str, str]]:
    """Give (stream, kind) of the open alarms that this watch is about."""
    kinds: Iterable[str] = [kind.value for kind in StreamAlarm]
    rows = orm.execute(
        select(Alarm.subject, Alarm.kind).where(Alarm.cleared_us.is_(None), Alarm.kind.in_(kinds))
    )
    return {(subject.removeprefix(_SUBJECT), kind) for subject, kind in rows}


def _follow(orm: Orm, stream: WatchedStream, finding: Finding, now_us: int) -> None:
    subject = _SUBJECT + stream.stream_id
    if not finding.stands:
        clear_alarm(orm, finding.kind, subject, now_us)
        return
    raise_alarm(
        orm,
        finding.kind,
        subject,
        now_us,
        cause=sentence(finding.kind, finding.facts).en,
        room_id=stream.room_id,
        facts=finding.facts,
    )
