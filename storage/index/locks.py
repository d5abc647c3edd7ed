"""Have the locks of stored footage looked at again, in the transaction of what they hang on."""

from sqlalchemy import update
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import RecordObject, Segment, SessionObject

AT_ONCE = 0
_FOREVER = 2**62
_LAST_DAY = 99991231
_LATEST_US = 253_402_300_799_000_000


def look_at_locks(orm: Orm, stream_id: str, from_us: int, to_us: int | None) -> None:
    """Have `keep` look at the locks of a stream's footage and records in ``[from, to)`` (µs UTC)
    at once. Call wherever a claim, a hold or a session's seal changes."""
    end = _FOREVER if to_us is None else to_us
    orm.execute(
        update(Segment)
        .where(
            Segment.stream_id == stream_id,
            Segment.removed_us.is_(None),
            Segment.from_us > from_us - MAX_SEGMENT_US,
            Segment.from_us < end,
            Segment.to_us > from_us,
        )
        .values(lock_due_us=AT_ONCE),
        execution_options={"synchronize_session": False},
    )
    last = _LAST_DAY if end > _LATEST_US else int(utc_day(end))
    orm.execute(
        update(RecordObject)
        .where(
            RecordObject.stream_id == stream_id,
            RecordObject.day.between(int(utc_day(max(0, from_us))), last),
        )
        .values(lock_due_us=AT_ONCE),
        execution_options={"synchronize_session": False},
    )


def look_at_session_locks(orm: Orm, session_id: str) -> None:
    """Have `keep` look at the locks of the files about a session at once."""
    orm.execute(
        update(SessionObject)
        .where(SessionObject.session_id == session_id)
        .values(lock_due_us=AT_ONCE),
        execution_options={"synchronize_session": False},
    )
