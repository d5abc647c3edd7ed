"""Rounds over the objects whose lock must be looked at: read, extended, held, released, noted.

Which they are stands in the rows (``lock_due_us``), so a kill loses nothing and nothing is gone
through that has not come due. A row that is taken comes due again by itself in an hour; what it
hangs on may change meanwhile, which is seen by its date being another than was left there.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, Update, case, func, literal, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, Unavailable
from bidwitness.intervals import Interval
from bidwitness.locking import Lock, Plan
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import RecordObject, Segment, SessionObject
from bidwitness.storage.keep.locking import LockPlanner, Thing, day_span
from bidwitness.storage.store import LockingStore

log = logging.getLogger(__name__)

BATCH = 200
LEASE_US = 3_600_000_000
RETRY_US = 600_000_000
# In place of a time: a hold is asked for and has not been read back.
ASKED = 0
ALARM, SUBJECT = "lock_failed", "store"
Row = Segment | RecordObject | SessionObject
Table = type[Segment] | type[RecordObject] | type[SessionObject]
TABLES: tuple[Table, ...] = (Segment, RecordObject, SessionObject)


@dataclass(frozen=True, slots=True)
class Due:
    """An object whose lock must be looked at; ``lock`` is what the index knows of it.

    ``owner``: the stream that it is of, or the session that it is about. ``span``: nothing for a
    file about a session.
    """

    table: Table
    id: int
    owner: str
    span: Interval | None
    key: str
    version: str
    lock: Lock
    hold_us: int | None
    lease_us: int

    @property
    def proven(self) -> Lock:
        """What the store has said; a hold may have been asked for only."""
        return Lock(self.lock.until_us, bool(self.hold_us))


@dataclass(frozen=True, slots=True)
class Done:
    """What the store says of an object now; or why the lock could not be made what it must be."""

    due: Due
    plan: Plan
    lock: Lock | None = None
    failed: BidWitnessError | None = None
    # It had less than the index knew: somebody, or the store itself, took it away.
    lost: bool = False


class LockKeeper:
    """Carries out what the planner plans."""

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        clock: Clock,
        planner: LockPlanner,
        *,
        threads: int = 2,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._planner = planner
        self._threads = threads
        # A store that has failed in this round is not asked again.
        self._outage: BidWitnessError | None = None

    def keep_some(self) -> int:
        """Look at up to ``BATCH`` objects of each kind; give how many.

        An alarm stands from the first lock that could not be made what it must be, until all could.
        Raises ``StoreError`` if the store does not answer.
        """
        if not self._planner.able():
            return 0
        taken = [due for table in TABLES for due in self._take(table)]
        if not taken:
            return 0
        planned = self._planned(taken)
        self._outage = None
        with ThreadPoolExecutor(self._threads, thread_name_prefix="locks") as pool:
            done = list(pool.map(lambda pair: self._apply(*pair), planned))
        self._note(done)
        if self._outage is not None:
            raise self._outage
        return len(done)

    def _take(self, table: Table) -> list[Due]:
        """Give what is due, and have it come due again should this process die."""
        now = self._clock.utc_us()
        query: Select[Any] = select(table).where(
            table.lock_due_us <= now, table.stored_us.is_not(None)
        )
        if table is Segment:
            query = query.where(Segment.removed_us.is_(None))
        query = query.order_by(table.lock_due_us).limit(BATCH)
        with self._database.read() as orm:
            if orm.scalars(query.limit(1)).first() is None:
                return []
        with self._database.write() as orm:
            rows = list(orm.scalars(query))
            for row in rows:
                row.lock_due_us = now + LEASE_US
            return [_due(table, row, now + LEASE_US) for row in rows]

    def _planned(self, taken: Sequence[Due]) -> list[tuple[Due, Plan]]:
        """Plan by stream or session; that a hold is about to be asked for is noted before it is."""
        now = self._clock.utc_us()
        by_owner: dict[tuple[bool, str], list[Due]] = {}
        for due in taken:
            by_owner.setdefault((due.span is None, due.owner), []).append(due)
        planned: list[tuple[Due, Plan]] = []
        with self._database.read() as orm:
            for (_, owner), dues in by_owner.items():
                things = [Thing(due.span, due.lock) for due in dues if due.span is not None]
                plans = (
                    self._planner.plan(orm, owner, things, now)
                    if things
                    else (self._planner.plan_session(orm, owner, [due.lock for due in dues], now))
                )
                planned += zip(dues, plans, strict=True)
        fresh = [due for due, plan in planned if plan.lock.held and not due.lock.held]
        if fresh:
            with self._database.write() as orm:
                for table in TABLES:
                    ids = [due.id for due in fresh if due.table is table]
                    orm.execute(
                        update(table).where(table.id.in_(ids)).values(lock_hold_us=ASKED),
                        execution_options={"synchronize_session": False},
                    )
        return planned

    def _apply(self, due: Due, plan: Plan) -> Done:
        """Make one lock what it must be: first what forbids more, then what lets go."""
        if self._outage is not None:
            return Done(due, plan, failed=self._outage)
        try:
            lock = self._store.lock_of(due.key, due.version)
            lost = not lock.covers(due.proven)
            until = plan.lock.until_us
            worth = until is not None and until > self._clock.utc_us()
            if until is not None and worth and until > (lock.until_us or 0):
                lock = self._store.retain(due.key, due.version, until)
            if plan.lock.held and not lock.held:
                lock = self._store.hold(due.key, due.version)
            elif due.lock.held and lock.held and not plan.lock.held:
                lock = self._store.release(due.key, due.version)
            return Done(due, plan, lock, lost=lost)
        except BidWitnessError as error:
            if isinstance(error, Unavailable) and not self._store.is_permanent(error):
                self._outage = error
            return Done(due, plan, failed=error)

    def _note(self, done: Sequence[Done]) -> None:
        now = self._clock.utc_us()
        wrong = [item for item in done if item.failed is not None or item.lost]
        with self._database.write() as orm:
            for item in done:
                orm.execute(_noted(item, now), execution_options={"synchronize_session": False})
            if wrong:
                raise_alarm(orm, ALARM, SUBJECT, now, cause=_cause(wrong[0]))
            elif not _any_failing(orm):
                clear_alarm(orm, ALARM, SUBJECT, now)
        if wrong:
            facts = {"objects": len(wrong), "first": wrong[0].due.key, "why": _cause(wrong[0])}
            log.error("locks are not what they must be", extra={"facts": facts})


def _noted(item: Done, now_us: int) -> Update:
    """Give what a row says after its look, unless it has come due anew since it was taken."""
    table = item.due.table
    if item.lock is None:
        # The first failure counts: since then it has been without what it must have.
        since = func.coalesce(table.lock_failed_us, now_us)
        values: dict[str, object] = {"lock_failed_us": since}
        look: int | None = now_us + RETRY_US
    else:
        values = {
            "lock_until_us": item.lock.until_us,
            "lock_hold_us": (item.due.hold_us or now_us) if item.plan.lock.held else None,
            "lock_checked_us": now_us,
            "lock_failed_us": None,
        }
        look = item.plan.look_us
    left = table.lock_due_us == item.due.lease_us
    values_due = case((left, literal(look, BigInteger)), else_=table.lock_due_us)
    return update(table).where(table.id == item.due.id).values(lock_due_us=values_due, **values)


def _any_failing(orm: Orm) -> bool:
    """Say whether any object is without the lock that it must have, also from before a restart."""
    for table in TABLES:
        query = select(table.id).where(table.lock_failed_us.is_not(None))
        if table is Segment:
            query = query.where(Segment.removed_us.is_(None))
        if orm.scalar(query.limit(1)) is not None:
            return True
    return False


def _cause(item: Done) -> str:
    if item.failed is not None:
        return item.failed.detail
    return f"The store had less of a lock on {item.due.key} than it had said; it was set again."


def _due(table: Table, row: Row, lease_us: int) -> Due:
    return Due(
        table,
        row.id,
        row.session_id if isinstance(row, SessionObject) else row.stream_id,
        _span(row),
        str(row.store_key),
        str(row.store_version),
        Lock(row.lock_until_us, row.lock_hold_us is not None),
        row.lock_hold_us,
        lease_us,
    )


def _span(row: Row) -> Interval | None:
    """Give the time that an object tells of; records are of a day, a session's files of no time."""
    if isinstance(row, SessionObject):
        return None
    if isinstance(row, Segment):
        return Interval(row.from_us, max(row.to_us, row.from_us + 1))
    return day_span(row.day)
