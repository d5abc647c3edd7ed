"""Grants and the register of access and copies."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from bidwitness.api.deps import Admin, Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    IdText,
    LimitQuery,
    Name,
    Reason,
    Short,
    Us,
)
from bidwitness.storage import grants as business
from bidwitness.storage.index.models import Grant, RegisterEntry, User
from bidwitness.words import Action, GrantKind, Medium, Role

router = APIRouter(tags=["grants"])


class NewGrant(Body):
    username: Name
    session_id: IdText
    media: Annotated[list[Medium], Field(min_length=1, max_length=10)]
    actions: Annotated[list[Action], Field(min_length=1, max_length=10)]
    reason: Reason
    kind: GrantKind = GrantKind.REQUEST
    # The footage it covers; all of the session's if not given.
    from_: Annotated[Us | None, Field(alias="from")] = None
    to: Us | None = None
    document_no: Short | None = None
    unit: Short | None = None
    # When the right itself ends.
    expires: Us | None = None


class Revocation(Body):
    reason: Reason


class GrantAnswer(Answer):
    id: str
    kind: GrantKind
    username: str
    session_id: str | None
    media: list[Medium]
    actions: list[Action]
    from_: Annotated[int | None, Field(serialization_alias="from")]
    to: int | None
    reason: str
    document_no: str | None
    made_at: int
    made_by: str
    expires: int | None
    revoked_at: int | None


class GrantPage(Answer):
    items: list[GrantAnswer]
    next_cursor: str | None


class RegisterAnswer(Answer):
    id: int
    grant_id: str
    at: int
    person: str
    unit: str | None
    content: str
    reason: str


class RegisterPage(Answer):
    items: list[RegisterAnswer]
    next_cursor: str | None


@router.get("/grants")
def grants(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> GrantPage:
    """Grants, newest first: all for the system administrator, one's own for everybody else."""
    query = select(Grant)
    if Role.SYSTEM_ADMIN not in user.roles:
        query = query.where(Grant.user_id == user.id)
    query = newest_first(query, Grant.made_us, Grant.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        people = select(User.id, User.username).where(User.id.in_([r.user_id for r in rows]))
        names = {row.id: row.username for row in orm.execute(people)}
        items = [_answer(row, names[row.user_id]) for row in rows]
    return GrantPage(items=items, next_cursor=more)


@router.post("/grants", status_code=201)
def make(body: NewGrant, user: Admin, parts: ThePartsOf) -> GrantAnswer:
    """Give an auditor the right to replay or copy a session."""
    new = business.NewGrant(
        username=body.username,
        session_id=body.session_id,
        media=tuple(body.media),
        actions=tuple(body.actions),
        reason=body.reason,
        kind=body.kind,
        from_us=body.from_,
        to_us=body.to,
        document_no=body.document_no,
        unit=body.unit,
        expires_us=body.expires,
    )
    with parts.database.write() as orm:
        row = business.make_grant(orm, user.who, parts.clock.utc_us(), new)
        return _answer(row, body.username)


@router.post("/grants/{grant_id}/revoke")
def revoke(grant_id: IdPath, body: Revocation, user: Admin, parts: ThePartsOf) -> GrantAnswer:
    """End a right at once."""
    with parts.database.write() as orm:
        row = business.revoke_grant(orm, user.who, parts.clock.utc_us(), grant_id, body.reason)
        return _answer(row, orm.get_one(User, row.user_id).username)


@router.get("/register")
def register(
    user: Admin, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> RegisterPage:
    """The register of access and copies, newest first."""
    table = RegisterEntry
    query = newest_first(select(table), table.at_us, table.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        items = [
            RegisterAnswer(
                id=row.id,
                grant_id=row.grant_id,
                at=row.at_us,
                person=row.person,
                unit=row.unit,
                content=row.content,
                reason=row.reason,
            )
            for row in rows
        ]
    return RegisterPage(items=items, next_cursor=more)


def _answer(row: Grant, username: str) -> GrantAnswer:
    return GrantAnswer(
        id=row.id,
        kind=row.kind,
        username=username,
        session_id=row.session_id,
        media=row.media,
        actions=row.actions,
        from_=row.from_us,
        to=row.to_us,
        reason=row.reason,
        document_no=row.document_no,
        made_at=row.made_us,
        made_by=row.made_by,
        expires=row.expires_us,
        revoked_at=row.revoked_us,
    )
