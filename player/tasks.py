"""The jobs of this folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Orm

from bidwitness.claims import FOREVER
from bidwitness.errors import NotFound, StorageFull
from bidwitness.intervals import Interval
from bidwitness.player.export import (
    ExportWish,
    PackageSources,
    Share,
    export_path,
    package_info,
    share_of,
)
from bidwitness.player.thumbnails import (
    PER_SHEET,
    SheetMaker,
    own_footage,
    row_of,
    step_us,
    write_sheet,
)
from bidwitness.player.watermarked import FilmMaker, Recipient
from bidwitness.storage.derivatives import THUMBNAILS, VIEWING_RECORD, WATERMARKED
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.package import write_package
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Derivative, User
from bidwitness.storage.jobs import JobRun, job_kind
from bidwitness.storage.register import enter_copy
from bidwitness.storage.sights import person_of
from bidwitness.words import CopyForm, Medium

EXPORT = "export"
# A package is to be fetched soon: it is a copy outside of everything that guards the footage.
EXPIRY_US = 7 * 86_400_000_000
PROGRESS_BYTES = 32 * 1024 * 1024


@job_kind(EXPORT)
def export(run: JobRun) -> Mapping[str, object]:
    """Write the package of a session with what its requester may have at this moment."""
    wish = wish_of(run.payload)
    user_id = str(run.payload["user_id"])
    now = run.clock.utc_us()
    with run.database.read() as orm:
        share = share_of(orm, user_id, wish, now)
        info = package_info(orm, run.settings, wish, now)
    target = export_path(run.settings, run.id)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if wish.form is CopyForm.WATERMARKED:
        return _watermarked(run, wish, share, target, now)
    sources = PackageSources(run.database, open_footage(run.settings, run.clock))
    package = write_package(
        target,
        info,
        session_record_lines=sources.session_lines(wish.session_id),
        streams=sources.streams(wish.session_id, share),
        log_files=sources.log_files(run.settings, wish.session_id, share),
        reports=sources.reports(run.settings, wish, share),
        on_bytes=_Progress(run, sources.size_of(wish.session_id, share)),
    )
    run.check()
    names = tuple(f"{s.view.room} {s.view.camera} {s.view.role.zh}" for s in share.streams)
    kept = Kept(wish, share, package.path, package.sha256, names, {"package": "bagit-1"})
    with run.database.write() as orm:
        derivative = _keep(orm, run, user_id, kept, now)
        return {
            "derivative": derivative.id,
            "bytes": derivative.bytes,
            "sha256": derivative.sha256,
            "files": package.payload_files,
        }


def _watermarked(
    run: JobRun, wish: ExportWish, share: Share, target: Path, now: int
) -> Mapping[str, object]:
    """Write the films that say whose they are, with what they were made from."""
    user_id = str(run.payload["user_id"])
    with run.database.read() as orm:
        user = orm.get_one(User, user_id)
        recipient = Recipient(
            id=run.id,
            name=user.name,
            username=user.username,
            department=person_of(orm, user_id, now).department,
            address=str(run.payload.get("address") or ""),
            at_us=now,
            session=wish.session_id,
            grants=share.grants,
            reason=wish.reason,
        )
    footage = open_footage(run.settings, run.clock)
    folder = target.with_suffix(".work")
    made = FilmMaker(run.database, footage, folder, recipient, run.progress).make(share, target)
    run.check()
    films = made.record["files"]
    names = tuple(f"{film['room']} {film['camera']} {film['role'].zh}" for film in films)
    kept = Kept(wish, share, made.path, made.sha256, names, {"record": made.record})
    with run.database.write() as orm:
        derivative = _keep(orm, run, user_id, kept, now)
        return {
            "derivative": derivative.id,
            "bytes": derivative.bytes,
            "sha256": derivative.sha256,
            "files": len(made.record["files"]),
        }


@job_kind(THUMBNAILS)
def thumbnails(run: JobRun) -> Mapping[str, object]:
    """Make the sheets of thumbnails of one stream of a session; each can be had once it is made."""
    session_id, stream_id = str(run.payload["session_id"]), str(run.payload["stream_id"])
    whole, permission = own_footage(run.database, session_id, stream_id)
    if whole.end == FOREVER:
        raise NotFound("The session still records: its thumbnails are made when it has ended.")
    footage = open_footage(run.settings, run.clock)
    maker = SheetMaker(run.database, footage, stream_id, permission)
    step = step_us(whole.duration)
    stride = step * PER_SHEET
    starts = range(whole.start, whole.end, stride)
    with run.database.write() as orm:
        # An attempt that was killed may have made some.
        orm.execute(delete(Derivative).where(Derivative.job_id == run.id))
    made = 0
    for place, start in enumerate(starts):
        sheet = maker.sheet(Interval(start, min(start + stride, whole.end)), step)
        run.progress(place + 1, len(starts))
        if sheet is None:
            continue
        name = f"{run.id}-{place}.jpg"
        try:
            write_sheet(run.settings.thumbnails, name, sheet)
        except OSError as error:
            raise StorageFull(f"A sheet of thumbnails cannot be written: {error}.") from error
        row = row_of(sheet, name, step, run.clock.utc_us())
        row.session_id, row.stream_id, row.job_id = session_id, stream_id, run.id
        row.made_by = run.by
        with run.database.write() as orm:
            orm.add(row)
        made += len(sheet.tiles)
    facts = {"stream": stream_id, "pictures": made, "job": run.id}
    with run.database.write() as orm:
        now = run.clock.utc_us()
        who = Who("player.thumbnails")
        leave_audit_entry(orm, who, "thumbnails.made", f"session:{session_id}", now, facts=facts)
    return {"pictures": made}


@job_kind(VIEWING_RECORD)
def viewing_record(run: JobRun) -> Mapping[str, object]:
    """Make and sign the record of a viewing, with what its files' bytes are now."""
    # Here: whoever only queues the job needs none of what makes it.
    from bidwitness.player.viewing.making import make_viewing_record

    return make_viewing_record(run)


