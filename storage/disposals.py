"""Disposal (销毁) of sessions' footage whose period is over: what is due, the exact list, and how it
goes once several people have agreed. ``keep`` alone removes bytes; what is left is the receipt.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import false, func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import Conflict
from bidwitness.periods import DAY_US
from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.claims import FOREVER
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import look_at_locks, look_at_session_locks
from bidwitness.storage.index.models import (
    Claim,
    Disposal,
    Garbage,
    Hold,
    Item,
    Lot,
    Segment,
    Session,
)
from bidwitness.storage.index.protection import (
    claims_of,
    holds_of,
    lock_stream,
    why_locked,
    why_protected,
)
from bidwitness.storage.periods import periods_of, policies_of
from bidwitness.storage.removal import give_up_footage
from bidwitness.words import SessionState

REMOVING, DONE = "removing", "done"
# What is sealed may go when its time has come, whether it was archived before or not.
_KEPT = (SessionState.SEALED, SessionState.ARCHIVED)
BATCH = 200
# No policy keeps for less than a year.
SHORTEST_US = 365 * DAY_US
KEEP = Who("keep")


@dataclass(frozen=True, slots=True)
class Listing:
    """What would go of a session: its own segments, which no other session claims."""

    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return sum(row.bytes for row in self.segments)

    @property
    def lines(self) -> tuple[bytes, ...]:
        """One canonical JSON line a segment, by stream and time."""
        return tuple(canonical(_line(row)) for row in self.segments)

    @property
    def sha256(self) -> str:
        """What people agree to: the digest of all lines, each with its line feed."""
        whole = b"".join(line + b"\n" for line in self.lines)
        return hashlib.sha256(whole).hexdigest()


def _line(row: Segment) -> dict[str, JsonValue]:
    return {
        "segment": row.id,
        "stream": row.stream_id,
        "from": row.from_us,
        "to": row.to_us,
        "bytes": row.bytes,
        "sha256": row.sha256.hex(),
    }


def due_sessions(orm: Orm, now_us: int) -> list[tuple[Session, int]]:
    """Give the sessions whose footage may go, with since when, the oldest first.

    Those that are sealed, with the period of every lot over, and under no hold.
    """
    # Nearly all sessions of ten years are not due: a lot of theirs says so by itself.
    ended = Lot.retention_until_us <= now_us
    counted = Lot.retention_until_us.is_(None) & (Lot.retention_from_us <= now_us - SHORTEST_US)
    undecided = (
        select(Item.id)
        .join(Lot, Lot.id == Item.lot_id)
        .where(Item.session_id == Session.id, ~func.coalesce(ended | counted, false()))
    )
    query = select(Session).where(Session.state.in_(_KEPT), ~undecided.exists())
    rows = orm.scalars(query.order_by(Session.planned_from_us, Session.id)).all()
    periods = periods_of(orm, [row.id for row in rows], policies_of(orm))
    over = [(row, periods[row.id]) for row in rows]
    return [
        (row, until)
        for row, until in over
        if until is not None and until <= now_us and not _held(orm, row.id)
    ]


def listing(orm: Orm, session_id: str) -> Listing:
    """Give what would go of a session now."""
    found: dict[int, Segment] = {}
    for claim in _claims(orm, session_id):
        end = FOREVER if claim.to_us is None else claim.to_us
        query = select(Segment).where(
            Segment.stream_id == claim.stream_id,
            Segment.removed_us.is_(None),
            Segment.from_us < end,
            Segment.to_us > claim.from_us,
        )
        claimed = orm.scalars(query).all()
        others = _others(orm, claim, claimed, session_id)
        found |= {
            row.id: row
            for row in claimed
            if not any(start < row.to_us and row.from_us < to for start, to in others)
        }
    rows = sorted(found.values(), key=lambda row: (row.stream_id, row.from_us, row.id))
    return Listing(tuple(rows))


def check_due(orm: Orm, session_id: str, list_sha256: str, now_us: int) -> Listing:
    """Give the list of a session that may go and is as it was said to be. Raises ``Conflict``."""
    # Why it may not is not said: a hold may be confidential.
    if session_id not in {row.id for row, _ in due_sessions(orm, now_us)}:
        raise Conflict(
            f"The footage of session {session_id} may not go now. Load the list of what is due."
        )
    found = listing(orm, session_id)
    if found.sha256 != list_sha256:
        raise Conflict(
            f"The list of session {session_id} is not what it was: load it again, and ask anew."
        )
    return found


def begin(
    orm: Orm, who: Who, at_us: int, approval_id: str, session_id: str, list_sha256: str
) -> Disposal:
    """Let a session's footage go: from now on it is shown to nobody, and ``keep`` removes it.

    Raises ``Conflict`` as ``check_due`` does.
    """
    found = check_due(orm, session_id, list_sha256, at_us)
    session = orm.get_one(Session, session_id, with_for_update=True)
    session.state = SessionState.DISPOSED
    row = Disposal(
        session_id=session_id,
        state=REMOVING,
        listed={
            "approval": approval_id,
            "sha256": found.sha256,
            "bytes": found.size,
            "segments": [segment.id for segment in found.segments],
        },
        requested_us=at_us,
        requested_by=who.name,
    )
    orm.add(row)
    orm.flush()
    for claim in _claims(orm, session_id):
        look_at_locks(orm, claim.stream_id, claim.from_us, claim.to_us)
    look_at_session_locks(orm, session_id)
    facts = {"disposal": row.id, "segments": len(found.segments), "bytes": found.size}
    facts |= {"approval": approval_id, "list": found.sha256}
    leave_audit_entry(orm, who, "session.dispose", f"session:{session_id}", at_us, facts=facts)
    return row


class Disposer:
    """Removes what was agreed to, and writes the receipt when it has gone. Run by ``keep``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def dispose_some(self) -> int:
        """Give up a batch of each disposal that is under way; give how many segments."""
        with self._database.read() as orm:
            query = select(Disposal.id).where(Disposal.state == REMOVING).order_by(Disposal.id)
            under_way = orm.scalars(query).all()
        return sum(self._go_on(disposal_id) for disposal_id in under_way)

    def _go_on(self, disposal_id: str) -> int:
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = orm.get_one(Disposal, disposal_id, with_for_update=True)
            ids = [int(one) for one in row.listed["segments"]]
            left = _left(orm, ids)
            if not left and not _waiting(orm, ids):
                _close(orm, row, ids, now)
                return 0
            reason = f"disposal {row.id} of session {row.session_id}"
            gone = 0
            for stream in sorted({one.stream_id for one in left}):
                lock_stream(orm, stream)
                # A lock that has not run out, or a hold placed since, keeps it until that ends.
                free = [
                    one
                    for one in left
                    if one.stream_id == stream
                    and why_locked(one, now) is None
                    and why_protected(orm, one) is None
                ][: BATCH - gone]
                give_up_footage(orm, KEEP, stream, free, reason, now)
                gone += len(free)
            return gone


