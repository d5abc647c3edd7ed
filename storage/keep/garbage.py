"""Execute garbage rows: the only code of the project that removes bytes of footage.

A row goes through: checked against claims and holds and marked as started, in one transaction;
the store's version removed; the spool's file removed; the segment's row emptied and the garbage
row dropped, in one transaction. Every step can be repeated, so a crash after any of them is made
good by the next pass.
"""

import errno
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, Conflict, Unavailable
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import FragmentTable, Garbage, Segment
from bidwitness.storage.index.protection import lock_stream, why_locked, why_protected
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.volumes import any_absent, locate
from bidwitness.storage.store import LockingStore

log = logging.getLogger(__name__)

BATCH = 64
KEEP = Who("keep")
ALARM = "removal_failed"
# The store's clock may be a little behind; a hold that stands there beside ours is asked for again.
SHORT_WAIT_US = 10_000_000
HELD_WAIT_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Rubbish:
    """What one garbage row wants removed."""

    id: int
    segment_id: int | None
    spool_path: str | None
    store_key: str | None
    store_version: str | None

    @property
    def subject(self) -> str:
        return f"garbage:{self.id}"


class Collector:
    """Removes what garbage rows name, unless it is claimed or held by then."""

    def __init__(
        self, database: Database, store: LockingStore, spool: Path, files: Files, clock: Clock
    ) -> None:
        self._database = database
        self._store = store
        self._spool = spool
        self._files = files
        self._clock = clock
        self._after = 0

    def collect_some(self) -> int:
        """Go through up to ``BATCH`` rows; give how many are done with.

        A row that cannot be executed keeps its place and raises an alarm; the others go on.
        Raises ``StoreError`` if the store does not answer at all.
        """
        return sum(self._collect(item) for item in self._next_batch())

    def _next_batch(self) -> list[Rubbish]:
        """Give the next rows by number, from the start again after the last."""
        waited = or_(Garbage.wait_until_us.is_(None), Garbage.wait_until_us <= self._clock.utc_us())
        query = (
            select(Garbage)
            .where(Garbage.id > self._after, waited)
            .order_by(Garbage.id)
            .limit(BATCH)
        )
        with self._database.read() as orm:
            rows = [_rubbish_of(row) for row in orm.scalars(query)]
        self._after = rows[-1].id if len(rows) == BATCH else 0
        return rows

    def _collect(self, item: Rubbish) -> bool:
        if not self._start(item):
            return True
        try:
            if item.store_key and item.store_version:
                self._store.delete_version(item.store_key, item.store_version)
            if item.spool_path:
                path = locate(self._spool, item.spool_path)
                if not path.exists() and any_absent(self._spool):
                    raise OSError(errno.ENODEV, "it may lie on a volume that is not there")
                self._unlink(path)
        except Conflict as error:
            self._wait_for_lock(item, error)
            return False
        except BidWitnessError as error:
            if isinstance(error, Unavailable) and not self._store.is_permanent(error):
                raise
            self._complain(item, error.detail)
            return False
        except OSError as error:
            self._complain(item, f"{item.spool_path}: {error.strerror}")
            return False
        self._drop(item)
        return True

    def _start(self, item: Rubbish) -> bool:
        """Pass the point of no return, or take the row back because its footage is wanted."""
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = orm.get(Garbage, item.id, with_for_update=True)
            if row is None:
                return False
            if row.started_us is None:
                segment = orm.get(Segment, item.segment_id) if item.segment_id else None
                reason = _why_not(orm, row, segment, now) if segment is not None else None
                if segment is not None and reason is not None:
                    self._take_back(orm, row, segment, reason, now)
                    return False
                row.started_us = now
            return True

    def _take_back(self, orm: Orm, row: Garbage, segment: Segment, reason: str, now: int) -> None:
        segment.removed_us = None
        orm.delete(row)
        leave_audit_entry(
            orm,
            KEEP,
            "garbage.refuse",
            f"stream:{segment.stream_id}",
            now,
            allowed=False,
            reason=reason,
            facts={"segment": segment.id, "from": segment.from_us, "to": segment.to_us},
        )
        log.warning(
            "footage is wanted after all and stays",
            extra={"facts": {"segment": segment.id, "why": reason}},
        )

    def _unlink(self, path: Path) -> None:
        if path.parent.is_dir():
            with suppress(FileNotFoundError):
                self._files.unlink(path)
            self._files.sync_dir(path.parent)

    def _drop(self, item: Rubbish) -> None:
        now = self._clock.utc_us()
        with self._database.write() as orm:
            segment = orm.get(Segment, item.segment_id) if item.segment_id else None
            if segment is not None and segment.removed_us is not None:
                segment.spool_path = segment.store_key = segment.store_version = None
                orm.execute(delete(FragmentTable).where(FragmentTable.segment_id == segment.id))
            orm.execute(delete(Garbage).where(Garbage.id == item.id))
            clear_alarm(orm, ALARM, item.subject, now)

    def _wait_for_lock(self, item: Rubbish, error: Conflict) -> None:
        """Leave what the store has locked until its date; a hold that is not ours needs a person."""
        lock = self._store.lock_of(str(item.store_key), str(item.store_version))
        if lock.held:
            self._complain(item, error.detail)
        now = self._clock.utc_us()
        until = now + HELD_WAIT_US if lock.held else max(now + SHORT_WAIT_US, lock.until_us or 0)
        with self._database.write() as orm:
            row = orm.get(Garbage, item.id, with_for_update=True)
            if row is not None:
                row.wait_until_us = until

    def _complain(self, item: Rubbish, why: str) -> None:
        facts = {"garbage": item.id, "why": why}
        log.error("footage could not be removed", extra={"facts": facts})
        with self._database.write() as orm:
            raise_alarm(orm, ALARM, item.subject, self._clock.utc_us(), cause=why)


def _why_not(orm: Orm, row: Garbage, segment: Segment, now_us: int) -> str | None:
    """Say why the bytes that a row names must stay, or nothing."""
    lock_stream(orm, segment.stream_id)
    is_its_copy = row.spool_path is not None and row.spool_path == segment.spool_path
    is_its_version = row.store_version is not None and row.store_version == segment.store_version
    if not (is_its_copy or is_its_version):
        # Bytes that the segment no longer consists of: nothing can be rescued with them.
        return None
    if segment.removed_us is None:
        return "its row says that it is kept"
    return why_protected(orm, segment) or why_locked(segment, now_us)


def _rubbish_of(row: Garbage) -> Rubbish:
    return Rubbish(row.id, row.segment_id, row.spool_path, row.store_key, row.store_version)
