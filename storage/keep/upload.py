"""From the spool into the store: put, prove, and only then say so in the row.

Everything is found again from the rows after any crash: a segment whose row does not say stored is
put again, and the store gives back the version that it has.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from bidwitness.clock import Clock
from bidwitness.errors import (
    BidWitnessError,
    NotFound,
    StorageFull,
    Unavailable,
)
from bidwitness.intervals import Interval
from bidwitness.locking import Plan
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import Camera, Claim, Garbage, Segment, Session, Stream
from bidwitness.storage.keep.locking import NOTHING, LockPlanner, Thing, note_lock
from bidwitness.storage.keep.pace import Pace
from bidwitness.storage.spool.volumes import locate
from bidwitness.storage.store import LockingStore, StoredVersion
from bidwitness.words import RecordMode, SessionState

log = logging.getLogger(__name__)

# Small, as a batch that has been begun is ended before the process stops.
BATCH = 8
# A segment that cannot be put at all must not keep the others waiting.
RETRY_US = 600_000_000
# How long ago a session may have been planned whose footage goes first.
LATELY_US = 14 * 86_400_000_000
# So long unclaimed footage of a camera in ``session`` mode may still be on its way out.
LATEST_CLAIM_US = 3 * 3_600_000_000
DOWN, FULL, DAMAGED, MISSING = "store_down", "store_full", "footage_damaged", "footage_missing"
SUBJECT = "store"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A segment that is to be stored."""

    id: int
    stream_id: str
    path: str
    recorder: str
    size: int
    sha256: bytes
    span: Interval

    @property
    def key(self) -> str:
        return f"footage/{self.path}"

    @property
    def subject(self) -> str:
        # Not the segment: a volume that is not mounted would raise thousands of alarms.
        return f"stream:{self.stream_id}"


class Uploader:
    """Stores what waits: claimed footage first, then the oldest, with the lock it must have.

    ``ready`` prepares the store; without a ``planner`` nothing is locked. ``bytes_per_s``: no more
    is sent than so much, whoever waits; 0 is no bound.
    """

    def __init__(
        self,
        database: Database,
        store: LockingStore,
        spool: Path,
        clock: Clock,
        ready: Callable[[], None],
        *,
        threads: int = 2,
        planner: LockPlanner | None = None,
        bytes_per_s: int = 0,
    ) -> None:
        self._database = database
        self._store = store
        self._spool = spool
        self._clock = clock
        self._ready = ready
        self._threads = threads
        self._planner = planner
        self._batch = max(BATCH, 4 * threads)
        self._pace = Pace(clock, bytes_per_s)
        # Segment → the instant (monotonic µs) of the next attempt, and its alarms' subject.
        self._refused: dict[int, tuple[int, str]] = {}

    def upload_some(self) -> int:
        """Store some segments; give how many are stored now.

        Raises ``StoreError`` or ``StorageFull`` when the store fails, after raising the alarm;
        what was stored before that stays stored.
        """
        self._pace.renew()
        waiting = [item for item in self._waiting() if self._pace.allows(item.size)]
        if not waiting:
            return 0
        batch = _Batch()
        try:
            self._ready()
        except (Unavailable, StorageFull) as error:
            batch.failed = error
        plans = self._plans(waiting) if batch.failed is None else {}
        with ThreadPoolExecutor(self._threads, thread_name_prefix="upload") as pool:
            stored = sum(
                pool.map(
                    lambda item: self._upload(item, plans.get(item.id, NOTHING), batch), waiting
                )
            )
        self._note_state(batch, any_stored=stored > 0)
        if batch.failed is not None:
            raise batch.failed
        return stored

    def _waiting(self) -> list[Waiting]:
        now = self._clock.monotonic_us()
        self._refused = {id_: held for id_, held in self._refused.items() if held[0] > now}
        limit = self._batch + len(self._refused)
        utc = self._clock.utc_us()
        with self._database.read() as orm:
            rows = [
                *orm.scalars(_claimed_and_unstored(utc).limit(limit)),
                *orm.scalars(_unstored().where(_not_waiting_in_vain(utc)).limit(limit)),
            ]
        once = {row.id: _waiting_of(row) for row in rows if row.id not in self._refused}
        return list(once.values())[: self._batch]

    def _plans(self, waiting: Sequence[Waiting]) -> dict[int, Plan]:
        """Decide the locks that the versions begin with: none is ever without."""
        if self._planner is None:
            return {}
        now = self._clock.utc_us()
        plans: dict[int, Plan] = {}
        with self._database.read() as orm:
            for stream in {item.stream_id for item in waiting}:
                items = [item for item in waiting if item.stream_id == stream]
                things = [Thing(item.span) for item in items]
                found = self._planner.plan(orm, stream, things, now)
                plans |= {item.id: plan for item, plan in zip(items, found, strict=True)}
        return plans

    def _upload(self, item: Waiting, plan: Plan, batch: "_Batch") -> bool:
        """Store one segment; a store that has failed in this batch is not asked again."""
        if batch.failed is not None:
            return False
        source = locate(self._spool, item.path)
        try:
            if not source.is_file():
                raise NotFound(f"The segment {item.path} of {item.recorder} is not in the spool.")
            stored = self._store.put(item.key, source, item.sha256, lock=plan.lock)
        except (Unavailable, StorageFull) as error:
            batch.failed = error
        except BidWitnessError as error:
            self._refuse(item, error)
        else:
            if not self._say_stored(item, stored, plan) and plan.lock.held:
                # Nothing refers to it: its date alone keeps it.
                self._store.release(stored.key, stored.version)
            return True
        return False

    def _say_stored(self, item: Waiting, stored: StoredVersion, plan: Plan) -> bool:
        """Say in the row where it is, or, if nobody wants it any more, that it is to go."""
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = orm.get(Segment, item.id, with_for_update=True)
            if row is not None and row.stored_us is None and row.removed_us is None:
                row.store_key, row.store_version = stored.key, stored.version
                row.stored_us = now
                note_lock(row, plan, now)
            elif row is None or row.store_version != stored.version:
                # Removed while it travelled: nothing refers to this version.
                orm.add(
                    Garbage(
                        segment_id=item.id,
                        store_key=stored.key,
                        store_version=stored.version,
                        reason="stored after its removal had been decided",
                        at_us=now,
                    )
                )
            self._refused.pop(item.id, None)
            # A copy, as other threads refuse and store at the same time.
            others = [*self._refused.values()]
            if all(subject != item.subject for _, subject in others):
                for kind in (DAMAGED, MISSING):
                    clear_alarm(orm, kind, item.subject, now)
            return row is not None and row.store_version == stored.version

    def _refuse(self, item: Waiting, error: BidWitnessError) -> None:
        """Put a segment aside for a while and say why."""
        self._refused[item.id] = (self._clock.monotonic_us() + RETRY_US, item.subject)
        facts = {"segment": item.id, "path": item.path, "why": error.detail}
        log.error("a segment cannot be stored", extra={"facts": facts})
        kind = MISSING if isinstance(error, NotFound) else DAMAGED
        with self._database.write() as orm:
            raise_alarm(orm, kind, item.subject, self._clock.utc_us(), cause=error.detail)

    def _note_state(self, batch: "_Batch", *, any_stored: bool) -> None:
        now = self._clock.utc_us()
        with self._database.write() as orm:
            if isinstance(batch.failed, StorageFull):
                raise_alarm(orm, FULL, SUBJECT, now, cause=batch.failed.detail)
            elif batch.failed is not None:
                raise_alarm(orm, DOWN, SUBJECT, now, cause=batch.failed.detail)
            elif any_stored:
                for kind in (FULL, DOWN):
                    clear_alarm(orm, kind, SUBJECT, now)


