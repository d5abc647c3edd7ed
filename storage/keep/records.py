"""The evidence records beside the media: immutable NDJSON objects, a stretch of a stream's day each.

A stretch is written once the day is over or a session that needs it is sealed. The index can be
lost: what was recorded is told by these objects, and before that by the spool's journals.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.canonical import parse
from bidwitness.storage.evidence.records import check_record
from bidwitness.storage.evidence.session_records import CloseFacts, SupplementFacts
from bidwitness.storage.index.models import (
    Record,
    RecordObject,
    Session,
    SessionRecord,
    Stream,
)
from bidwitness.storage.keep.objects import ObjectKeeper

DAY_US = 86_400_000_000
# The last segment of a day is closed, and its row written, some time after midnight.
GRACE_US = 600_000_000
# A seal is looked at for so long; by then its day is over anyway.
SEALED_US = 2 * DAY_US
MAX_LINES = 2000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records ``first`` to ``last`` of a stream's day."""

    stream_id: str
    day: int
    first: int
    last: int

    @property
    def key(self) -> str:
        name = f"records-{self.first:06d}-{self.last:06d}.ndjson"
        return f"footage/{self.stream_id}/{self.day}/{name}"


def lines_of(orm: Orm, stretch: Stretch) -> bytes | None:
    """Give the lines of a stretch as an object holds them; nothing unless the index has them all."""
    query = select(Record.body).where(
        Record.stream_id == stretch.stream_id,
        Record.day == stretch.day,
        Record.seq.between(stretch.first, stretch.last),
    )
    bodies = orm.scalars(query.order_by(Record.seq)).all()
    if len(bodies) != stretch.last - stretch.first + 1 or None in bodies:
        return None
    return b"".join(str(body).encode() + b"\n" for body in bodies)


def stretches_due(
    stream_id: str,
    written: tuple[int, int],
    present: Mapping[int, int],
    wanted: Mapping[int, int],
    now_us: int,
) -> Iterator[Stretch]:
    """Give what is to be written of a stream, in order. Pure.

    ``written``: the last day and number in an object, ``(0, -1)`` if none. ``present``: day → the
    last number there is. ``wanted``: day → the last number a seal points to. A chain's day never
    goes back, so a day is over once a later one has begun.
    """
    for day in sorted(day for day in present if day >= written[0]):
        over = day < max(present) or _ended(day, now_us)
        last = present[day] if over else min(wanted.get(day, -1), present[day])
        first = written[1] + 1 if day == written[0] else 0
        for start in range(first, last + 1, MAX_LINES):
            yield Stretch(stream_id, day, start, min(start + MAX_LINES - 1, last))
        if not over:
            return


def _ended(day: int, now_us: int) -> bool:
    begins = datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC)
    after = begins + timedelta(days=1)
    return now_us > int(after.timestamp()) * 1_000_000 + GRACE_US


class RecordsWriter(ObjectKeeper):
    """Writes the stretches that are due."""

    def write_due(self) -> int:
        """Write every stretch that is due; give how many. Raises ``StoreError``."""
        with self._database.read() as orm:
            streams = list(orm.scalars(select(Stream.id).order_by(Stream.id)))
        wanted = self._wanted()
        return sum(self._write_stream(stream, wanted.get(stream, {})) for stream in streams)

    def _wanted(self) -> dict[str, dict[int, int]]:
        """Give, by stream and day, the last record that a session sealed of late points to."""
        query = (
            select(SessionRecord.body)
            .join(Session, Session.id == SessionRecord.session_id)
            .where(
                Session.sealed_us > self._clock.utc_us() - SEALED_US,
                SessionRecord.kind.in_((CloseFacts.T, SupplementFacts.T)),
            )
        )
        with self._database.read() as orm:
            bodies = list(orm.scalars(query))
        wanted: dict[str, dict[int, int]] = {}
        for body in bodies:
            facts = check_record(parse(body.encode()))
            for head in facts.heads if isinstance(facts, CloseFacts | SupplementFacts) else ():
                days = wanted.setdefault(head.stream, {})
                days[int(head.day)] = max(days.get(int(head.day), -1), head.last)
        return wanted

    def _write_stream(self, stream: str, wanted: Mapping[int, int]) -> int:
        with self._database.read() as orm:
            newest = orm.execute(
                select(RecordObject.day, RecordObject.last_seq)
                .where(RecordObject.stream_id == stream)
                .order_by(RecordObject.day.desc(), RecordObject.last_seq.desc())
                .limit(1)
            ).first()
            written = (newest[0], newest[1]) if newest else (0, -1)
            present = {
                row[0]: row[1]
                for row in orm.execute(
                    select(Record.day, func.max(Record.seq))
                    .where(Record.stream_id == stream, Record.day >= written[0])
                    .group_by(Record.day)
                )
            }
        done = 0
        for stretch in stretches_due(stream, written, present, wanted, self._clock.utc_us()):
            if not self._write(stretch):
                break
            done += 1
        return done

    def _write(self, stretch: Stretch) -> bool:
        """Write one stretch; say whether all its records were there."""
        with self._database.read() as orm:
            data = lines_of(orm, stretch)
        if data is None:
            return False  # rows are still being committed; or the day was rebuilt in part
        self._ready()
        row = RecordObject(
            stream_id=stretch.stream_id,
            day=stretch.day,
            first_seq=stretch.first,
            last_seq=stretch.last,
            sha256=hashlib.sha256(data).digest(),
        )
        self._keep(row, stretch.key, lambda: io.BytesIO(data))
        return True
