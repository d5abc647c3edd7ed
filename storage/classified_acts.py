"""Times in which nothing is recorded because the business is classified (涉密): by two people only.

Nothing of such a time exists afterwards, so whoever could switch it on alone could blind a room.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.approvals import Act, Content, Kind, Rule
from bidwitness.storage.grant_forms import Form, Id, Instant, Said, read_form
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Booking, ClassifiedInterval, Session
from bidwitness.storage.logins import DAY_US
from bidwitness.words import Role, SessionState

BEGIN = "classified.begin"
END = "classified.end"
# Beyond the last booking, for a sitting that takes longer.
OVERRUN_US = 2 * 3_600_000_000
_OPEN = (SessionState.SCHEDULED, SessionState.RECORDING)


class BeginForm(Form):
    """``register_no``: where the paper register of what is classified has it. ``from_us`` (µs UTC)
    empty: as soon as it is carried out."""

    session_id: Id
    register_no: Said
    from_us: Instant | None = None
    to_us: Instant


class EndForm(Form):
    session_id: Id


def _rule() -> Rule:
    return Rule(
        requesters=frozenset({Role.VENUE}),
        approvers=frozenset({Role.DIRECTOR, Role.SUPERVISOR}),
        lives_us=7 * DAY_US,
    )


def begin_kind() -> Kind:
    """Give the kind of act by which a session's rooms are not recorded for a time."""
    return Kind(name=BEGIN, rule=_rule(), read=_read_begin, check=_check_begin, execute=_begin)


def end_kind() -> Kind:
    """Give the kind of act that ends such a time early: the cameras hear what is said from then."""
    return Kind(name=END, rule=_rule(), read=_read_end, check=_check_end, execute=_end)


def _read_begin(content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(BeginForm, content)
    if len(form.register_no) > 100:
        raise InvalidInput(
            "A register number is shorter.", fields={"content.register_no": "is too long"}
        )
    if form.from_us is not None and form.to_us <= form.from_us:
        raise InvalidInput(
            "The time ends before it begins.", fields={"content.to_us": "is not after from_us"}
        )
    return form.model_dump(mode="json", exclude_none=True), f"session:{form.session_id}"


def _check_begin(orm: Orm, content: Content) -> None:
    form = read_form(BeginForm, content)
    bookings = _bookings(orm, form.session_id)
    if form.to_us > max(booking.to_us for booking in bookings) + OVERRUN_US:
        raise Conflict("That is long after the session: ask for no more than it needs.")
    start = min(booking.from_us for booking in bookings) if form.from_us is None else form.from_us
    query = select(Booking.id).where(
        Booking.room_id.in_({booking.room_id for booking in bookings}),
        Booking.session_id != form.session_id,
        Booking.left_us.is_(None),
        Booking.from_us < form.to_us,
        Booking.to_us > start,
    )
    others = query.join(Session, Session.id == Booking.session_id).where(Session.state.in_(_OPEN))
    if orm.scalar(others.limit(1)) is not None:
        raise Conflict("Another session has one of the rooms in that time, and has to be recorded.")


def _begin(orm: Orm, act: Act) -> None:
    form = read_form(BeginForm, act.content)
    # What was recorded before it was agreed to stays what it is.
    start = max(form.from_us or act.at_us, act.at_us)
    if form.to_us <= start:
        raise Conflict("The time has passed.")
    rooms = sorted({booking.room_id for booking in _bookings(orm, form.session_id)})
    for room in rooms:
        orm.add(
            ClassifiedInterval(
                session_id=form.session_id,
                room_id=room,
                from_us=start,
                to_us=form.to_us,
                register_no=form.register_no,
            )
        )
    facts = {
        "approval": act.row.id,
        "register_no": form.register_no,
        "rooms": rooms,
        "from_us": start,
        "to_us": form.to_us,
    }
    subject = f"session:{form.session_id}"
    leave_audit_entry(orm, act.who, BEGIN, subject, act.at_us, reason=act.row.reason, facts=facts)


def _read_end(content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(EndForm, content)
    return {"session_id": form.session_id}, f"session:{form.session_id}"


def _check_end(orm: Orm, content: Content) -> None:
    query = select(ClassifiedInterval.id).where(
        ClassifiedInterval.session_id == content["session_id"]
    )
    if orm.scalar(query.limit(1)) is None:
        raise NotFound("Nothing of this session is classified.")


def _end(orm: Orm, act: Act) -> None:
    query = select(ClassifiedInterval).where(
        ClassifiedInterval.session_id == act.content["session_id"],
        ClassifiedInterval.to_us > act.at_us,
    )
    rows = orm.scalars(query).all()
    if not rows:
        raise Conflict("It has ended.")
    for row in rows:
        row.to_us = max(act.at_us, row.from_us)
    facts = {"approval": act.row.id, "rooms": sorted(row.room_id for row in rows)}
    subject = f"session:{act.content['session_id']}"
    leave_audit_entry(orm, act.who, END, subject, act.at_us, reason=act.row.reason, facts=facts)


def _bookings(orm: Orm, session_id: str) -> list[Booking]:
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    if session.state not in _OPEN:
        raise Conflict("The session is over.")
    query = select(Booking).where(Booking.session_id == session_id, Booking.left_us.is_(None))
    found = list(orm.scalars(query))
    if not found:
        raise Conflict("The session has no room.")
    return found
