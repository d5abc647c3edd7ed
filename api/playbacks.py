"""Opening a viewing: who watches what, written down before the first picture."""

from fastapi import APIRouter
from pydantic import Field

from bidwitness.api.deps import Me, TheClock, TheDatabase
from bidwitness.api.schemas import Answer, Body, IdPath, IdText, Us
from bidwitness.errors import Forbidden
from bidwitness.player.playbacks import (
    MAX_STREAMS,
    Opened,
    OpenedStream,
    Wish,
    check_may_be_linked,
    close_playback,
    open_playback,
)
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.playback_tickets import MOST_MINUTES, make_ticket, revoke_tickets
from bidwitness.words import Medium, StreamRole

router = APIRouter(prefix="/playbacks", tags=["playbacks"])


class PlaybackBody(Body):
    session_id: IdText | None = None
    stream_ids: list[IdText] = Field(default_factory=list, max_length=MAX_STREAMS)
    from_us: Us | None = Field(default=None, alias="from")
    to_us: Us | None = Field(default=None, alias="to")
    grant_id: IdText | None = None


class StreamAnswer(Answer):
    stream_id: str
    camera_id: str
    camera: str
    room: str
    role: StreamRole
    tracks: list[Medium]
    copies: list[Medium]
    codecs: dict[Medium, str]


class PlaybackAnswer(Answer):
    id: str
    session_id: str | None
    from_us: int = Field(serialization_alias="from")
    to_us: int | None = Field(serialization_alias="to")
    live: bool
    streams: list[StreamAnswer]


class TicketBody(Body):
    minutes: int = Field(default=MOST_MINUTES, ge=1, le=MOST_MINUTES)


class TicketAnswer(Answer):
    """``path``: what stands before ``{stream_id}/master.m3u8``; it is told this once."""

    id: str
    path: str
    expires_us: int


@router.post("", status_code=201)
def open_viewing(
    body: PlaybackBody, user: Me, database: TheDatabase, clock: TheClock
) -> PlaybackAnswer:
    """Open a viewing of a session, or of streams from a time on, as far as it may be seen."""
    wish = Wish(
        session_id=body.session_id,
        stream_ids=tuple(dict.fromkeys(body.stream_ids)),
        from_us=body.from_us,
        to_us=body.to_us,
        grant_id=body.grant_id,
    )
    return _answer(open_playback(database, clock, user.who, user.id, wish, user.whence))


@router.post("/{playback_id}/close", status_code=204)
def close_viewing(playback_id: IdPath, user: Me, database: TheDatabase, clock: TheClock) -> None:
    """End a viewing of one's own: its addresses answer no more."""
    close_playback(database, clock, user.who, playback_id)


@router.post("/{playback_id}/ticket", status_code=201)
def new_ticket(
    playback_id: IdPath, body: TicketBody, user: Me, database: TheDatabase, clock: TheClock
) -> TicketAnswer:
    """Make the address by which a player outside the browser opens a viewing of one's own.

    It is good for some minutes, from the same network address, while the login stands; an earlier
    one ends. There is none for footage that is secret still.
    """
    if user.token is not None:
        raise Forbidden("A program with an API token sends the token: it needs no ticket.")
    now = clock.utc_us()
    try:
        with database.write() as orm:
            token, row = make_ticket(orm, user.who, user.login_id, playback_id, body.minutes, now)
            check_may_be_linked(orm, playback_id)
            return TicketAnswer(id=row.id, path=f"/play/with/{token}/", expires_us=row.expires_us)
    except Forbidden as error:
        with database.write() as orm:
            leave_audit_entry(
                *(orm, user.who, "playback.ticket", f"playback:{playback_id}", now),
                allowed=False,
                facts={"why": error.detail},
            )
        raise


@router.post("/{playback_id}/ticket/revoke", status_code=204)
def revoke_ticket(playback_id: IdPath, user: Me, database: TheDatabase, clock: TheClock) -> None:
    """End the address of a viewing of one's own, if it has one."""
    with database.write() as orm:
        revoke_tickets(orm, user.who, playback_id, clock.utc_us())


def _answer(opened: Opened) -> PlaybackAnswer:
    return PlaybackAnswer(
        id=opened.id,
        session_id=opened.session_id,
        from_us=opened.from_us,
        to_us=opened.to_us,
        live=opened.to_us is None,
        streams=[_stream(stream) for stream in opened.streams],
    )


def _stream(opened: OpenedStream) -> StreamAnswer:
    view = opened.view
    codecs = dict(view.codecs)
    return StreamAnswer(
        stream_id=view.stream_id,
        camera_id=view.camera_id,
        camera=view.camera,
        room=view.room,
        role=view.role,
        tracks=list(opened.media),
        copies=list(opened.copies),
        codecs={medium: codecs[medium] for medium in opened.media},
    )
