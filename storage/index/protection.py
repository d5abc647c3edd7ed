"""What forbids the removal of footage: a standing claim or a hold. One rule for all who remove."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.claims import FOREVER
from bidwitness.storage.index.models import Claim, Hold, Segment, Session, Stream
from bidwitness.words import SessionState


def lock_stream(orm: Orm, stream_id: str) -> None:
    """Keep claims and holds off a stream until this transaction ends.

    A row that refers to the stream cannot be added while it is locked (PostgreSQL takes a share
    of it for the foreign key); on SQLite the transaction is the only writer anyway.
    """
    orm.get(Stream, stream_id, with_for_update=True)


def claims_of(
    orm: Orm, stream_id: str, from_us: int, to_us: int
) -> list[tuple[Claim, SessionState]]:
    """Give the standing claims that share an instant with ``[from, to)``; not of disposed sessions."""
    query = (
        select(Claim, Session.state)
        .join(Session, Session.id == Claim.session_id)
        .where(
            Claim.stream_id == stream_id,
            Claim.withdrawn_us.is_(None),
            Claim.from_us < to_us,
            or_(Claim.to_us.is_(None), Claim.to_us > from_us),
            Session.state != SessionState.DISPOSED,
        )
        .order_by(Claim.from_us, Claim.id)
    )
    return [(claim, state) for claim, state in orm.execute(query)]


def holds_of(orm: Orm, stream_id: str, from_us: int, to_us: int) -> list[tuple[Hold, int, int]]:
    """Give the holds in force that touch a stream in ``[from, to)``, each with what it covers.

    A hold of a session covers all that the session ever claimed, also what was moved away since.
    """
    direct = select(Hold).where(
        Hold.released_us.is_(None),
        Hold.stream_id == stream_id,
        or_(Hold.from_us.is_(None), Hold.from_us < to_us),
        or_(Hold.to_us.is_(None), Hold.to_us > from_us),
    )
    found = [
        (hold, hold.from_us or 0, FOREVER if hold.to_us is None else hold.to_us)
        for hold in orm.scalars(direct)
    ]
    by_session = (
        select(Hold, Claim.from_us, Claim.to_us)
        .join(Claim, Claim.session_id == Hold.session_id)
        .where(
            Hold.released_us.is_(None),
            Claim.stream_id == stream_id,
            Claim.from_us < to_us,
            or_(Claim.to_us.is_(None), Claim.to_us > from_us),
        )
    )
    for hold, start, end in orm.execute(by_session):
        found.append((hold, start, FOREVER if end is None else end))
    return found


def why_locked(segment: Segment, now_us: int) -> str | None:
    """Say what keeps the store from removing a segment at ``now_us``, or nothing."""
    if segment.lock_hold_us is not None:
        return "held in the store"
    if segment.lock_until_us is not None and segment.lock_until_us > now_us:
        return "retained in the store"
    return None


def why_protected(orm: Orm, segment: Segment) -> str | None:
    """Say what forbids the removal of a segment, or nothing."""
    holds = holds_of(orm, segment.stream_id, segment.from_us, segment.to_us)
    if holds:
        return f"held for case {holds[0][0].case_no}"
    claims = claims_of(orm, segment.stream_id, segment.from_us, segment.to_us)
    if claims:
        return f"claimed by session {claims[0][0].session_id}"
    return None
