"""Holds (封存): while one stands, nothing it covers is deleted by any path."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.locks import look_at_locks, look_at_session_locks
from bidwitness.storage.index.models import Claim, Hold, Session, Stream


@dataclass(frozen=True, slots=True)
class NewHold:
    """Of a whole session, or of a stream in a time (µs UTC; open where not given).

    ``officers``: who knows of it if it is ``confidential``, by user name, besides who places it.
    """

    case_no: str
    reason: str
    session_id: str | None = None
    stream_id: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    confidential: bool = False
    officers: tuple[str, ...] = ()


def place_hold(orm: Orm, who: Who, at_us: int, new: NewHold) -> Hold:
    """Forbid deletion. Raises ``InvalidInput`` naming what does not exist or does not fit."""
    if (new.session_id is None) == (new.stream_id is None):
        raise InvalidInput(
            "A hold is of a session or of a stream.",
            fields={"session_id": "give it, or stream_id, but not both"},
        )
    if new.session_id is not None and orm.get(Session, new.session_id) is None:
        raise InvalidInput("There is no such session.", fields={"session_id": "is not a session"})
    if new.stream_id is not None and orm.get(Stream, new.stream_id) is None:
        raise InvalidInput("There is no such stream.", fields={"stream_id": "is not a stream"})
    if new.session_id is not None and (new.from_us is not None or new.to_us is not None):
        raise InvalidInput(
            "A session is held as a whole.", fields={"from": "is for holds of a stream"}
        )
    if new.officers and not new.confidential:
        raise InvalidInput(
            "Officers are named for what is confidential.", fields={"officers": "are not needed"}
        )
    if new.from_us is not None and new.to_us is not None and new.to_us <= new.from_us:
        raise InvalidInput("The time ends before it begins.", fields={"to": "is not after from"})
    hold = Hold(
        session_id=new.session_id,
        stream_id=new.stream_id,
        from_us=new.from_us,
        to_us=new.to_us,
        case_no=new.case_no,
        reason=new.reason,
        placed_us=at_us,
        placed_by=who.name,
        confidential=new.confidential,
        officers=sorted({one.lower() for one in (*new.officers, who.name)})
        if new.confidential
        else [],
    )
    orm.add(hold)
    orm.flush()
    _look_at_locks(orm, hold)
    facts = {"hold": hold.id, "case_no": new.case_no}
    leave_audit_entry(orm, who, "hold.place", _subject(hold), at_us, reason=new.reason, facts=facts)
    return hold


def release_hold(orm: Orm, who: Who, at_us: int, hold_id: str, reason: str) -> Hold:
    """Let the ordinary period count again. Raises ``NotFound``, ``Conflict`` if it was before."""
    hold = orm.get(Hold, hold_id)
    if hold is None:
        raise NotFound("There is no such hold.")
    if hold.released_us is not None:
        raise Conflict("The hold was released before.")
    hold.released_us, hold.released_by, hold.release_reason = at_us, who.name, reason
    _look_at_locks(orm, hold)
    facts = {"hold": hold.id, "case_no": hold.case_no}
    leave_audit_entry(orm, who, "hold.release", _subject(hold), at_us, reason=reason, facts=facts)
    return hold


def _look_at_locks(orm: Orm, hold: Hold) -> None:
    """Have the store's legal holds follow, on all that is, or was, held by it."""
    if hold.stream_id is not None:
        look_at_locks(orm, hold.stream_id, hold.from_us or 0, hold.to_us)
    if hold.session_id is not None:
        look_at_session_locks(orm, hold.session_id)
    claims = select(Claim).where(Claim.session_id == hold.session_id)
    for claim in orm.scalars(claims) if hold.session_id is not None else ():
        look_at_locks(orm, claim.stream_id, claim.from_us, claim.to_us)


def _subject(hold: Hold) -> str:
    return f"session:{hold.session_id}" if hold.session_id else f"stream:{hold.stream_id}"
