"""The audit trail: who did or saw what, when, from where, why."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select

from bidwitness.api.deps import Admin, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    MAX_US,
    Answer,
    CursorQuery,
    LimitQuery,
    Printable,
)
from bidwitness.storage.index.models import AuditEntry

router = APIRouter(prefix="/audit", tags=["audit"])

Filter = Annotated[str | None, Query(max_length=200), Printable]
Instant = Annotated[int | None, Query(ge=0, le=MAX_US)]


class AuditAnswer(Answer):
    id: int
    at: int
    who: str
    user_id: str | None
    action: str
    subject: str
    allowed: bool
    address: str | None
    reason: str | None
    facts: dict[str, Any] | None


class AuditPage(Answer):
    items: list[AuditAnswer]
    next_cursor: str | None


@router.get("")
def audit(
    user: Admin,
    parts: ThePartsOf,
    who: Filter = None,
    action: Filter = None,
    subject: Filter = None,
    from_us: Annotated[Instant, Query(alias="from")] = None,
    to: Instant = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> AuditPage:
    """Audit entries, newest first."""
    table = AuditEntry
    query = select(table)
    given = ((table.who, who), (table.action, action), (table.subject, subject))
    for column, value in given:
        if value is not None:
            query = query.where(column == value)
    if from_us is not None:
        query = query.where(table.at_us >= from_us)
    if to is not None:
        query = query.where(table.at_us < to)
    query = newest_first(query, table.at_us, table.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        return AuditPage(items=[_answer(row) for row in rows], next_cursor=more)


def _answer(row: AuditEntry) -> AuditAnswer:
    return AuditAnswer(
        id=row.id,
        at=row.at_us,
        who=row.who,
        user_id=row.user_id,
        action=row.action,
        subject=row.subject,
        allowed=row.allowed,
        address=row.address,
        reason=row.reason,
        facts=row.facts,
    )
