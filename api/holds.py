"""Holds: forbid the deletion of a session or of a stream's time. One ends by four eyes alone."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdText,
    LimitQuery,
    Long,
    Name,
    Short,
    Us,
)
from bidwitness.api.seeing import not_secret_from
from bidwitness.storage import holds as business
from bidwitness.storage.index.models import Hold

router = APIRouter(prefix="/holds", tags=["holds"])


class NewHold(Body):
    case_no: Short
    reason: Long
    session_id: IdText | None = None
    stream_id: IdText | None = None
    from_: Annotated[Us | None, Field(alias="from")] = None
    to: Us | None = None
    confidential: bool = False
    officers: Annotated[tuple[Name, ...], Field(max_length=10)] = ()


class HoldAnswer(Answer):
    id: str
    case_no: str
    reason: str
    session_id: str | None
    stream_id: str | None
    from_: Annotated[int | None, Field(serialization_alias="from")]
    to: int | None
    placed_at: int
    placed_by: str
    released_at: int | None
    released_by: str | None
    release_reason: str | None
    confidential: bool
    officers: list[str]


class HoldPage(Answer):
    items: list[HoldAnswer]
    next_cursor: str | None


@router.get("")
def holds(
    user: Me,
    parts: ThePartsOf,
    standing: Annotated[bool | None, Query(alias="open")] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> HoldPage:
    """Holds, newest first; ``open=true``: those that stand."""
    query = select(Hold)
    if standing is not None:
        query = query.where(Hold.released_us.is_(None) == standing)
    query = query.where(not_secret_from(user, Hold))
    query = newest_first(query, Hold.placed_us, Hold.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "placed_us", "id", limit)
        return HoldPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.post("", status_code=201)
def place(body: NewHold, user: Me, parts: ThePartsOf) -> HoldAnswer:
    """Forbid deletion, for a case."""
    new = business.NewHold(
        case_no=body.case_no,
        reason=body.reason,
        session_id=body.session_id,
        stream_id=body.stream_id,
        from_us=body.from_,
        to_us=body.to,
        confidential=body.confidential,
        officers=body.officers,
    )
    with parts.database.write() as orm:
        return _answer(business.place_hold(orm, user.who, parts.clock.utc_us(), new))


def _answer(row: Hold) -> HoldAnswer:
    return HoldAnswer(
        id=row.id,
        case_no=row.case_no,
        reason=row.reason,
        session_id=row.session_id,
        stream_id=row.stream_id,
        from_=row.from_us,
        to=row.to_us,
        placed_at=row.placed_us,
        placed_by=row.placed_by,
        released_at=row.released_us,
        released_by=row.released_by,
        release_reason=row.release_reason,
        confidential=row.confidential,
        officers=row.officers,
    )
