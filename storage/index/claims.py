"""Write claims so that at any instant at most one ``own`` claim holds a stream."""

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict
from bidwitness.storage.index.locks import look_at_locks
from bidwitness.storage.index.models import Claim
from bidwitness.words import ClaimClass

FOREVER = 2**62


def own_claims_overlapping(
    orm: Orm, stream_id: str, from_us: int, to_us: int | None, *, except_for: str | None = None
) -> list[Claim]:
    """Give the standing ``own`` claims of a stream that share an instant with ``[from, to)``."""
    query = select(Claim).where(
        Claim.stream_id == stream_id,
        Claim.klass == ClaimClass.OWN,
        Claim.withdrawn_us.is_(None),
        Claim.from_us < (FOREVER if to_us is None else to_us),
        or_(Claim.to_us.is_(None), Claim.to_us > from_us),
    )
    if except_for is not None:
        query = query.where(Claim.id != except_for)
    return list(orm.scalars(query.order_by(Claim.from_us)))


def save_claim(orm: Orm, claim: Claim) -> Claim:
    """Add or change a claim. Call inside ``Database.write``.

    Raises ``Conflict`` naming the session that already owns the footage. SQLite's check is safe
    because the transaction is the only writer; PostgreSQL's exclusion constraint decides between
    two writers that both saw nothing.
    """
    if claim.klass == ClaimClass.OWN and claim.withdrawn_us is None:
        with orm.no_autoflush:
            others = own_claims_overlapping(
                orm, claim.stream_id, claim.from_us, claim.to_us, except_for=claim.id
            )
        if others:
            raise _taken(claim.stream_id, others[0].session_id)
    orm.add(claim)
    try:
        with orm.begin_nested():
            orm.flush()
    except IntegrityError as error:
        if "ex_claims_one_owner" not in str(error.orig):
            raise
        raise _taken(claim.stream_id, "another session") from None
    look_at_locks(orm, claim.stream_id, claim.from_us, claim.to_us)
    return claim


def _taken(stream_id: str, session_id: str) -> Conflict:
    return Conflict(
        f"Stream {stream_id} belongs to session {session_id} in that time. "
        "End or move that session first, or claim another interval.",
        fields={"stream_ids": stream_id},
    )