@dataclass
class _Batch:
    """What its threads tell each other: the store has failed."""

    failed: Unavailable | StorageFull | None = None


def _unstored() -> Select[Segment]:
    return (
        select(Segment)
        .where(
            Segment.stored_us.is_(None),
            Segment.removed_us.is_(None),
            Segment.spool_path.is_not(None),
        )
        .order_by(Segment.from_us, Segment.id)
    )


def _not_waiting_in_vain(now_us: int) -> ColumnElement[bool]:
    """Leave out what a camera in ``session`` mode has just recorded and nobody claims: in a moment
    it goes (``loops``), which a locked version in the store could not. What stays is stored then."""
    claimed = exists().where(
        Claim.stream_id == Segment.stream_id,
        Claim.withdrawn_us.is_(None),
        Claim.from_us < Segment.to_us,
        or_(Claim.to_us.is_(None), Claim.to_us > Segment.from_us),
    )
    exceptional = select(Stream.id).join(Camera).where(Camera.mode == RecordMode.SESSION)
    return or_(
        Segment.stream_id.not_in(exceptional), Segment.to_us < now_us - LATEST_CLAIM_US, claimed
    )


def _claimed_and_unstored(now_us: int) -> Select[Segment]:
    """Ask from the few sessions of late: after an outage the unstored are too many to sort."""
    return (
        _unstored()
        .join(
            Claim,
            and_(
                Claim.stream_id == Segment.stream_id,
                Claim.withdrawn_us.is_(None),
                Segment.from_us > Claim.from_us - MAX_SEGMENT_US,
                Segment.to_us > Claim.from_us,
                or_(Claim.to_us.is_(None), Segment.from_us < Claim.to_us),
            ),
        )
        .join(Session, Session.id == Claim.session_id)
        .where(
            Session.planned_from_us > now_us - LATELY_US,
            Session.state.in_((SessionState.RECORDING, SessionState.ENDED, SessionState.SEALED)),
        )
    )


def _waiting_of(row: Segment) -> Waiting:
    return Waiting(
        id=row.id,
        stream_id=row.stream_id,
        path=str(row.spool_path),
        recorder=row.recorder,
        size=row.bytes,
        sha256=row.sha256,
        span=Interval(row.from_us, max(row.to_us, row.from_us + 1)),
    )
