"""Figures of the whole installation, read from the index for whoever watches it."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import (
    Alarm,
    Camera,
    Job,
    LockTest,
    RecordObject,
    Segment,
    Session,
    SessionObject,
    Stream,
    StreamStatus,
)
from bidwitness.words import Health

SECOND_US = 1_000_000
# A lock is looked at within seconds of coming due, or again within the hour if `keep` died at it.
LATE_LOCK_US = 3_700 * SECOND_US


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, with Prometheus's name and labels."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def measures(orm: Orm, now_us: int) -> list[Measure]:
    """Give the figures of now. Names and units follow Prometheus's customs (seconds)."""
    return [
        *_streams(orm, now_us),
        *_by_state(orm, "bidwitness_sessions", "Sessions by state.", Session),
        *_by_state(orm, "bidwitness_jobs", "Jobs by state.", Job),
        *_alarms(orm),
        *_not_stored(orm, now_us),
        *_locks(orm, now_us),
    ]


def _streams(orm: Orm, now_us: int) -> list[Measure]:
    """Per stream the age of its last whole fragment: connected is not recording."""
    rows = orm.execute(
        select(Stream.id, Stream.role, Camera.name, StreamStatus.last_us, StreamStatus.state)
        .join(Camera, Camera.id == Stream.camera_id)
        .outerjoin(StreamStatus, StreamStatus.stream_id == Stream.id)
        .where(Stream.enabled, Camera.enabled, Camera.removed_us.is_(None))
        .order_by(Stream.id)
    ).all()
    states = dict.fromkeys(Health, 0)
    found: list[Measure] = []
    for stream, role, camera, last_us, state in rows:
        states[state or Health.OFFLINE] += 1
        if last_us is not None:
            labels = (("stream", stream), ("camera", camera), ("role", role.value))
            found.append(
                Measure(
                    "bidwitness_stream_last_fragment_age_seconds",
                    "Age of the last whole fragment.",
                    (now_us - last_us) / SECOND_US,
                    labels,
                )
            )
    for health, number in states.items():
        about = "Streams to be recorded."
        found.append(Measure("bidwitness_streams", about, number, (("state", health.value),)))
    return found


def _by_state(orm: Orm, name: str, about: str, table: type[Session] | type[Job]) -> list[Measure]:
    rows = orm.execute(select(table.state, func.count(table.id)).group_by(table.state))
    return [Measure(name, about, number, (("state", str(state)),)) for state, number in rows]


def _alarms(orm: Orm) -> list[Measure]:
    rows = orm.execute(
        select(Alarm.kind, func.count()).where(Alarm.cleared_us.is_(None)).group_by(Alarm.kind)
    )
    about = "Alarms that stand."
    return [Measure("bidwitness_alarms", about, number, (("kind", kind),)) for kind, number in rows]


def _not_stored(orm: Orm, now_us: int) -> list[Measure]:
    waiting = (Segment.stored_us.is_(None), Segment.removed_us.is_(None))
    number, oldest = orm.execute(
        select(func.count(), func.min(Segment.to_us)).where(*waiting)
    ).one()
    about = "Segments that are not in the store yet."
    age = (now_us - oldest) / SECOND_US if oldest is not None else 0.0
    return [
        Measure("bidwitness_segments_not_stored", about, number),
        Measure("bidwitness_segments_not_stored_oldest_seconds", "Age of the oldest of them.", age),
    ]


def newest_lock_test(orm: Orm) -> LockTest | None:
    """Give the newest test of the store's locks, or nothing."""
    return orm.scalars(select(LockTest).order_by(LockTest.id.desc()).limit(1)).first()


def late_locks(orm: Orm, now_us: int) -> int:
    """Count the stored objects whose lock should have been looked at long ago."""
    late = now_us - LATE_LOCK_US
    segments = select(func.count(Segment.id)).where(
        # What has just changed is marked with 0, which says nothing of when.
        Segment.lock_due_us.between(1, late),
        Segment.stored_us.is_not(None),
        Segment.removed_us.is_(None),
    )
    objects = select(func.count(RecordObject.id)).where(RecordObject.lock_due_us.between(1, late))
    files = select(func.count(SessionObject.id)).where(SessionObject.lock_due_us.between(1, late))
    return sum(orm.scalar(query) or 0 for query in (segments, objects, files))


def _locks(orm: Orm, now_us: int) -> list[Measure]:
    test = newest_lock_test(orm)
    found = [
        Measure(
            "bidwitness_locks_late", "Objects whose lock is late.", float(late_locks(orm, now_us))
        )
    ]
    if test is not None:
        labels = (("level", str(test.level)),)
        about = "Whether the newest test of the store's locks was passed."
        found.append(Measure("bidwitness_store_locks_hold", about, float(test.passed), labels))
        age = (now_us - test.at_us) / SECOND_US
        found.append(Measure("bidwitness_store_locks_tested_seconds", "Age of that test.", age))
    return found
