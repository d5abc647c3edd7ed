"""Where people's roles hold, and who stands in for whom."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

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
    Name,
    Reason,
    Short,
    Us,
)
from bidwitness.errors import InvalidInput
from bidwitness.rights import Scope
from bidwitness.storage import people
from bidwitness.storage import rights as business
from bidwitness.storage.index.models import RoleScope, Substitution, User
from bidwitness.words import ProjectCategory, Role, RoomKind

router = APIRouter(tags=["scopes"])

Whose = Annotated[str | None, Query(pattern=ID_PATTERN)]


class NewScope(Body):
    username: Name
    role: Role
    site_id: IdText | None = None
    room_kind: RoomKind | None = None
    category: ProjectCategory | None = None
    department: Short | None = None
    session_id: IdText | None = None
    reason: Reason


class Ending(Body):
    reason: Reason


class ScopeAnswer(Answer):
    id: str
    user_id: str
    role: Role
    site_id: str | None
    room_kind: RoomKind | None
    category: ProjectCategory | None
    department: str | None
    session_id: str | None
    reason: str
    made_at: int
    made_by: str
    ended_at: int | None
    ended_by: str | None


class ScopePage(Answer):
    items: list[ScopeAnswer]
    next_cursor: str | None


class NewSubstitution(Body):
    username: Name
    absent: Name
    role: Role
    from_: Annotated[Us, Field(alias="from")]
    until: Us
    reason: Reason


class SubstitutionAnswer(Answer):
    id: str
    user_id: str
    absent_id: str
    role: Role
    from_: Annotated[int, Field(serialization_alias="from")]
    until: int
    reason: str
    made_at: int
    made_by: str
    ended_at: int | None
    ended_by: str | None


class SubstitutionPage(Answer):
    items: list[SubstitutionAnswer]
    next_cursor: str | None


class Assignment(Body):
    username: Name
    reason: Reason


@router.get("/scopes")
def scopes(
    user: Me,
    parts: ThePartsOf,
    user_id: Whose = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> ScopePage:
    """Scopes, newest first, ended ones too. A role without one holds on the whole site."""
    query = select(RoleScope)
    if user_id is not None:
        query = query.where(RoleScope.user_id == user_id)
    query = newest_first(query, RoleScope.made_us, RoleScope.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        return ScopePage(items=[_scope(row) for row in rows], next_cursor=more)


@router.post("/scopes", status_code=201)
def make(body: NewScope, user: Me, parts: ThePartsOf) -> ScopeAnswer:
    """Say where a role of somebody holds; several are alternatives."""
    scope = Scope(body.site_id, body.room_kind, body.category, body.department, body.session_id)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        user_id = _user(orm, body.username, "username")
        row = business.make_scope(orm, user.who, now, user_id, body.role, scope, body.reason)
        return _scope(row)


@router.post("/scopes/{scope_id}/end")
def end(scope_id: IdPath, body: Ending, user: Me, parts: ThePartsOf) -> ScopeAnswer:
    """End a scope at once. With the last one of a role, the role holds everywhere again."""
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        return _scope(business.end_scope(orm, user.who, now, scope_id, body.reason))


@router.post("/sessions/{session_id}/attestors", status_code=201)
def assign_attestor(
    session_id: IdPath, body: Assignment, user: Me, parts: ThePartsOf
) -> ScopeAnswer:
    """Assign an attestor to a session: without that, attestors see and know of none."""
    now = parts.clock.utc_us()
    scope = Scope(session_id=session_id)
    with parts.database.write() as orm:
        user_id = _user(orm, body.username, "username")
        row = business.make_scope(orm, user.who, now, user_id, Role.ATTESTOR, scope, body.reason)
        return _scope(row)


@router.get("/substitutions")
def substitutions(
    user: Me,
    parts: ThePartsOf,
    user_id: Whose = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> SubstitutionPage:
    """Who stood or stands in for whom, newest first."""
    query = select(Substitution)
    if user_id is not None:
        query = query.where(Substitution.user_id == user_id)
    query = newest_first(query, Substitution.made_us, Substitution.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        return SubstitutionPage(items=[_substitution(row) for row in rows], next_cursor=more)


@router.post("/substitutions", status_code=201)
def substitute(body: NewSubstitution, user: Me, parts: ThePartsOf) -> SubstitutionAnswer:
    """Let somebody have the scopes and turns of a colleague who is away, for a time."""
    with parts.database.write() as orm:
        new = business.NewSubstitution(
            user_id=_user(orm, body.username, "username"),
            absent_id=_user(orm, body.absent, "absent"),
            role=body.role,
            from_us=body.from_,
            until_us=body.until,
            reason=body.reason,
        )
        return _substitution(business.make_substitution(orm, user.who, parts.clock.utc_us(), new))


@router.post("/substitutions/{substitution_id}/end")
def end_substitution(
    substitution_id: IdPath, body: Ending, user: Me, parts: ThePartsOf
) -> SubstitutionAnswer:
    """End a substitution before its time."""
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        return _substitution(
            business.end_substitution(orm, user.who, now, substitution_id, body.reason)
        )


def _user(orm: Orm, username: str, field: str) -> str:
    row: User | None = people.find_user(orm, username)
    if row is None:
        raise InvalidInput("There is no such user.", fields={field: "is not a user"})
    return row.id


def _scope(row: RoleScope) -> ScopeAnswer:
    return ScopeAnswer(
        id=row.id,
        user_id=row.user_id,
        role=row.role,
        site_id=row.site_id,
        room_kind=row.room_kind,
        category=row.category,
        department=row.department,
        session_id=row.session_id,
        reason=row.reason,
        made_at=row.made_us,
        made_by=row.made_by,
        ended_at=row.ended_us,
        ended_by=row.ended_by,
    )


def _substitution(row: Substitution) -> SubstitutionAnswer:
    return SubstitutionAnswer(
        id=row.id,
        user_id=row.user_id,
        absent_id=row.absent_id,
        role=row.role,
        from_=row.from_us,
        until=row.until_us,
        reason=row.reason,
        made_at=row.made_us,
        made_by=row.made_by,
        ended_at=row.ended_us,
        ended_by=row.ended_by,
    )
