"""The audit trail: who did or saw what, when, from where, why."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    MAX_US,
    Answer,
    CursorQuery,
    LimitQuery,
    Printable,
)
from bidwitness.errors import NotFound
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import AuditEntry
from bidwitness.storage.trail.keeping import entry_kept_until
from bidwitness.storage.trail.proving import proof_of
from bidwitness.storage.trail.search import TrailFilter, all_found, found_by, newest_number
from bidwitness.storage.trail.sheets import csv_of

router = APIRouter(prefix="/audit", tags=["audit"])

Filter = Annotated[str | None, Query(max_length=200), Printable]
Instant = Annotated[int | None, Query(ge=0, le=MAX_US)]
Number = Annotated[int, Path(ge=1, le=MAX_US)]


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


class ProvedEntry(AuditAnswer):
    """``unchanged``: whether the log commits to exactly this; nothing while that cannot be said."""

    # Until when it is kept at least; nothing: for good, as it stands now.
    kept_until: int | None
    shard: str | None
    place: int | None
    logged_at: int | None
    unchanged: bool | None


def wished(
    who: Filter = None,
    action: Filter = None,
    subject: Filter = None,
    address: Filter = None,
    allowed: Annotated[bool | None, Query()] = None,
    from_us: Annotated[Instant, Query(alias="from")] = None,
    to: Instant = None,
) -> TrailFilter:
    """What is looked for; in texts ``*`` stands for any characters."""
    return TrailFilter(who, action, subject, address, allowed, from_us, to)


Wished = Annotated[TrailFilter, Depends(wished)]


@router.get("")
def audit(
    user: Me,
    parts: ThePartsOf,
    wish: Wished,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> AuditPage:
    """Audit entries, newest first."""
    table = AuditEntry
    query = newest_first(found_by(wish), table.at_us, table.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        return AuditPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.get("/entries/{number}")
def entry(number: Number, user: Me, parts: ThePartsOf) -> ProvedEntry:
    """One entry, held against the log, and until when it is kept."""
    with parts.database.read() as orm:
        row = orm.get(AuditEntry, number)
        if row is None:
            raise NotFound("There is no such entry.")
        proof = proof_of(orm, parts.settings, row)
        return ProvedEntry(
            **_answer(row).model_dump(),
            kept_until=entry_kept_until(orm, row),
            shard=proof.shard,
            place=proof.place,
            logged_at=proof.logged_us,
            unchanged=proof.unchanged,
        )


@router.get("/csv", response_class=StreamingResponse, responses=gives("text/csv"))
def sheet(user: Me, parts: ThePartsOf, wish: Wished) -> StreamingResponse:
    """All that is found as CSV, newest first, as it stood when it was asked for."""
    with parts.database.write() as orm:
        up_to = newest_number(orm)
        facts = {"filter": wish.given(), "up_to": up_to}
        leave_audit_entry(orm, user.who, "audit.csv", "audit", parts.clock.utc_us(), facts=facts)

    def told() -> Iterator[bytes]:
        yield from csv_of(all_found(parts.database, wish, up_to))

    return StreamingResponse(
        told(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="audit-{up_to}.csv"',
            "Cache-Control": "no-store",
        },
    )


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
