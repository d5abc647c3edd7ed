"""Copies handed out: asked for, made in the background, fetched by whoever asked."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf, still_signed_in
from bidwitness.api.openapi import gives
from bidwitness.api.schemas import Answer, Body, IdPath, IdText, Reason, Us
from bidwitness.errors import Conflict, Forbidden, NotFound, TooMany
from bidwitness.player.export import ExportWish, Share, export_path, share_of, still_covers
from bidwitness.player.mosaics import tiled
from bidwitness.player.playbacks import MAX_STREAMS
from bidwitness.player.tasks import EXPORT, wish_of
from bidwitness.player.watermarked import filmed
from bidwitness.rights import form_of_copy
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import Derivative, Grant, Job
from bidwitness.words import CopyForm, JobState, Medium

router = APIRouter(prefix="/exports", tags=["exports"])
logger = logging.getLogger(__name__)

PIECE = 1 << 20
# So many of one's own are listed, out of so many newest ones.
LISTED, LOOKED_AT = 50, 500
# A package takes minutes to fetch: whether it may still be had is asked as often as of live.
RECHECK_US = 3_000_000
# So many copies of one person, and of all, may be unfinished.
MAX_OWN, MAX_WAITING = 10, 100
QUEUE_AGAIN_S = 60


class ExportBody(Body):
    session_id: IdText
    from_us: Us | None = Field(default=None, alias="from")
    to_us: Us | None = Field(default=None, alias="to")
    stream_ids: list[IdText] = Field(default_factory=list, max_length=MAX_STREAMS)
    media: list[Medium] = Field(default_factory=lambda: list(Medium), min_length=1, max_length=3)
    grant_id: IdText | None = None
    reason: Reason
    # Not named: what leaves the centre is watermarked, the rest is a package.
    form: CopyForm | None = None
    # Of a mosaic: the stream whose sound alone is heard. Not named: all of it, mixed.
    sound: IdText | None = None


class ExportAnswer(Answer):
    id: str
    state: JobState
    session_id: str
    form: CopyForm
    done: int
    total: int
    error: str | None
    bytes: int | None = None
    sha256: str | None = None
    expires_at: int | None = None
    package: str | None = None


class ExportList(Answer):
    items: list[ExportAnswer]


@router.get("")
def exports(session_id: Annotated[IdText, Query()], user: Me, parts: ThePartsOf) -> ExportList:
    """One's own copies of a session, the newest first; of those that expired, the row alone."""
    own = (
        select(Job)
        .where(Job.kind == EXPORT, Job.created_by == user.username)
        .order_by(Job.created_us.desc(), Job.id)
        .limit(LOOKED_AT)
    )
    with parts.database.read() as orm:
        jobs = [
            job
            for job in orm.scalars(own)
            if job.payload.get("session_id") == session_id and job.payload.get("user_id") == user.id
        ][:LISTED]
        ids = [job.id for job in jobs]
        made = {
            row.job_id: row
            for row in orm.scalars(select(Derivative).where(Derivative.job_id.in_(ids)))
        }
        return ExportList(items=[_answer(job, made.get(job.id)) for job in jobs])


@router.post("", status_code=202)
def new_export(body: ExportBody, user: Me, parts: ThePartsOf) -> ExportAnswer:
    """Ask for a copy of a session, or of a part of it: its evidence package, or films."""
    wish = ExportWish(
        session_id=body.session_id,
        reason=body.reason,
        from_us=body.from_us,
        to_us=body.to_us,
        stream_ids=tuple(dict.fromkeys(body.stream_ids)),
        media=tuple(dict.fromkeys(body.media)),
        grant_id=body.grant_id,
        sound=body.sound,
    )
    now = parts.clock.utc_us()
    with _audited(parts, user, "export.request", wish), parts.database.read() as orm:
        share = share_of(orm, user.id, wish, now)
        wish = replace(wish, form=body.form or _usual_form(orm, user, share))
    if wish.form is CopyForm.WATERMARKED:
        filmed(share)
    if wish.form is CopyForm.MOSAIC:
        tiled(share, wish.sound)
    payload = {
        **body.model_dump(mode="json", by_alias=False),
        "form": wish.form.value,
        "user_id": user.id,
        "address": user.address,
    }
    with parts.database.write() as orm:
        _check_queue(orm, user)
        job = enqueue(orm, EXPORT, payload, by=user.username, now_us=now)
        leave_audit_entry(
            orm,
            user.who,
            "export.request",
            f"session:{wish.session_id}",
            now,
            reason=wish.reason,
            facts={
                "job": job.id,
                "form": wish.form,
                "chosen": body.form is not None,
                "streams": {s.view.stream_id: list(s.permissions) for s in share.streams},
            },
        )
        answer = _answer(job, None)
    parts.hints.tell(answer.id)
    return answer


