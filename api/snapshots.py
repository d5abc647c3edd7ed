"""Snapshots: an exact picture of a playback as a copy, watermarked, registered, traceable."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.play import TheViewer
from bidwitness.api.schemas import Answer, Body, IdPath, IdText, Reason, Us
from bidwitness.errors import DamageFound, Forbidden, NotFound
from bidwitness.player import snapshot as business
from bidwitness.player.still import make_still
from bidwitness.storage.derivatives import SNAPSHOT
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Derivative, Playback

router = APIRouter(prefix="/snapshots", tags=["snapshots"])


class SnapshotBody(Body):
    playback_id: IdText
    stream_id: IdText
    at: Us
    reason: Reason


class SnapshotAnswer(Answer):
    """``from`` to ``to``: how long the picture was on. ``provenance``: where it comes from."""

    id: str
    from_us: int | None = Field(serialization_alias="from")
    to_us: int | None = Field(serialization_alias="to")
    picture: str
    bytes: int | None
    sha256: str | None
    expires_at: int | None
    provenance: dict[str, Any]


@router.post("", status_code=201)
def new_snapshot(
    body: SnapshotBody, user: Me, parts: ThePartsOf, viewer: TheViewer
) -> SnapshotAnswer:
    """Copy the picture that was on at an instant. It needs the right to copy."""
    wish = business.SnapshotWish(body.playback_id, body.stream_id, body.at, body.reason)
    now = parts.clock.utc_us()
    try:
        with parts.database.read() as orm:
            right = business.allowed(orm, user.id, wish, now)
    except Forbidden as error:
        _note_refusal(parts, user, wish, error, now)
        raise
    found = business.find_picture(viewer.pieces, right.scope, wish.at_us)
    snapshot_id = business.fresh_id()
    with viewer.stills:
        png = make_still(business.order_of(snapshot_id, user.who, right, found, now), found.footage)
    provenance = business.provenance_of(snapshot_id, user.who, user.name, wish, right, found, now)
    name = business.keep_picture(parts.settings, snapshot_id, png)
    with parts.database.write() as orm:
        row = business.enter(orm, user.who, user.id, wish, right, provenance, name, png)
        return _answer(row)


@router.get("/{snapshot_id}")
def snapshot(snapshot_id: IdPath, user: Me, parts: ThePartsOf) -> SnapshotAnswer:
    """A snapshot of one's own, with its provenance."""
    with parts.database.read() as orm:
        return _answer(_own(orm, user, snapshot_id))


@router.get("/{snapshot_id}/picture", response_class=Response, responses=gives("image/png"))
def picture(snapshot_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The PNG, as long as it stands and a copy may still be had."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        row = _own(orm, user, snapshot_id)
        expired = row.path is None or (row.expires_us is not None and row.expires_us <= now)
        still = business.may_still_have(orm, user.id, row, now)
    if expired:
        raise NotFound("The picture has expired. Ask for it again.")
    subject = business.subject_of(row.session_id, row.stream_id or "")
    facts = {"snapshot": row.id, "sha256": row.sha256}
    with parts.database.write() as orm:
        leave_audit_entry(orm, user.who, "snapshot.fetch", subject, now, allowed=still, facts=facts)
    if not still:
        raise Forbidden("Your right to this picture has ended.")
    try:
        data = business.snapshot_path(parts.settings, str(row.path)).read_bytes()
    except FileNotFoundError:
        raise NotFound("The picture has expired. Ask for it again.") from None
    if business.digest_of(data) != row.sha256:
        raise DamageFound("The picture is not what was made. Ask for it again.")
    name = f"bidwitness-{row.id}.png"
    return Response(
        data,
        media_type="image/png",
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )


def _own(orm: Orm, user: CurrentUser, snapshot_id: str) -> Derivative:
    row = orm.get(Derivative, snapshot_id)
    if row is None or row.kind != SNAPSHOT or row.recipe.get("user_id") != user.id:
        raise NotFound("There is no such snapshot.")
    return row


def _note_refusal(
    parts: Parts, user: CurrentUser, wish: business.SnapshotWish, error: Forbidden, now: int
) -> None:
    with parts.database.write() as orm:
        session = orm.get_one(Playback, wish.playback_id).session_id
        leave_audit_entry(
            orm,
            user.who,
            "snapshot.make",
            business.subject_of(session, wish.stream_id),
            now,
            allowed=False,
            reason=wish.reason,
            facts={"at": wish.at_us, "why": error.detail},
        )


def _answer(row: Derivative) -> SnapshotAnswer:
    provenance = {name: value for name, value in row.recipe.items() if name != "user_id"}
    return SnapshotAnswer(
        id=row.id,
        from_us=row.from_us,
        to_us=row.to_us,
        picture=f"/api/v1/snapshots/{row.id}/picture",
        bytes=row.bytes,
        sha256=row.sha256,
        expires_at=row.expires_us,
        provenance={**provenance, "picture_sha256": row.sha256},
    )
