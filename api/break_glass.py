"""Break-glass: a supervisor sees at once what she is not on duty for; others say later whether rightly."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import Me, Parts, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    IdText,
    LimitQuery,
    Reason,
)
from bidwitness.api.seeing import check_may_read_about
from bidwitness.break_glass import TOLD
from bidwitness.errors import BidWitnessError, Forbidden, NotFound
from bidwitness.storage import break_glass as business
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import BreakGlass, Grant, User
from bidwitness.storage.register import row_of_grant
from bidwitness.storage.rights import rights_policy
from bidwitness.words import Medium

router = APIRouter(prefix="/break-glass", tags=["break-glass"])


class TakeBody(Body):
    session_id: IdText
    reason: Reason


class ReviewBody(Body):
    justified: bool
    opinion: Reason


class UseAnswer(Answer):
    """``id``: of the grant. ``opinion``: of whoever reviewed it."""

    id: str
    username: str
    name: str
    session_id: str
    session: str
    media: list[Medium]
    reason: str
    taken_at: int
    until: int
    revoked_at: int | None
    # Where the register has it, with what was really watched.
    register_id: int | None
    register_no: str | None
    due_at: int
    overdue: bool
    reviewed_at: int | None
    reviewed_by: str | None
    justified: bool | None
    opinion: str | None


class UsePage(Answer):
    """``allowed``: whether the centre lets supervisors take it; how long, reviewed within how many
    working days."""

    allowed: bool
    minutes: int
    review_days: int
    items: list[UseAnswer]
    next_cursor: str | None


@router.get("")
def uses(
    user: Me,
    parts: ThePartsOf,
    due: Annotated[bool | None, Query()] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> UsePage:
    """Uses, newest first: all for who is told of them, one's own for supervisors.

    ``due=true``: those that wait for their review.
    """
    query = select(Grant).join(BreakGlass, BreakGlass.grant_id == Grant.id)
    if not user.roles & TOLD:
        query = query.where(Grant.user_id == user.id)
    if due is not None:
        query = query.where(BreakGlass.reviewed_us.is_(None) == due)
    query = newest_first(query, Grant.made_us, Grant.id, cursor, limit)
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        items = [_answer(orm, row, orm.get_one(BreakGlass, row.id), now) for row in rows]
        allowed = rights_policy(orm).break_glass
    terms = _terms(parts)
    return UsePage(
        allowed=allowed,
        minutes=terms.minutes,
        review_days=terms.review_days,
        items=items,
        next_cursor=more,
    )


@router.post("", status_code=201)
def take(body: TakeBody, user: Me, parts: ThePartsOf) -> UseAnswer:
    """See a running session at once, for a short time; others are told at once."""
    now = parts.clock.utc_us()
    try:
        with parts.database.write() as orm:
            try:
                check_may_read_about(orm, user, body.session_id, now)
            except Forbidden:
                raise NotFound("There is no such session.") from None
            row = business.take(
                orm, user.who, user.id, body.session_id, body.reason, _terms(parts), now
            )
            return _answer(orm, orm.get_one(Grant, row.grant_id), row, now)
    except BidWitnessError as error:
        with parts.database.write() as orm:
            leave_audit_entry(
                *(orm, user.who, "break_glass.take", f"session:{body.session_id}", now),
                allowed=False,
                reason=body.reason,
                facts={"why": error.detail},
            )
        raise


@router.post("/{grant_id}/review")
def review(grant_id: IdPath, body: ReviewBody, user: Me, parts: ThePartsOf) -> UseAnswer:
    """Say afterwards whether it was justified. Once, by somebody of another role."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.review(
            *(orm, user.who, now, grant_id),
            justified=body.justified,
            opinion=body.opinion,
        )
        return _answer(orm, orm.get_one(Grant, grant_id), row, now)


def _terms(parts: Parts) -> business.Terms:
    settings = parts.settings
    return business.Terms(settings.break_glass_minutes, settings.break_glass_review_days)


def _answer(orm: Orm, grant: Grant, row: BreakGlass, now_us: int) -> UseAnswer:
    taker = orm.get_one(User, grant.user_id)
    entry = row_of_grant(orm, grant.id)
    session_id = grant.session_id or ""
    return UseAnswer(
        id=grant.id,
        username=taker.username,
        name=taker.name,
        session_id=session_id,
        session=business.name_of(orm, session_id),
        media=grant.media,
        reason=grant.reason,
        taken_at=grant.made_us,
        until=grant.expires_us or grant.made_us,
        revoked_at=grant.revoked_us,
        register_id=entry.id if entry else None,
        register_no=entry.number if entry else None,
        due_at=row.due_us,
        overdue=row.reviewed_us is None and row.due_us <= now_us,
        reviewed_at=row.reviewed_us,
        reviewed_by=row.reviewed_by,
        justified=row.justified,
        opinion=row.opinion,
    )