def _check_queue(orm: Orm, user: CurrentUser) -> None:
    """Raise ``TooMany`` while too many copies wait or are made."""
    unfinished = (JobState.QUEUED, JobState.RUNNING)
    waiting = select(func.count()).where(Job.kind == EXPORT, Job.state.in_(unfinished))
    own = orm.scalar(waiting.where(Job.created_by == user.username)) or 0
    if own >= MAX_OWN:
        raise TooMany(
            f"{own} copies of yours are not done yet: wait for one, or stop one.",
            retry_after_s=QUEUE_AGAIN_S,
        )
    if (orm.scalar(waiting) or 0) >= MAX_WAITING:
        raise TooMany(
            "Too many copies are waiting to be made. Ask again later.",
            retry_after_s=QUEUE_AGAIN_S,
        )


def _usual_form(orm: Orm, user: CurrentUser, share: Share) -> CopyForm:
    kinds = orm.scalars(select(Grant.kind).where(Grant.id.in_(share.grants)))
    return form_of_copy(user.roles, kinds, {one for s in share.streams for one in s.permissions})


@router.get("/{export_id}")
def export(export_id: IdPath, user: Me, parts: ThePartsOf) -> ExportAnswer:
    """How far an export of one's own is, and where its package is."""
    with parts.database.read() as orm:
        return _answer(*_own(orm, user, export_id))


@router.get("/{export_id}/package", response_class=Response, responses=gives("application/zip"))
def package(export_id: IdPath, user: Me, parts: ThePartsOf) -> StreamingResponse:
    """The package, as long as it stands and everything in it may still be had."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        job, made = _own(orm, user, export_id)
    wish = wish_of(job.payload)
    if made is None:
        raise Conflict(f"The export is {job.state}: there is no package yet.")
    path = _path(parts, job, made, now)
    with _audited(parts, user, "export.fetch", wish), parts.database.read() as orm:
        if not still_covers(share_of(orm, user.id, wish, now), made.recipe["spans"]):
            raise Forbidden("Your right to what is in this package has ended.")
    with parts.database.write() as orm:
        leave_audit_entry(
            orm,
            user.who,
            "export.fetch",
            f"session:{wish.session_id}",
            now,
            facts={"job": job.id, "sha256": made.sha256},
        )
    kind = "" if wish.form is CopyForm.PACKAGE else f"-{wish.form}"
    name = f"bidwitness-{wish.session_id}-{job.id}{kind}.zip"
    return StreamingResponse(
        while_allowed(parts, user, path, lambda: still_hers(parts, user, wish, made)),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(path.stat().st_size),
        },
    )


def still_hers(parts: Parts, user: CurrentUser, wish: ExportWish, made: Derivative) -> bool:
    """Say whether everything in a package may still be had, by a login that still stands."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        if not still_signed_in(parts, orm, user, now):
            return False
        try:
            return still_covers(share_of(orm, user.id, wish, now), made.recipe["spans"])
        except Forbidden:
            return False


def while_allowed(
    parts: Parts, user: CurrentUser, path: Path, still: Callable[[], bool]
) -> Iterator[bytes]:
    """Give a file piece by piece; it breaks off once the right to it has ended.

    Raises ``Forbidden`` then: fewer bytes than were announced are no whole package to anybody.
    """
    asked = parts.clock.monotonic_us()
    with path.open("rb") as file:
        while data := file.read(PIECE):
            now = parts.clock.monotonic_us()
            if now - asked >= RECHECK_US:
                if not still():
                    logger.warning(
                        "a package was broken off", extra={"facts": {"who": user.username}}
                    )
                    raise Forbidden("Your right to what is in this package has ended.")
                asked = now
            yield data


def _path(parts: Parts, job: Job, made: Derivative, now: int) -> Path:
    path = export_path(parts.settings, job.id)
    if made.expires_us is not None and now >= made.expires_us:
        path.unlink(missing_ok=True)
    if not path.is_file():
        raise NotFound("The package has expired. Ask for it again.")
    return path


def _own(orm: Orm, user: CurrentUser, export_id: str) -> tuple[Job, Derivative | None]:
    job = orm.get(Job, export_id)
    if job is None or job.kind != EXPORT or job.payload.get("user_id") != user.id:
        raise NotFound("There is no such export.")
    made = orm.scalars(select(Derivative).where(Derivative.job_id == job.id)).first()
    return job, made


@contextmanager
def _audited(parts: Parts, user: CurrentUser, action: str, wish: ExportWish) -> Iterator[None]:
    """Leave an entry of a refusal. The database's own transactions stay outside of it."""
    try:
        yield
    except Forbidden as error:
        with parts.database.write() as orm:
            leave_audit_entry(
                orm,
                user.who,
                action,
                f"session:{wish.session_id}",
                parts.clock.utc_us(),
                allowed=False,
                reason=wish.reason,
                facts={"why": error.detail},
            )
        raise


def _answer(job: Job, made: Derivative | None) -> ExportAnswer:
    fetched = made is not None and made.path is not None and job.state == JobState.DONE
    return ExportAnswer(
        id=job.id,
        state=JobState(job.state),
        session_id=job.payload["session_id"],
        form=wish_of(job.payload).form,
        done=job.done,
        total=job.total,
        error=job.error,
        bytes=made.bytes if made else None,
        sha256=made.sha256 if made else None,
        expires_at=made.expires_us if made else None,
        package=f"/api/v1/exports/{job.id}/package" if fetched else None,
    )