def _close(orm: Orm, row: Disposal, ids: Sequence[int], now_us: int) -> None:
    """Write the receipt: the trail, and with it the site's log, has it for good."""
    row.state, row.executed_us = DONE, now_us
    facts = {
        "disposal": row.id,
        "approval": row.listed["approval"],
        "list": row.listed["sha256"],
        "segments": len(ids),
        "bytes": row.listed["bytes"],
        "agreed_at": row.requested_us,
    }
    leave_audit_entry(
        orm, KEEP, "session.disposed", f"session:{row.session_id}", now_us, facts=facts
    )


def _left(orm: Orm, ids: Sequence[int]) -> list[Segment]:
    """Give what is still to be given up, by stream and time."""
    found: list[Segment] = []
    for start in range(0, len(ids), BATCH):
        query = select(Segment).where(
            Segment.id.in_(ids[start : start + BATCH]), Segment.removed_us.is_(None)
        )
        found += orm.scalars(query)
    return sorted(found, key=lambda one: (one.stream_id, one.from_us, one.id))


def _waiting(orm: Orm, ids: Sequence[int]) -> bool:
    """Say whether bytes of these segments wait to be removed."""
    return any(
        orm.scalar(
            select(Garbage.id).where(Garbage.segment_id.in_(ids[start : start + BATCH])).limit(1)
        )
        is not None
        for start in range(0, len(ids), BATCH)
    )


def _claims(orm: Orm, session_id: str) -> Sequence[Claim]:
    query = select(Claim).where(Claim.session_id == session_id, Claim.withdrawn_us.is_(None))
    return orm.scalars(query.order_by(Claim.id)).all()


def _others(
    orm: Orm, claim: Claim, rows: Sequence[Segment], session_id: str
) -> list[tuple[int, int]]:
    """Give what other sessions claim of the stream about these segments."""
    if not rows:
        return []
    start, end = min(row.from_us for row in rows), max(row.to_us for row in rows)
    return [
        (other.from_us, FOREVER if other.to_us is None else other.to_us)
        for other, _ in claims_of(orm, claim.stream_id, start, end)
        if other.session_id != session_id
    ]


def _held(orm: Orm, session_id: str) -> bool:
    """Say whether the session is held, or any hold touches what it claims."""
    own = select(Hold.id).where(Hold.session_id == session_id, Hold.released_us.is_(None))
    if orm.scalar(own.limit(1)) is not None:
        return True
    return any(
        holds_of(
            orm, claim.stream_id, claim.from_us, FOREVER if claim.to_us is None else claim.to_us
        )
        for claim in _claims(orm, session_id)
    )
