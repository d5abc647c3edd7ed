"""Events: what systems report about a session, a room or a stream."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue, StringConstraints
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    ID_PATTERN,
    Answer,
    Body,
    CursorQuery,
    IdText,
    LimitQuery,
    Long,
    Us,
)
from bidwitness.api.seeing import check_may_read_about
from bidwitness.storage.happenings import NewEvent, report_event
from bidwitness.storage.index.models import Event

router = APIRouter(prefix="/events", tags=["events"])

About = Annotated[str | None, Query(pattern=ID_PATTERN)]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{1,63}$")]
Facts = Annotated[dict[str, JsonValue], Field(max_length=50)]


class EventBody(Body):
    at: Us
    kind: Kind
    text: Long | None = None
    facts: Facts | None = None
    session_id: IdText | None = None
    room_id: IdText | None = None
    stream_id: IdText | None = None


class EventAnswer(Answer):
    id: int
    at: int
    kind: str
    text: str | None
    facts: dict[str, Any] | None
    session_id: str | None
    room_id: str | None
    stream_id: str | None
    source: str


class EventPage(Answer):
    items: list[EventAnswer]
    next_cursor: str | None


@router.get("")
def events(
    user: Me,
    parts: ThePartsOf,
    session_id: About = None,
    room_id: About = None,
    stream_id: About = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> EventPage:
    """Events, newest first. An auditor asks about a session that was granted to her."""
    query = select(Event)
    given = (
        (Event.session_id, session_id),
        (Event.room_id, room_id),
        (Event.stream_id, stream_id),
    )
    for column, value in given:
        if value is not None:
            query = query.where(column == value)
    query = newest_first(query, Event.at_us, Event.id, cursor, limit)
    with parts.database.read() as orm:
        check_may_read_about(orm, user, session_id, parts.clock.utc_us())
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        return EventPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.post("", status_code=201)
def report(body: EventBody, user: Me, parts: ThePartsOf) -> EventAnswer:
    """Report an event from another system."""
    new = NewEvent(
        at_us=body.at,
        kind=body.kind,
        text=body.text,
        facts=body.facts,
        session_id=body.session_id,
        room_id=body.room_id,
        stream_id=body.stream_id,
    )
    with parts.database.write() as orm:
        return _answer(report_event(orm, user.who, parts.clock.utc_us(), new))


def _answer(row: Event) -> EventAnswer:
    return EventAnswer(
        id=row.id,
        at=row.at_us,
        kind=row.kind,
        text=row.text,
        facts=row.facts,
        session_id=row.session_id,
        room_id=row.room_id,
        stream_id=row.stream_id,
        source=row.source,
    )
