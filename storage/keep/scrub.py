"""The scrub: what the index says is stored is asked for every day, and read again every month.

A round goes through all objects in the order of their numbers, table after table; how far it has
come stands in the index, so a restart goes on where it was. What is found gone or changed is put
right from a good copy, if there is one, and is alarmed until it is.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, DamageFound, NotFound, Unavailable
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    RecordObject,
    ScrubRound,
    Segment,
    SessionObject,
    StoreFault,
)
from bidwitness.storage.keep.mending import STORE, Broken, Mender, Row, row_of
from bidwitness.storage.keep.pace import Pace
from bidwitness.storage.store import LockingStore
from bidwitness.storage.store.base import digest_of
from bidwitness.words import ScrubKind, StoreFaultKind

log = logging.getLogger(__name__)

KEEP = Who("keep")
DAY_US = 86_400_000_000
# A round begins so long after the one before began. Two rounds of bytes fit into thirty days, so
# that no byte goes unread for longer, wherever in the round it lies.
EVERY_US = {ScrubKind.PRESENCE: DAY_US, ScrubKind.BYTES: 15 * DAY_US}
LATE_US = {ScrubKind.PRESENCE: 2 * DAY_US, ScrubKind.BYTES: 30 * DAY_US}
BATCH = 32
# So many in a row of which none is right may be a wrong bucket or an empty mount; then what was
# stored last is asked for.
MANY, NEWEST = 8, 3
FAULT_ALARM, LATE_ALARM, SUBJECT = "store_fault", "scrub_late", "store"
Table = type[Segment] | type[RecordObject] | type[SessionObject]
TABLES: tuple[Table, ...] = (Segment, RecordObject, SessionObject)


@dataclass(frozen=True, slots=True)
class Kept:
    """An object as the index names it."""

    table: int
    id: int
    key: str
    version: str
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a round stands, taken out of its row: behind the object ``after`` of a table."""

    round_id: int
    begun_us: int
    table: int
    after: int


