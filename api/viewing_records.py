"""Records of viewings (回放查看笔录): asked for by who watched, made in the background, fetched."""

import hashlib

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.schemas import Answer, Body, IdPath, IdText
from bidwitness.errors import Conflict, DamageFound, NotFound
from bidwitness.player.viewing.making import NOTHING_SENT, record_paths
from bidwitness.storage.derivatives import VIEWING_RECORD
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import AuditEntry, Derivative, Job, Playback
from bidwitness.storage.watched import SEEN
from bidwitness.words import JobState, Role

router = APIRouter(prefix="/viewing-records", tags=["viewing-records"])

UNDER_WAY = (JobState.QUEUED, JobState.RUNNING)


class ViewingRecordBody(Body):
    playback_id: IdText


class FilesAnswer(Answer):
    """Of how many files reading their bytes again has shown what."""

    ok: int
    altered: int
    missing: int
    unread: int
    open: int


class ViewingRecordAnswer(Answer):
    """``document`` and ``facts``: where both are, once it is done and until it expires."""

    id: str
    state: JobState
    playback_id: str
    done: int
    total: int
    error: str | None
    number: str | None = None
    made_at: int | None = None
    # SHA-256 of the facts, as it stands on each page; of the document.
    digest: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    files: FilesAnswer | None = None
    expires_at: int | None = None
    document: str | None = None
    facts: str | None = None


@router.post("", status_code=202)
def new_record(body: ViewingRecordBody, user: Me, parts: ThePartsOf) -> ViewingRecordAnswer:
    """Ask for the signed record of a viewing of one's own: what was sent, and whether those bytes
    still are what was recorded. One that is being made already is given again."""
    now = parts.clock.utc_us()
    subject = f"playback:{body.playback_id}"
    action = "viewing_record.request"
    with parts.database.read() as orm:
        row = orm.get(Playback, body.playback_id)
        hers = row is not None and _may_know(user, row.user_id)
        noted = select(AuditEntry.id).where(
            AuditEntry.subject == subject, AuditEntry.action == SEEN
        )
        sent = hers and orm.scalar(noted.limit(1)) is not None
        present = _under_way(orm, user, body.playback_id) if sent else None
    if row is None:
        raise NotFound("There is no such playback.")
    if not hers or not sent:
        why = NOTHING_SENT if hers else "There is no such playback."
        with parts.database.write() as orm:
            leave_audit_entry(orm, user.who, action, subject, now, allowed=False, reason=why)
        raise Conflict(why) if hers else NotFound(why)
    if present is not None:
        return _answer(present, None)
    payload = {
        "playback_id": row.id,
        "session_id": row.session_id,
        "user_id": row.user_id,
        "asked_by": user.id,
    }
    with parts.database.write() as orm:
        job = enqueue(orm, VIEWING_RECORD, payload, by=user.username, now_us=now)
        leave_audit_entry(orm, user.who, action, subject, now, facts={"job": job.id})
        answer = _answer(job, None)
    parts.hints.tell(answer.id)
    return answer


@router.get("/{record_id}")
def record(record_id: IdPath, user: Me, parts: ThePartsOf) -> ViewingRecordAnswer:
    """How far a record is, and where it can be fetched."""
    with parts.database.read() as orm:
        return _answer(*_own(orm, user, record_id), parts.clock.utc_us())


@router.get("/{record_id}/document", response_class=Response, responses=gives("application/pdf"))
def document(record_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The record as a signed PDF."""
    return _fetched(parts, user, record_id, as_facts=False)


@router.get("/{record_id}/facts", response_class=Response, responses=gives("application/json"))
def facts(record_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The same facts as JSON: the very bytes that are attached to the PDF."""
    return _fetched(parts, user, record_id, as_facts=True)


def _fetched(parts: Parts, user: CurrentUser, record_id: str, *, as_facts: bool) -> Response:
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        job, made = _own(orm, user, record_id)
    if made is None or made.sha256 is None:
        raise Conflict(f"The record is {job.state}: there is no document yet.")
    expired = made.path is None or (made.expires_us is not None and now >= made.expires_us)
    try:
        if expired:
            raise FileNotFoundError
        pdf, beside = record_paths(parts.settings, str(made.path))
        data = (beside if as_facts else pdf).read_bytes()
    except FileNotFoundError:
        raise NotFound("The record has expired. Ask for it again.") from None
    wanted = made.recipe["digest"] if as_facts else made.sha256
    if hashlib.sha256(data).hexdigest() != wanted:
        raise DamageFound("The record is not what was made. Ask for it again.")
    kind, suffix = ("application/json", "json") if as_facts else ("application/pdf", "pdf")
    number = made.recipe["number"]
    said = {"record": made.id, "number": number, "sha256": wanted, "form": suffix}
    with parts.database.write() as orm:
        subject = f"playback:{made.recipe['playback_id']}"
        leave_audit_entry(orm, user.who, "viewing_record.fetch", subject, now, facts=said)
    name = f"{number}.{suffix}"
    return Response(
        data,
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _may_know(user: CurrentUser, viewer_id: str) -> bool:
    """Say whether somebody may have the record of a person's viewing: it is her own, or she reads
    the audit trail, of which the record is a part in other words."""
    return viewer_id == user.id or Role.AUDIT_ADMIN in user.roles


def _under_way(orm: Orm, user: CurrentUser, playback_id: str) -> Job | None:
    query = select(Job).where(
        Job.kind == VIEWING_RECORD, Job.created_by == user.username, Job.state.in_(UNDER_WAY)
    )
    found = orm.scalars(query.order_by(Job.created_us, Job.id))
    return next((job for job in found if job.payload.get("playback_id") == playback_id), None)


def _own(orm: Orm, user: CurrentUser, record_id: str) -> tuple[Job, Derivative | None]:
    """Give a record that the user asked for, or may know as a reader of the trail."""
    job = orm.get(Job, record_id)
    known = job is not None and job.kind == VIEWING_RECORD
    if job is None or not known or not _may_have(user, job):
        raise NotFound("There is no such record.")
    made = orm.scalars(select(Derivative).where(Derivative.job_id == job.id)).first()
    return job, made


def _may_have(user: CurrentUser, job: Job) -> bool:
    # A record that somebody else has had made about her is not hers to know of.
    hers = job.payload.get("asked_by") == user.id and job.payload.get("user_id") == user.id
    return hers or Role.AUDIT_ADMIN in user.roles


def _answer(job: Job, made: Derivative | None, now_us: int = 0) -> ViewingRecordAnswer:
    answer = ViewingRecordAnswer(
        id=job.id,
        state=JobState(job.state),
        playback_id=job.payload["playback_id"],
        done=job.done,
        total=job.total,
        error=job.error,
    )
    if made is None or made.sha256 is None or job.state != JobState.DONE:
        return answer
    base = f"/api/v1/viewing-records/{job.id}"
    there = made.path is not None and now_us < (made.expires_us or 0)
    return answer.model_copy(
        update={
            "number": made.recipe["number"],
            "made_at": made.made_us,
            "digest": made.recipe["digest"],
            "sha256": made.sha256,
            "bytes": made.bytes,
            "files": FilesAnswer(**made.recipe["files"]),
            "expires_at": made.expires_us,
            "document": f"{base}/document" if there else None,
            "facts": f"{base}/facts" if there else None,
        }
    )
