"""Retention policies: how long footage is kept, and on what legal text that stands."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.schemas import Answer, Body, IdPath, Text
from bidwitness.storage import policies as business
from bidwitness.storage.index.models import RetentionPolicy
from bidwitness.storage.periods import policies_of
from bidwitness.words import ProjectCategory, RoomKind, SessionKind

router = APIRouter(prefix="/policies", tags=["policies"])


class PolicyBody(Body):
    # Of which footage; empty means any.
    room_kind: RoomKind | None = None
    session_kind: SessionKind | None = None
    category: ProjectCategory | None = None
    loop_days: Annotated[int, Field(ge=1, le=3660)] | None = None
    keep_years: Annotated[int, Field(ge=1, le=100)] | None = None
    basis: Text | None = None


class PolicyAnswer(Answer):
    id: str
    room_kind: RoomKind | None
    session_kind: SessionKind | None
    category: ProjectCategory | None
    loop_days: int | None
    keep_years: int | None
    basis: str | None
    changed_at: int
    changed_by: str


class PolicyPage(Answer):
    items: list[PolicyAnswer]
    next_cursor: str | None = None


@router.get("")
def policies(user: Me, parts: ThePartsOf) -> PolicyPage:
    """All policies; there are at most a few hundred."""
    table = RetentionPolicy
    query = select(table).order_by(table.room_kind, table.session_kind, table.category, table.id)
    with parts.database.read() as orm:
        return PolicyPage(items=[_answer(row) for row in orm.scalars(query)])


@router.put("")
def set_policy(body: PolicyBody, user: Me, parts: ThePartsOf) -> PolicyAnswer:
    """Say how long footage of this kind is kept, instead of what was said before. What lets any
    footage go sooner takes several people: see approvals, ``policy.shorten``."""
    new = business.NewPolicy(**body.model_dump())
    with parts.database.write() as orm:
        before = policies_of(orm)
        row = business.set_policy(orm, user.who, parts.clock.utc_us(), new)
        business.refuse_shortening(before, policies_of(orm), parts.settings)
        return _answer(row)


@router.delete("/{policy_id}", status_code=204)
def remove(policy_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """Take a policy back, if no footage goes sooner by it."""
    with parts.database.write() as orm:
        before = policies_of(orm)
        business.remove_policy(orm, user.who, parts.clock.utc_us(), policy_id)
        orm.flush()
        business.refuse_shortening(before, policies_of(orm), parts.settings)


def _answer(row: RetentionPolicy) -> PolicyAnswer:
    return PolicyAnswer(
        id=row.id,
        room_kind=row.room_kind,
        session_kind=row.session_kind,
        category=row.category,
        loop_days=row.loop_days,
        keep_years=row.keep_years,
        basis=row.basis,
        changed_at=row.changed_us,
        changed_by=row.changed_by,
    )