class Scrub:
    """Goes round the store. ``rate``: objects asked for a second; ``bytes_per_s``: bytes read;
    ``mender`` puts right what it finds."""

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        mender: Mender,
        clock: Clock,
        *,
        rate: int = 500,
        bytes_per_s: int = 20_000_000,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._rate = rate
        self._mender = mender
        self._pace = Pace(clock, bytes_per_s)

    def look_some(self) -> int:
        """Ask for the next objects; give how many. None while no round is due.

        Raises ``StoreError`` if the store does not answer: the round goes on from there.
        """
        return self._step(ScrubKind.PRESENCE, self._rate, self._is_there)

    def read_some(self) -> int:
        """Read the next objects as far as the rate allows; give how many. Raises as ``look_some``."""
        self._pace.renew()
        return self._step(ScrubKind.BYTES, BATCH, self._reads_right)

    def _step(
        self, kind: ScrubKind, most: int, proves: Callable[[Kept], StoreFaultKind | None]
    ) -> int:
        place = self._next(kind)
        if place is None:
            return 0
        found = self._objects(place, most)
        done: list[Kept] = []
        well: set[tuple[str, str]] = set()
        faults: list[tuple[Kept, StoreFaultKind]] = []
        for item in found:
            if kind is ScrubKind.BYTES and not self._pace.allows(item.size):
                break
            fault = proves(item)
            if fault is None:
                well.add((item.key, item.version))
            elif self._still_named(item):
                faults.append((item, fault))
            done.append(item)
        if len(faults) == len(done) >= MANY and not self._is_our_store():
            self._refuse_store()
            return 0
        for item, fault in faults:
            self._found(item, fault)
        self._advance(kind, place, done, well, ended=not found, faults=len(faults))
        return len(done)

    def _is_our_store(self) -> bool:
        """Say whether at least one of the objects that were stored last is there."""
        newest = select(Segment).where(Segment.stored_us.is_not(None), Segment.removed_us.is_(None))
        with self._database.read() as orm:
            rows = orm.scalars(newest.order_by(Segment.id.desc()).limit(NEWEST)).all()
        return any(self._is_there(_kept(0, row)) is None for row in rows)

    def _refuse_store(self) -> None:
        """Say that this is not the store that it was; the round waits, and nothing is put into it."""
        cause = (
            "Nothing that was looked at is there, nor what was stored last: check that "
            "BIDWITNESS_STORE names the right bucket, or that the folder is mounted."
        )
        with self._database.write() as orm:
            raise_alarm(orm, FAULT_ALARM, SUBJECT, self._clock.utc_us(), cause=cause)

    def _next(self, kind: ScrubKind) -> _Place | None:
        """Give the round that is under way, or begin the next if it is due."""
        query = select(ScrubRound).where(ScrubRound.kind == kind).order_by(ScrubRound.id.desc())
        with self._database.read() as orm:
            last = orm.scalars(query.limit(1)).first()
        now = self._clock.utc_us()
        if last is not None and last.ended_us is not None and now - last.begun_us < EVERY_US[kind]:
            return None
        if last is None or last.ended_us is not None:
            if not self._objects(_Place(0, now, 0, 0), 1):
                return None  # a round over nothing would say that all is well
            last = ScrubRound(
                kind=kind, begun_us=now, place_table=0, place_id=0, objects=0, bytes=0, faults=0
            )
            with self._database.write() as orm:
                orm.add(last)
                orm.flush()
        return _Place(last.id, last.begun_us, last.place_table, last.place_id)

    def _objects(self, place: _Place, most: int) -> Sequence[Kept]:
        """Give the next objects, of the next tables too; none at the round's end."""
        table, after = place.table, place.after
        while table < len(TABLES):
            with self._database.read() as orm:
                rows = orm.scalars(_stored(TABLES[table], after).limit(most)).all()
                if rows:
                    return [_kept(table, row) for row in rows]
            table, after = table + 1, 0
        return ()

    def _is_there(self, item: Kept) -> StoreFaultKind | None:
        try:
            found = self._store.stat(item.key, item.version)
        except NotFound:
            return StoreFaultKind.MISSING
        return None if found.size == item.size else StoreFaultKind.DAMAGED

    def _reads_right(self, item: Kept) -> StoreFaultKind | None:
        try:
            found = digest_of(self._store.stream(item.key, item.version))
        except NotFound:
            return StoreFaultKind.MISSING
        except DamageFound:
            return StoreFaultKind.DAMAGED
        return None if found == (item.sha256, item.size) else StoreFaultKind.DAMAGED

    def _still_named(self, item: Kept) -> bool:
        """Say whether the index still names it: it may have gone by the book while we looked."""
        with self._database.read() as orm:
            row = row_of(orm, TABLES[item.table], item.id)
            gone = row is None or (isinstance(row, Segment) and row.removed_us is not None)
            return not gone and row is not None and row.store_version == item.version

    def _found(self, item: Kept, kind: StoreFaultKind) -> None:
        """Register what is wrong, and put it right if a good copy is left."""
        facts = {"key": item.key, "version": item.version, "kind": str(kind)}
        log.error("the store does not hold what was kept", extra={"facts": facts})
        broken = Broken(TABLES[item.table], item.id, item.key, item.version, item.sha256, item.size)
        try:
            mended = self._mender.mend(broken)
        except BidWitnessError as error:
            if isinstance(error, Unavailable) and not self._store.is_permanent(error):
                raise
            log.error("it could not be put right", extra={"facts": {**facts, "why": error.detail}})
            mended = None
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = _fault_of(orm, item)
            is_news = row is None or row.mended_us is not None or mended is not None
            if row is None:
                row = StoreFault(
                    store_key=item.key,
                    store_version=item.version,
                    kind=kind,
                    found_us=now,
                    seen_us=now,
                )
                orm.add(row)
            row.kind, row.seen_us = kind, now
            row.mended_us, row.mended_from = (now, mended) if mended else (None, None)
            if is_news:  # what is gone is found again in every round
                leave_audit_entry(
                    orm,
                    KEEP,
                    "store.mended" if mended else "store.fault",
                    SUBJECT,
                    now,
                    allowed=mended is not None,
                    facts={**facts, "from": mended},
                )

    def _advance(
        self,
        kind: ScrubKind,
        place: _Place,
        done: Sequence[Kept],
        well: set[tuple[str, str]],
        *,
        ended: bool,
        faults: int,
    ) -> None:
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = orm.get_one(ScrubRound, place.round_id, with_for_update=True)
            row.objects += len(done)
            row.faults += faults
            if kind is ScrubKind.BYTES:
                row.bytes += sum(item.size for item in done)
            if done:
                row.place_table, row.place_id = done[-1].table, done[-1].id
            if ended:
                row.ended_us = now
            _note_well(orm, kind, well, now)
            judge_faults(orm, now)
            self._judge_pace(orm, kind, row, now)

    def _judge_pace(self, orm: Orm, kind: ScrubKind, row: ScrubRound, now_us: int) -> None:
        subject = f"{SUBJECT}:{kind}"
        if row.ended_us is None and now_us - row.begun_us > LATE_US[kind]:
            setting = "STORE_WALK_RATE" if kind is ScrubKind.PRESENCE else "SCRUB_MB_PER_SECOND"
            cause = f"A round takes longer than it may; raise BIDWITNESS_{setting}."
            raise_alarm(orm, LATE_ALARM, subject, now_us, cause=cause)
        elif row.ended_us is not None:
            clear_alarm(orm, LATE_ALARM, subject, now_us)


