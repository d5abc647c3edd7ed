"""Alarms: what is wrong now, what was, who has seen it."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import DEFAULT_LIMIT, Answer, CursorQuery, IdPath, LimitQuery
from bidwitness.errors import NotFound
from bidwitness.storage.break_glass import PRIVATE_ALARMS
from bidwitness.storage.happenings import acknowledge_alarm
from bidwitness.storage.index.models import Alarm

router = APIRouter(prefix="/alarms", tags=["alarms"])


class AlarmAnswer(Answer):
    id: str
    kind: str
    # What it is about: "stream:ID", "session:ID", "store", …
    subject: str
    cause: str | None
    # What the pages word the cause from: camera, room, role, cause, a figure.
    facts: dict[str, object] | None
    room_id: str | None
    raised_at: int
    cleared_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str | None


class AlarmPage(Answer):
    items: list[AlarmAnswer]
    next_cursor: str | None


@router.get("")
def alarms(
    user: Me,
    parts: ThePartsOf,
    standing: Annotated[bool | None, Query(alias="open")] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> AlarmPage:
    """Alarms, newest first; ``open=true``: those that stand."""
    # These are told to others: see break_glass.
    query = select(Alarm).where(Alarm.kind.not_in(PRIVATE_ALARMS))
    if standing is not None:
        query = query.where(Alarm.cleared_us.is_(None) == standing)
    query = newest_first(query, Alarm.raised_us, Alarm.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "raised_us", "id", limit)
        return AlarmPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.post("/{alarm_id}/acknowledge")
def acknowledge(alarm_id: IdPath, user: Me, parts: ThePartsOf) -> AlarmAnswer:
    """Say that one has seen it."""
    with parts.database.write() as orm:
        alarm = orm.get(Alarm, alarm_id)
        if alarm is not None and alarm.kind in PRIVATE_ALARMS:
            raise NotFound("There is no such alarm.")
        return _answer(acknowledge_alarm(orm, user.who, parts.clock.utc_us(), alarm_id))


def _answer(row: Alarm) -> AlarmAnswer:
    return AlarmAnswer(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        cause=row.cause,
        facts=row.facts,
        room_id=row.room_id,
        raised_at=row.raised_us,
        cleared_at=row.cleared_us,
        acknowledged_at=row.acknowledged_us,
        acknowledged_by=row.acknowledged_by,
    )