def wish_of(payload: Mapping[str, Any]) -> ExportWish:
    """Read an export's wish from its job."""
    return ExportWish(
        session_id=payload["session_id"],
        reason=payload["reason"],
        from_us=payload["from_us"],
        to_us=payload["to_us"],
        stream_ids=tuple(payload["stream_ids"]),
        media=tuple(Medium(medium) for medium in payload["media"]),
        grant_id=payload["grant_id"],
        form=CopyForm(payload.get("form", CopyForm.PACKAGE)),
    )


class _Progress:
    """Says now and then how many bytes have been written, and hears of a cancelled job."""

    def __init__(self, run: JobRun, total: int) -> None:
        self._run, self._total = run, total
        self._done = self._said = 0

    def __call__(self, count: int) -> None:
        self._done += count
        if self._done - self._said >= PROGRESS_BYTES:
            self._said = self._done
            self._run.progress(min(self._done, self._total), self._total)


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy as it was written. ``recipe``: what is kept of how it was made."""

    wish: ExportWish
    share: Share
    path: Path
    sha256: str
    # What is handed out, in words.
    names: tuple[str, ...]
    recipe: Mapping[str, object]

    def as_file(self) -> dict[str, JsonValue]:
        """Name it as the register does."""
        return {
            "name": self.path.name,
            "bytes": self.path.stat().st_size,
            "sha256": self.sha256,
        }


def _keep(orm: Orm, run: JobRun, user_id: str, kept: Kept, now: int) -> Derivative:
    """Write the row of the copy, the register's entries and the audit entry, once a job."""
    wish, share = kept.wish, kept.share
    present = orm.scalars(select(Derivative).where(Derivative.job_id == run.id)).first()
    derivative = present or Derivative(job_id=run.id, made_us=now, made_by=run.by)
    spans = {stream.view.stream_id: stream.spans() for stream in share.streams}
    marked = wish.form is CopyForm.WATERMARKED
    derivative.kind = WATERMARKED if marked else EXPORT
    derivative.session_id = wish.session_id
    derivative.from_us, derivative.to_us = share.window.start, share.window.end
    derivative.recipe = {**kept.recipe, "spans": spans}
    derivative.path = kept.path.name
    derivative.bytes = kept.path.stat().st_size
    derivative.sha256 = kept.sha256
    derivative.expires_us = now + EXPIRY_US
    derivative.grant_id = wish.grant_id or (share.grants[0] if share.grants else None)
    if present is not None:
        return present
    orm.add(derivative)
    orm.flush()
    user = orm.get_one(User, user_id)
    content = ", ".join(kept.names)
    content = f"{wish.form.zh} {run.id}: {content}" if marked else content
    for grant_id in share.grants:
        enter_copy(
            orm,
            Who(user.username, user.id),
            now,
            grant_id,
            person=user.name,
            content=content,
            reason=wish.reason,
            facts={"copy": derivative.id, "files": [kept.as_file()]},
        )
    leave_audit_entry(
        orm,
        Who(user.username, user.id),
        "export.made",
        f"session:{wish.session_id}",
        now,
        reason=wish.reason,
        facts={"job": run.id, "form": wish.form, "sha256": kept.sha256, "spans": spans},
    )
    return derivative
