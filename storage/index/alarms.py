"""Raise and clear alarms: at most one open alarm a (kind, subject)."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Orm

from bidwitness.log import redact
from bidwitness.storage.index.models import Alarm

MAX_CAUSE = 500


def open_alarm(orm: Orm, kind: str, subject: str) -> Alarm | None:
    """Give the alarm of this kind about ``subject`` (``"session:ID"``) that is not cleared yet."""
    return orm.scalars(
        select(Alarm).where(
            Alarm.kind == kind, Alarm.subject == subject, Alarm.cleared_us.is_(None)
        )
    ).first()


def raise_alarm(
    orm: Orm,
    kind: str,
    subject: str,
    at_us: int,
    *,
    cause: str,
    room_id: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Alarm:
    """Raise an alarm at ``at_us`` (µs UTC), or give the one that is open already, unchanged.

    ``facts``: what the pages word the cause from. Call inside ``Database.write``. Secrets in ``cause`` are redacted.
    """
    present = open_alarm(orm, kind, subject)
    if present is not None:
        return present
    alarm = Alarm(
        kind=kind,
        subject=subject,
        cause=redact(cause)[:MAX_CAUSE],
        facts=None if facts is None else dict(facts),
        room_id=room_id,
        raised_us=at_us,
    )
    try:
        with orm.begin_nested():
            orm.add(alarm)
    except IntegrityError:
        # Another process was a moment earlier (the table's partial unique index).
        present = open_alarm(orm, kind, subject)
        if present is None:
            raise
        return present
    return alarm


def clear_alarm(orm: Orm, kind: str, subject: str, at_us: int) -> bool:
    """Clear the open alarm of this kind about ``subject``; say whether there was one."""
    present = open_alarm(orm, kind, subject)
    if present is None:
        return False
    present.cleared_us = at_us
    orm.flush()
    return True
