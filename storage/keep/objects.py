"""What is no segment into the store: put, proved, locked, and named by the index."""

from collections.abc import Callable

from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.locking import UNLOCKED, Plan
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import AT_ONCE
from bidwitness.storage.index.models import RecordObject, SessionObject
from bidwitness.storage.keep.locking import NOTHING, LockPlanner, Thing, day_span, note_lock
from bidwitness.storage.store import LockingStore
from bidwitness.storage.store.base import Source


class ObjectKeeper:
    """Keeps objects of one kind. ``ready`` prepares the store."""

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        clock: Clock,
        ready: Callable[[], None],
        planner: LockPlanner | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._ready = ready
        self._planner = planner

    def _keep(self, row: RecordObject | SessionObject, key: str, source: Source) -> None:
        """Put bytes with the row's digest under a key, and write the row.

        Raises ``DamageFound`` if they have another digest, ``StoreError``, ``StorageFull``.
        """
        plan = NOTHING
        if self._planner is not None:
            with self._database.read() as orm:
                plan = self._plan(orm, self._planner, row)
        stored = self._store.put(key, source, row.sha256, lock=plan.lock)
        row.bytes, row.stored_us = stored.size, self._clock.utc_us()
        row.store_key, row.store_version = stored.key, stored.version
        note_lock(row, plan, row.stored_us)
        if self._planner is not None:
            row.lock_due_us = AT_ONCE  # what was claimed or held since then did not find this row
        with self._database.write() as orm:
            orm.add(row)

    def _plan(self, orm: Orm, planner: LockPlanner, row: RecordObject | SessionObject) -> Plan:
        if isinstance(row, SessionObject):
            return planner.plan_session(orm, row.session_id, [UNLOCKED], self._clock.utc_us())[0]
        things = [Thing(day_span(row.day))]
        return planner.plan(orm, row.stream_id, things, self._clock.utc_us())[0]
