"""Markers: what a person notes at an instant of a session."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    ID_PATTERN,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    IdText,
    LimitQuery,
    Long,
    Text,
    Us,
)
from bidwitness.api.seeing import check_may_read_about
from bidwitness.storage import happenings
from bidwitness.storage.index.models import Marker
from bidwitness.words import MarkerAudience

router = APIRouter(prefix="/markers", tags=["markers"])


class MarkerBody(Body):
    session_id: IdText
    at: Us
    text: Long
    audience: MarkerAudience = MarkerAudience.OWN
    reason: Text | None = None


class RemoveBody(Body):
    reason: Text | None = None


class MarkerAnswer(Answer):
    id: str
    session_id: str | None
    at: int
    text: str
    reason: str | None
    author: str
    audience: MarkerAudience
    made_at: int


class MarkerPage(Answer):
    items: list[MarkerAnswer]
    next_cursor: str | None


@router.get("")
def markers(
    user: Me,
    parts: ThePartsOf,
    session_id: Annotated[str, Query(pattern=ID_PATTERN)],
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> MarkerPage:
    """The markers of a session that are meant for one's eyes, newest first."""
    query = select(Marker).where(
        Marker.session_id == session_id, happenings.markers_for(user.username, user.roles)
    )
    query = newest_first(query, Marker.at_us, Marker.id, cursor, limit)
    with parts.database.read() as orm:
        check_may_read_about(orm, user, session_id, parts.clock.utc_us())
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        return MarkerPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.post("", status_code=201)
def mark(body: MarkerBody, user: Me, parts: ThePartsOf) -> MarkerAnswer:
    """Mark an instant of a session."""
    new = happenings.NewMarker(body.session_id, body.at, body.text, body.audience, body.reason)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        check_may_read_about(orm, user, body.session_id, now)
        return _answer(happenings.set_marker(orm, user.who, now, new))


@router.post("/{marker_id}/remove", status_code=204)
def remove(marker_id: IdPath, body: RemoveBody, user: Me, parts: ThePartsOf) -> None:
    """Take back a marker of one's own. It is shown no more; that it was there stays on record."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        found = happenings.remove_marker(orm, user.who, now, marker_id, user.roles, body.reason)
        check_may_read_about(orm, user, found.session_id, now)


def _answer(row: Marker) -> MarkerAnswer:
    return MarkerAnswer(
        id=row.id,
        session_id=row.session_id,
        at=row.at_us,
        text=row.text,
        reason=row.reason,
        author=row.author,
        audience=row.audience,
        made_at=row.made_us,
    )
