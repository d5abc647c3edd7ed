"""Alarms acknowledged, events reported, markers set."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, Forbidden, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Alarm, Event, Marker, Room, Session, Stream
from bidwitness.storage.secrecy import secret_marker
from bidwitness.words import MarkerAudience, Role


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something a system reports, about a session, a room or a stream."""

    at_us: int
    kind: str
    text: str | None = None
    facts: Mapping[str, object] | None = None
    session_id: str | None = None
    room_id: str | None = None
    stream_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewMarker:
    session_id: str
    at_us: int
    text: str
    audience: MarkerAudience = MarkerAudience.OWN
    reason: str | None = None


def acknowledge_alarm(orm: Orm, who: Who, at_us: int, alarm_id: str) -> Alarm:
    """Note that somebody has seen an alarm; it stands until its cause is gone.

    Raises ``NotFound``, ``Conflict`` if somebody else was first.
    """
    alarm = orm.get(Alarm, alarm_id, with_for_update=True)
    if alarm is None:
        raise NotFound("There is no such alarm.")
    if alarm.acknowledged_us is not None:
        raise Conflict(f"{alarm.acknowledged_by} has acknowledged this alarm before.")
    alarm.acknowledged_us, alarm.acknowledged_by = at_us, who.name
    facts = {"kind": alarm.kind, "subject": alarm.subject}
    leave_audit_entry(orm, who, "alarm.acknowledge", f"alarm:{alarm.id}", at_us, facts=facts)
    return alarm


def report_event(orm: Orm, who: Who, at_us: int, new: NewEvent) -> Event:
    """Add an event. Raises ``InvalidInput`` naming what it is about and does not exist."""
    about = (
        ("session_id", Session, new.session_id),
        ("room_id", Room, new.room_id),
        ("stream_id", Stream, new.stream_id),
    )
    for named, table, key in about:
        if key is not None and orm.get(table, key) is None:
            raise InvalidInput("The event is about nothing we know.", fields={named: "is unknown"})
    event = Event(
        session_id=new.session_id,
        room_id=new.room_id,
        stream_id=new.stream_id,
        at_us=new.at_us,
        kind=new.kind,
        text=new.text,
        facts=dict(new.facts) if new.facts else None,
        source=who.name,
    )
    orm.add(event)
    orm.flush()
    facts = {"kind": new.kind, "at": new.at_us}
    leave_audit_entry(orm, who, "event.report", f"event:{event.id}", at_us, facts=facts)
    return event


def set_marker(orm: Orm, who: Who, at_us: int, new: NewMarker) -> Marker:
    """Mark an instant of a session. Raises ``InvalidInput`` if there is no such session."""
    if orm.get(Session, new.session_id) is None:
        raise InvalidInput("There is no such session.", fields={"session_id": "is not a session"})
    marker = Marker(
        session_id=new.session_id,
        at_us=new.at_us,
        text=new.text,
        reason=new.reason,
        author=who.name,
        audience=new.audience,
        made_us=at_us,
    )
    orm.add(marker)
    orm.flush()
    facts = {"marker": marker.id, "at": new.at_us, "audience": new.audience.value}
    leave_audit_entry(orm, who, "marker.set", f"session:{new.session_id}", at_us, facts=facts)
    return marker


def remove_marker(
    orm: Orm, who: Who, at_us: int, marker_id: str, roles: frozenset[Role], reason: str | None
) -> Marker:
    """Take a marker back: it is shown no more, and its row says when and why.

    Raises ``NotFound`` for one that the person does not see, ``Forbidden`` for another author's.
    """
    query = select(Marker).where(Marker.id == marker_id, markers_for(who.name, roles))
    marker = orm.scalars(query.with_for_update()).first()
    if marker is None:
        raise NotFound("There is no such marker.")
    if marker.author != who.name:
        raise Forbidden(f"Only {marker.author}, who set this marker, may take it back.")
    marker.removed_us, marker.remove_reason = at_us, reason
    facts = {"marker": marker.id, "at": marker.at_us, "text": marker.text}
    subject = f"session:{marker.session_id}"
    leave_audit_entry(orm, who, "marker.remove", subject, at_us, reason=reason, facts=facts)
    return marker


def markers_for(username: str, roles: frozenset[Role]) -> ColumnElement[bool]:
    """Give the condition under which a marker is shown to somebody.

    Users have no organisation yet, so a marker for one's own is shown to its author alone.
    """
    audiences = [MarkerAudience.ALL]
    if roles & {Role.SUPERVISOR, Role.AUDITOR}:
        audiences.append(MarkerAudience.SUPERVISION)
    told = and_(Marker.audience.in_(audiences), ~secret_marker(username, roles))
    meant = or_(Marker.author == username, told)
    return and_(Marker.removed_us.is_(None), meant)