def judge_faults(orm: Orm, now_us: int) -> None:
    """Raise the alarm while something is gone or changed that could not be put right; else clear it."""
    orm.flush()
    query = select(StoreFault).where(StoreFault.mended_us.is_(None)).order_by(StoreFault.id)
    first, count = orm.scalars(query.limit(1)).first(), open_faults(orm)
    if first is None:
        clear_alarm(orm, FAULT_ALARM, SUBJECT, now_us)
        return
    cause = (
        f"{count} of what was kept is gone from the store or changed in it. First: "
        f"{first.store_key} version {first.store_version}, {first.kind}."
    )
    raise_alarm(orm, FAULT_ALARM, SUBJECT, now_us, cause=cause, facts={"count": count})


def _note_well(orm: Orm, kind: ScrubKind, well: set[tuple[str, str]], now_us: int) -> None:
    """Close the faults of what is as it should be again: somebody has put it back."""
    for row in orm.scalars(select(StoreFault).where(StoreFault.mended_us.is_(None))):
        # That it is there does not say that its bytes are right.
        proved = kind is ScrubKind.BYTES or row.kind == StoreFaultKind.MISSING
        if proved and (row.store_key, row.store_version) in well:
            row.mended_us, row.mended_from = now_us, STORE


def open_faults(orm: Orm) -> int:
    """Count what is gone or changed and could not be put right."""
    query = select(func.count()).select_from(StoreFault).where(StoreFault.mended_us.is_(None))
    return orm.scalar(query) or 0


def last_round(orm: Orm, kind: ScrubKind) -> ScrubRound | None:
    """Give the newest round that has come to its end."""
    query = select(ScrubRound).where(ScrubRound.kind == kind, ScrubRound.ended_us.is_not(None))
    return orm.scalars(query.order_by(ScrubRound.id.desc()).limit(1)).first()


def _stored(table: Table, after: int) -> Select[Any]:
    query: Select[Any] = select(table).where(table.id > after, table.stored_us.is_not(None))
    if table is Segment:
        query = query.where(Segment.removed_us.is_(None))
    return query.order_by(table.id)


def _kept(table: int, row: Row) -> Kept:
    return Kept(table, row.id, str(row.store_key), str(row.store_version), row.sha256, row.bytes)


def _fault_of(orm: Orm, item: Kept) -> StoreFault | None:
    query = select(StoreFault).where(
        StoreFault.store_key == item.key, StoreFault.store_version == item.version
    )
    return orm.scalars(query).first()
