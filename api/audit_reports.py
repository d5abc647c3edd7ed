"""Signed reports of the audit trail: asked for, listed, fetched."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    LimitQuery,
    Reason,
    Short,
    Us,
)
from bidwitness.errors import InvalidInput, NotFound
from bidwitness.storage.derivatives import AUDIT_REPORT
from bidwitness.storage.evidence_report.registered import read_report
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import Derivative
from bidwitness.storage.store import open_store
from bidwitness.storage.trail.report import MOST
from bidwitness.storage.trail.search import TrailFilter, count_found, newest_number
from bidwitness.words import JobState

router = APIRouter(prefix="/audit/reports", tags=["audit-reports"])


class NewReport(Body):
    """What is looked for, as in the search, and what the report is for."""

    who: Short | None = None
    action: Short | None = None
    subject: Short | None = None
    address: Short | None = None
    allowed: bool | None = None
    from_: Annotated[Us | None, Field(alias="from")] = None
    to: Us | None = None
    reason: Reason


class AskedAnswer(Answer):
    job_id: str
    state: JobState
    entries: int


class AuditReportAnswer(Answer):
    id: str
    number: str
    made_at: int
    made_by: str
    reason: str
    entries: int
    # SHA-256 of the facts that are attached, as it stands on each page; of the file.
    digest: str
    sha256: str
    bytes: int
    document: str


class AuditReportPage(Answer):
    items: list[AuditReportAnswer]
    next_cursor: str | None


@router.get("")
def reports(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> AuditReportPage:
    """The reports that were made, newest first."""
    table = Derivative
    query = select(table).where(table.kind == AUDIT_REPORT, table.sha256.is_not(None))
    query = newest_first(query, table.made_us, table.id, cursor, limit)
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "made_us", "id", limit)
        return AuditReportPage(items=[_answer(row) for row in rows], next_cursor=more)


@router.post("", status_code=202)
def new_report(body: NewReport, user: Me, parts: ThePartsOf) -> AskedAnswer:
    """Have a signed report made of what is found now."""
    wish = TrailFilter(
        body.who, body.action, body.subject, body.address, body.allowed, body.from_, body.to
    )
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        entries = count_found(orm, wish, MOST + 1)
        if entries > MOST:
            raise InvalidInput(
                f"More than {MOST} entries are found: narrow the search, or take the CSV."
            )
        payload = {"filter": wish.given(), "up_to": newest_number(orm), "reason": body.reason}
        job = enqueue(orm, AUDIT_REPORT, payload, by=user.username, now_us=now)
        facts = {"filter": wish.given(), "job": job.id}
        leave_audit_entry(
            orm, user.who, "audit_report.request", "audit", now, reason=body.reason, facts=facts
        )
        answer = AskedAnswer(job_id=job.id, state=JobState(job.state), entries=entries)
    parts.hints.tell(answer.job_id)
    return answer


@router.get("/{report_id}/document")
def document(report_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """A report as a signed PDF."""
    with parts.database.read() as orm:
        row = orm.get(Derivative, report_id)
        if row is None or row.kind != AUDIT_REPORT or row.sha256 is None:
            raise NotFound("There is no such report.")
    data, _ = read_report(parts.settings, row, {}, open_store(parts.settings))
    facts = {"report": row.id, "number": row.recipe["number"], "sha256": row.sha256}
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        leave_audit_entry(orm, user.who, "audit_report.fetch", "audit", now, facts=facts)
    name = f"{row.recipe['number']}.pdf"
    return Response(
        data,
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _answer(row: Derivative) -> AuditReportAnswer:
    return AuditReportAnswer(
        id=row.id,
        number=row.recipe["number"],
        made_at=row.made_us,
        made_by=row.made_by,
        reason=row.recipe["reason"],
        entries=row.recipe["entries"],
        digest=row.recipe["digest"],
        sha256=row.sha256 or "",
        bytes=row.bytes or 0,
        document=f"/api/v1/audit/reports/{row.id}/document",
    )
