"""Grants: what several people have agreed to (see ``approvals``), as it stands."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    ID_PATTERN,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    LimitQuery,
    Reason,
)
from bidwitness.api.seeing import check_may_read_about, not_secret_from
from bidwitness.errors import Forbidden, NotFound
from bidwitness.storage import grants as business
from bidwitness.storage.index.models import Grant, Session, User
from bidwitness.storage.knowing import known_sessions
from bidwitness.words import Action, GrantKind, Medium, Role

router = APIRouter(tags=["grants"])

# They give grants, keep their register, or look at both.
KNOW_ALL = frozenset({Role.SECURITY_ADMIN, Role.AUDIT_ADMIN, Role.ARCHIVIST, Role.DIRECTOR})


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
    # When and by whom the supervising department agreed to what is secret still.
    department_at: int | None
    department_by: str | None
    # Whether anybody has to: nobody is asked about what an authority demands.
    department_asked: bool
    stream_ids: list[str] | None
    # How many viewings there are, and how many have been opened.
    views: int | None
    viewed: int
    approval_id: str | None


class GrantPage(Answer):
    items: list[GrantAnswer]
    next_cursor: str | None


@router.get("/grants")
def grants(
    user: Me,
    parts: ThePartsOf,
    session_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> GrantPage:
    """Grants, newest first: all for who gives, keeps or checks them, one's own for others."""
    query = select(Grant)
    if session_id is not None:
        query = query.where(Grant.session_id == session_id)
    query = newest_first(query, Grant.made_us, Grant.id, cursor, limit)
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        if not user.roles & KNOW_ALL:
            query = query.where(_hers(orm, user, now))
        query = query.where(not_secret_from(user, Grant))
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        people = select(User.id, User.username).where(User.id.in_([r.user_id for r in rows]))
        names = {row.id: row.username for row in orm.execute(people)}
        used = business.uses_of(orm, [row.id for row in rows])
        items = [_answer(row, names[row.user_id], used.get(row.id, 0)) for row in rows]
    return GrantPage(items=items, next_cursor=more)


@router.post("/grants/{grant_id}/revoke")
def revoke(grant_id: IdPath, body: Revocation, user: Me, parts: ThePartsOf) -> GrantAnswer:
    """End a right at once."""
    with parts.database.write() as orm:
        _check_known(orm, user, grant_id)
        row = business.revoke_grant(orm, user.who, parts.clock.utc_us(), grant_id, body.reason)
        return _named(orm, row)


@router.post("/grants/{grant_id}/department")
def agree(grant_id: IdPath, user: Me, parts: ThePartsOf) -> GrantAnswer:
    """Agree for the supervising department that what is secret still may be replayed or copied."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        grant = _check_known(orm, user, grant_id)
        try:
            check_may_read_about(orm, user, grant.session_id, now)
        except Forbidden:
            raise NotFound("There is no such grant.") from None
        row = business.agree_to_grant(orm, user.who, now, grant_id)
        return _named(orm, row)


def _hers(orm: Orm, user: CurrentUser, now: int) -> ColumnElement[bool]:
    """Give the condition on grants: one's own, and, for supervisors, over sessions of theirs."""
    own = Grant.user_id == user.id
    if Role.SUPERVISOR not in user.roles:
        return own
    known = known_sessions(orm, user.id, now)
    if known is None:
        return true()
    return or_(own, Grant.session_id.in_(select(Session.id).where(known)))


def _check_known(orm: Orm, user: CurrentUser, grant_id: str) -> Grant:
    """Give a grant. Raises ``NotFound``, also for what is confidential and not hers to know."""
    query = select(Grant).where(Grant.id == grant_id, not_secret_from(user, Grant))
    grant = orm.scalars(query).first()
    if grant is None:
        raise NotFound("There is no such grant.")
    return grant


def _named(orm: Orm, row: Grant) -> GrantAnswer:
    used = business.uses_of(orm, [row.id]).get(row.id, 0)
    return _answer(row, orm.get_one(User, row.user_id).username, used)


def _answer(row: Grant, username: str, viewed: int) -> GrantAnswer:
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
        department_at=row.department_us,
        department_by=row.department_by,
        department_asked=row.kind is GrantKind.REQUEST,
        stream_ids=row.stream_ids,
        views=row.views,
        viewed=viewed,
        approval_id=row.approval_id,
    )
