"""Evidence reports of a session: which there are, one more, and each as a document."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.schemas import Answer, IdPath
from bidwitness.api.seeing import check_may_read_about
from bidwitness.errors import Conflict, Forbidden, NotFound
from bidwitness.session import Verb, check_may
from bidwitness.storage.derivatives import EVIDENCE_REPORT, demand_report
from bidwitness.storage.evidence_report.registered import objects_of, read_report, reports_of
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Derivative, Session
from bidwitness.storage.store import open_store
from bidwitness.words import JobState

router = APIRouter(prefix="/sessions/{session_id}/evidence-reports", tags=["sessions"])


class ReportAnswer(Answer):
    """``root``: the leaf hash of the session's record number ``record``, its last at that time."""

    id: str
    number: str
    made_at: int
    made_by: str
    record: int
    root: str
    digest: str
    bytes: int | None
    sha256: str | None
    # Which authority has stamped the time of its signature; nothing if none did.
    stamped_by: str | None
    document: str


class ReportsAnswer(Answer):
    items: list[ReportAnswer]


class AskedAnswer(Answer):
    job_id: str
    state: JobState


@router.get("")
def reports(session_id: IdPath, user: Me, parts: ThePartsOf) -> ReportsAnswer:
    """The reports that were made of a session, oldest first."""
    _check(parts, user, session_id)
    with parts.database.read() as orm:
        return ReportsAnswer(items=[_answer(row) for row in reports_of(orm, session_id)])


@router.post("", status_code=202)
def new_report(session_id: IdPath, user: Me, parts: ThePartsOf) -> AskedAnswer:
    """Have a report made of what is known now. It gets a number of its own; none is replaced."""
    now = parts.clock.utc_us()
    with _audited(parts, user, "evidence_report.request", session_id):
        check_may(Verb.VERIFY, user.roles)
        with parts.database.read() as orm:
            _check_sealed(orm, session_id)
    with parts.database.write() as orm:
        job = demand_report(orm, session_id, by=user.username, now_us=now)
        leave_audit_entry(
            orm,
            user.who,
            "evidence_report.request",
            f"session:{session_id}",
            now,
            facts={"job": job.id},
        )
        answer = AskedAnswer(job_id=job.id, state=JobState(job.state))
    parts.hints.tell(answer.job_id)
    return answer


@router.get("/{report_id}/document", response_class=Response, responses=gives("application/pdf"))
def document(session_id: IdPath, report_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """A report as a signed PDF."""
    with _audited(parts, user, "evidence_report.fetch", session_id):
        _check(parts, user, session_id)
    with parts.database.read() as orm:
        objects = objects_of(orm, report_id)
        row = orm.get(Derivative, report_id)
        made = row is not None and (row.kind, row.session_id) == (EVIDENCE_REPORT, session_id)
        if row is None or not made or row.sha256 is None:
            raise NotFound("There is no such report.")
    data, _ = read_report(parts.settings, row, objects, open_store(parts.settings))
    with parts.database.write() as orm:
        leave_audit_entry(
            orm,
            user.who,
            "evidence_report.fetch",
            f"session:{session_id}",
            parts.clock.utc_us(),
            facts={"report": row.id, "number": row.recipe["number"], "sha256": row.sha256},
        )
    name = f"{row.recipe['number']}.pdf"
    return Response(
        data,
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )


@contextmanager
def _audited(parts: Parts, user: CurrentUser, action: str, session_id: str) -> Iterator[None]:
    """Leave an audit entry of what is refused: who wants what nobody gives them is worth knowing."""
    try:
        yield
    except (Forbidden, NotFound, Conflict) as error:
        with parts.database.write() as orm:
            leave_audit_entry(
                orm,
                user.who,
                action,
                f"session:{session_id}",
                parts.clock.utc_us(),
                allowed=False,
                reason=error.detail,
            )
        raise


def _check_sealed(orm: Orm, session_id: str) -> None:
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    if session.sealed_us is None:
        raise Conflict("The session is not sealed yet: its evidence report follows the seal.")


def _check(parts: Parts, user: CurrentUser, session_id: str) -> None:
    """Raise ``NotFound`` unless the user may read about the session."""
    with parts.database.read() as orm:
        try:
            check_may_read_about(orm, user, session_id, parts.clock.utc_us())
        except Forbidden:
            # Whoever may not know of a session must not learn that there is one.
            raise NotFound("There is no such session.") from None


def _answer(row: Derivative) -> ReportAnswer:
    return ReportAnswer(
        id=row.id,
        number=row.recipe["number"],
        made_at=row.made_us,
        made_by=row.made_by,
        record=row.recipe["record"],
        root=row.recipe["root"],
        digest=row.recipe["digest"],
        bytes=row.bytes,
        sha256=row.sha256,
        stamped_by=row.recipe.get("stamped_by"),
        document=f"/api/v1/sessions/{row.session_id}/evidence-reports/{row.id}/document",
    )
