"""Thumbnails of a playback: what sheets there are, and each as far as the viewing may show it."""

from enum import StrEnum

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.play import TheViewer
from bidwitness.api.schemas import Answer, IdPath
from bidwitness.claims import FOREVER
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval
from bidwitness.player.playbacks import Scope
from bidwitness.player.thumbnails import own_footage, shown_sheet, shown_tiles
from bidwitness.storage.derivatives import THUMBNAILS, demand_thumbnails, thumbnails_key
from bidwitness.storage.index.models import Derivative, Job, Playback, Session
from bidwitness.words import JobState, Medium, SessionState

router = APIRouter(prefix="/play", tags=["play"])

# Their footage is complete, and their claims have ended.
KEPT = frozenset({SessionState.SEALED, SessionState.ARCHIVED, SessionState.TRANSFERRED})


class Stage(StrEnum):
    """How far a stream's thumbnails are. ``none``: there will be none for this viewing as yet."""

    NONE = "none"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


STAGES = {
    JobState.DONE: Stage.READY,
    JobState.FAILED: Stage.FAILED,
    JobState.CANCELLED: Stage.FAILED,
}


class TileAnswer(Answer):
    """A picture's instant and its place on the sheet, counted row by row."""

    at: int
    place: int


class SheetAnswer(Answer):
    id: str
    from_us: int = Field(serialization_alias="from")
    to_us: int = Field(serialization_alias="to")
    tiles: list[TileAnswer]


class ThumbnailsAnswer(Answer):
    """All sheets of a stream have cells of one size, ``columns`` in a row."""

    state: Stage
    width: int = 0
    height: int = 0
    columns: int = 0
    step: int = 0
    sheets: list[SheetAnswer] = Field(default_factory=list)


@router.get("/{playback}/{stream}/thumbnails")
def thumbnails(
    playback: IdPath, stream: IdPath, user: Me, parts: ThePartsOf, viewer: TheViewer
) -> ThumbnailsAnswer:
    """The thumbnails of a stream that the viewing may show. Asked for first, they are made."""
    scope = viewer.scope(user, playback, stream, Medium.PICTURE)
    session_id = _session_of(parts, playback)
    if session_id is None:
        return ThumbnailsAnswer(state=Stage.NONE)
    job = _job(parts, user, session_id, scope)
    if job is None:
        return ThumbnailsAnswer(state=Stage.NONE)
    with parts.database.read() as orm:
        now = parts.clock.utc_us()
        query = select(Derivative).where(
            Derivative.job_id == job.id, Derivative.path.is_not(None), Derivative.expires_us > now
        )
        rows = list(orm.scalars(query.order_by(Derivative.from_us)))
    state = STAGES.get(JobState(job.state), Stage.MAKING)
    if not rows:
        return ThumbnailsAnswer(state=state)
    permitted = viewer.pieces.permitted(scope, _reach(rows))
    sheets: list[SheetAnswer] = []
    for row in rows:
        shown = [
            TileAnswer(at=tile.at_us, place=place)
            for place, tile in enumerate(shown_tiles(row, permitted))
            if tile is not None
        ]
        if shown:
            assert row.from_us is not None and row.to_us is not None
            sheets.append(SheetAnswer(id=row.id, from_us=row.from_us, to_us=row.to_us, tiles=shown))
    recipe = rows[0].recipe
    return ThumbnailsAnswer(
        state=state,
        width=recipe["cell"][0],
        height=recipe["cell"][1],
        columns=recipe["columns"],
        step=recipe["step_us"],
        sheets=sheets,
    )


@router.get(
    "/{playback}/{stream}/thumbnails/{sheet}.jpg",
    response_class=Response,
    responses=gives("image/jpeg"),
)
def sheet(
    playback: IdPath, stream: IdPath, sheet: IdPath, user: Me, parts: ThePartsOf, viewer: TheViewer
) -> Response:
    """One sheet. What of it the viewing may not show is blank."""
    scope = viewer.scope(user, playback, stream, Medium.PICTURE)
    session_id = _session_of(parts, playback)
    with parts.database.read() as orm:
        row = orm.get(Derivative, sheet)
    now = parts.clock.utc_us()
    if (
        row is None
        or session_id is None
        or (row.kind, row.session_id, row.stream_id) != (THUMBNAILS, session_id, stream)
        or row.path is None
        or (row.expires_us is not None and row.expires_us <= now)
    ):
        raise NotFound("There is no such sheet.")
    permitted = viewer.pieces.permitted(scope, _reach([row]))
    data = shown_sheet(parts.settings.thumbnails, row, shown_tiles(row, permitted))
    return Response(data, media_type="image/jpeg")


def _session_of(parts: Parts, playback: str) -> str | None:
    with parts.database.read() as orm:
        return orm.get_one(Playback, playback).session_id


def _job(parts: Parts, user: CurrentUser, session_id: str, scope: Scope) -> Job | None:
    """Give the job of these thumbnails, queued if nobody wanted them before."""
    with parts.database.read() as orm:
        if orm.get_one(Session, session_id).state not in KEPT:
            return None
    whole, permission = own_footage(parts.database, session_id, scope.stream_id)
    if whole.end == FOREVER:
        return None
    key = thumbnails_key(session_id, scope.stream_id, permission.spans)
    with parts.database.read() as orm:
        job = orm.scalars(select(Job).where(Job.key == key)).first()
    if job is not None and job.state not in (JobState.FAILED, JobState.CANCELLED):
        return job
    with parts.database.write() as orm:
        found = demand_thumbnails(
            orm,
            session_id,
            scope.stream_id,
            key,
            by=user.username,
            now_us=parts.clock.utc_us(),
        )
        queued = found is not None and found.state == JobState.QUEUED
    if found is not None and queued and job is None:
        parts.hints.tell(found.id)
    return found


def _reach(rows: list[Derivative]) -> Interval:
    start = min(row.from_us or 0 for row in rows)
    return Interval(start, max(row.to_us or 0 for row in rows))
