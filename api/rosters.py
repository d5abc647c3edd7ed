"""Duty rosters (值守): written, approved once by somebody else, ended."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    LimitQuery,
    Name,
    Reason,
    Short,
    Us,
)
from bidwitness.storage import rosters as business
from bidwitness.storage.index.models import Roster, User
from bidwitness.words import ProjectCategory

router = APIRouter(prefix="/rosters", tags=["rosters"])


class ShiftBody(Body):
    username: Name
    from_: Annotated[Us, Field(alias="from")]
    until: Us


class NewRoster(Body):
    """Without categories and project codes it is for all of the department's sessions."""

    department: Short
    categories: list[ProjectCategory] = Field(default_factory=list, max_length=10)
    project_codes: list[Name] = Field(default_factory=list, max_length=100)
    shifts: Annotated[list[ShiftBody], Field(min_length=1, max_length=business.MAX_SHIFTS)]
    reason: Reason
    document_no: Short | None = None


class Ending(Body):
    reason: Reason


class ShiftAnswer(Answer):
    username: str
    from_: Annotated[int, Field(serialization_alias="from")]
    until: int


class RosterAnswer(Answer):
    id: str
    department: str
    categories: list[ProjectCategory]
    project_ids: list[str]
    shifts: list[ShiftAnswer]
    reason: str
    document_no: str | None
    made_at: int
    made_by: str
    approved_at: int | None
    approved_by: str | None
    ended_at: int | None
    ended_by: str | None


class RosterPage(Answer):
    items: list[RosterAnswer]
    next_cursor: str | None


@router.get("")
def rosters(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> RosterPage:
    """Rosters, newest first, also those that wait and those that have ended."""
    query = select(Roster).options(selectinload(Roster.shifts))
    query = newest_first(query, Roster.made_us, Roster.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        return RosterPage(items=_answers(orm, rows), next_cursor=more)


@router.post("", status_code=201)
def make(body: NewRoster, user: Me, parts: ThePartsOf) -> RosterAnswer:
    """Write a roster down; it is of no effect until it is approved."""
    new = business.NewRoster(
        department=body.department,
        shifts=tuple(business.NewShift(s.username, s.from_, s.until) for s in body.shifts),
        reason=body.reason,
        categories=tuple(body.categories),
        project_codes=tuple(body.project_codes),
        document_no=body.document_no,
    )
    with parts.database.write() as orm:
        row = business.make_roster(orm, user.who, parts.clock.utc_us(), new)
        return _answers(orm, [row])[0]


@router.post("/{roster_id}/approve")
def approve(roster_id: IdPath, user: Me, parts: ThePartsOf) -> RosterAnswer:
    """Approve a roster: its turns hold from now on, for every session as it appears."""
    with parts.database.write() as orm:
        row = business.approve_roster(orm, user.who, parts.clock.utc_us(), roster_id)
        return _answers(orm, [row])[0]


@router.post("/{roster_id}/end")
def end(roster_id: IdPath, body: Ending, user: Me, parts: ThePartsOf) -> RosterAnswer:
    """End a roster at once; what is open by it ends within seconds."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.end_roster(orm, user.who, now, roster_id, body.reason)
        return _answers(orm, [row])[0]


def _answers(orm: Orm, rows: Sequence[Roster]) -> list[RosterAnswer]:
    ids = {shift.user_id for row in rows for shift in row.shifts}
    people = select(User.id, User.username).where(User.id.in_(ids))
    names = {row.id: row.username for row in orm.execute(people)}
    return [
        RosterAnswer(
            id=row.id,
            department=row.department,
            categories=row.categories,
            project_ids=row.projects,
            shifts=[
                ShiftAnswer(username=names[s.user_id], from_=s.from_us, until=s.until_us)
                for s in row.shifts
            ],
            reason=row.reason,
            document_no=row.document_no,
            made_at=row.made_us,
            made_by=row.made_by,
            approved_at=row.approved_us,
            approved_by=row.approved_by,
            ended_at=row.ended_us,
            ended_by=row.ended_by,
        )
        for row in rows
    ]
