"""The sweep: footage past its loop gets a garbage row, which `keep` executes.

A stream at a time, a batch a transaction: claims and holds are kept off the stream while its
segments are decided on, so that none can come in between.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.intervals import Interval, subtract
from bidwitness.periods import DAY_US, Policy, loop_days_of
from bidwitness.retention.policy import Claimed, Delete, Held, decide
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.claims import FOREVER
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import Camera, Claim, Room, Segment, Stream
from bidwitness.storage.index.policies import default_loop_days
from bidwitness.storage.index.protection import claims_of, holds_of, lock_stream, why_locked
from bidwitness.storage.periods import periods_of, policies_of
from bidwitness.storage.removal import give_up_footage
from bidwitness.words import RoomKind

log = logging.getLogger(__name__)

BATCH = 200
# How far back an ordinary sweep looks; the daily one looks at everything. Footage that lost its
# claim or hold long after its loop is found by that.
RECENT_US = DAY_US
SWEEP = Who("retention.sweep")


@dataclass(frozen=True, slots=True)
class Place:
    """A stream and the kind of the room it shows."""

    stream_id: str
    room_kind: RoomKind


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep decided: segments and bytes that go."""

    segments: int = 0
    bytes: int = 0

    def plus(self, other: "Swept") -> "Swept":
        return Swept(self.segments + other.segments, self.bytes + other.bytes)


class Sweep:
    """Looks for footage past its loop. ``everything``: not only what has just come of age."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, *, everything: bool = False
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._everything = everything

    def sweep(self) -> Swept:
        """Write a garbage row for each segment that may go. Raises ``IndexUnavailable``."""
        with self._database.read() as orm:
            policies = policies_of(orm)
            places = [
                Place(stream, kind)
                for stream, kind in orm.execute(
                    select(Stream.id, Room.kind)
                    .join(Camera, Camera.id == Stream.camera_id)
                    .join(Room, Room.id == Camera.room_id)
                    .order_by(Stream.id)
                )
            ]
        total = Swept()
        for place in places:
            default = default_loop_days(place.room_kind, self._settings)
            days = loop_days_of(place.room_kind, policies, default)
            total = total.plus(self._sweep_stream(place.stream_id, days, policies))
        if total.segments:
            facts = {"segments": total.segments, "bytes": total.bytes}
            log.info("footage past its loop is to be removed", extra={"facts": facts})
        return total

    def _sweep_stream(self, stream: str, days: int, policies: Sequence[Policy]) -> Swept:
        now = self._clock.utc_us()
        until = now - days * DAY_US
        swept = Swept()
        for span in self._spans(stream, until):
            after = (span.start - MAX_SEGMENT_US, 0)
            while True:
                with self._database.write() as orm:
                    lock_stream(orm, stream)
                    batch = _candidates(orm, stream, after, span.end)
                    if not batch:
                        break
                    swept = swept.plus(_mark(orm, stream, batch, days, policies, now))
                after = (batch[-1].from_us, batch[-1].id)
        return swept

    def _spans(self, stream: str, until: int) -> list[Interval]:
        """Give the times before ``until`` that nobody claims or holds: only there is it worth
        looking, as after years nearly all that is left is claimed."""
        with self._database.read() as orm:
            start = until - RECENT_US
            if self._everything:
                oldest = select(func.min(Segment.from_us)).where(
                    Segment.stream_id == stream, Segment.removed_us.is_(None)
                )
                start = orm.scalar(oldest) or until
            if start >= until:
                return []
            taken = [claim.interval for claim in _claims(orm, stream, start, until, ())]
            taken += [hold.interval for hold in _holds(orm, stream, start, until)]
        return subtract([Interval(start, until)], taken)


def _candidates(orm: Orm, stream: str, after: tuple[int, int], until_us: int) -> list[Segment]:
    start_us, number = after
    query = (
        select(Segment)
        .where(
            Segment.stream_id == stream,
            Segment.from_us >= start_us,
            or_(Segment.from_us > start_us, Segment.id > number),
            Segment.from_us < until_us,
            Segment.to_us <= until_us,
            Segment.removed_us.is_(None),
        )
        .order_by(Segment.from_us, Segment.id)
        .limit(BATCH)
    )
    return list(orm.scalars(query))


def _mark(
    orm: Orm,
    stream: str,
    batch: Sequence[Segment],
    days: int,
    policies: Sequence[Policy],
    now_us: int,
) -> Swept:
    """Decide on a batch and write what goes: garbage row, mark and audit entry together."""
    start, end = batch[0].from_us, max(row.to_us for row in batch)
    claims = _claims(orm, stream, start, end, policies)
    holds = _holds(orm, stream, start, end)
    gone: list[Segment] = []
    reason = ""
    for row in batch:
        decision = decide(Interval(row.from_us, row.to_us), claims, holds, days, now_us)
        # A lock in the store that has not run out (the loop was longer once) is waited for.
        if isinstance(decision, Delete) and why_locked(row, now_us) is None:
            gone.append(row)
            reason = decision.reason
    give_up_footage(orm, SWEEP, stream, gone, reason, now_us)
    return Swept(len(gone), sum(row.bytes for row in gone))


def _claims(
    orm: Orm, stream: str, from_us: int, to_us: int, policies: Sequence[Policy]
) -> list[Claimed]:
    rows = [claim for claim, _ in claims_of(orm, stream, from_us, to_us)]
    periods = periods_of(orm, {claim.session_id for claim in rows}, policies)
    return [
        Claimed(claim.session_id, _interval(claim), periods.get(claim.session_id)) for claim in rows
    ]


def _interval(claim: Claim) -> Interval:
    end = FOREVER if claim.to_us is None else claim.to_us
    return Interval(claim.from_us, max(end, claim.from_us + 1))


def _holds(orm: Orm, stream: str, from_us: int, to_us: int) -> list[Held]:
    return [
        Held(hold.case_no, Interval(start, max(end, start + 1)))
        for hold, start, end in holds_of(orm, stream, from_us, to_us)
    ]
