"""What players outside the browser fetch, by a ticket in the address instead of a login.

The same as ``play`` gives, with the same checks at every request, and of nothing that is secret.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response

from bidwitness.api.deps import CurrentUser, TheFront, ThePartsOf, still_signed_in
from bidwitness.api.openapi import gives
from bidwitness.api.play import (
    PLAYLIST,
    TYPES,
    InitPath,
    ThePlace,
    TheViewer,
    Viewer,
    entry_answer,
    held_media,
    init_answer,
    master_answer,
    playlist_answer,
)
from bidwitness.api.schemas import IdPath
from bidwitness.errors import Unauthenticated
from bidwitness.player.playbacks import Scope
from bidwitness.storage.index.models import Playback, User
from bidwitness.storage.playback_tickets import find_ticket, note_use
from bidwitness.storage.rights import roles_now
from bidwitness.words import Medium

router = APIRouter(prefix="/play/with/{ticket}", tags=["ticketed"])


@dataclass(frozen=True, slots=True)
class Ticketed:
    """Whose viewing a player has come for."""

    user: CurrentUser
    playback: str
    viewer: Viewer

    def scope(self, stream: str, medium: Medium) -> Scope:
        """Say what may be shown now. Raises ``NotFound``, ``Forbidden``."""
        return self.viewer.scope(self.user, self.playback, stream, medium, linked=True)


def ticketed(
    ticket: Annotated[str, Path(min_length=1, max_length=64)],
    parts: ThePartsOf,
    front: TheFront,
    viewer: TheViewer,
) -> Ticketed:
    """Give whose ticket it is. Raises ``Unauthenticated`` unless it and its login stand."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        row = find_ticket(orm, ticket, front.address, now)
        if row is None:
            raise Unauthenticated("This address is good no more, or not from here. Make a new one.")
        owner = orm.get_one(User, orm.get_one(Playback, row.playback_id).user_id)
        user = CurrentUser(
            id=owner.id,
            # As audit entries name her: she has not come herself.
            username=f"{owner.username} (ticket)",
            name=owner.name,
            roles=roles_now(orm, owner.id, (held.role for held in owner.roles), now)[0],
            must_change_password=False,
            login_id=row.login_id,
            address=front.address,
        )
        if not still_signed_in(parts, orm, user, now):
            raise Unauthenticated("The login that this address was made by has ended.")
    if row.used_us is None:
        with parts.database.write() as orm:
            note_use(orm, user.who, row.id, now)
    return Ticketed(user, row.playback_id, viewer)


TheTicket = Annotated[Ticketed, Depends(ticketed)]


@router.get("/{stream}/master.m3u8", response_class=Response, responses=gives(PLAYLIST))
def master(stream: IdPath, of: TheTicket, parts: ThePartsOf) -> Response:
    """What a player opens of a stream: its picture, with its sound."""
    media = held_media(parts.database, of.playback, stream)
    return master_answer(of.viewer, [of.scope(stream, medium) for medium in media])


@router.get("/{stream}/{track}/index.m3u8", response_class=Response, responses=gives(PLAYLIST))
def playlist(
    stream: IdPath,
    track: Medium,
    of: TheTicket,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """The playlist of one track, as far as the viewing may show it now."""
    return playlist_answer(of.viewer, of.scope(stream, track), accept_encoding)


@router.get("/{stream}/{track}/init/{init}.mp4", response_class=Response, responses=gives(*TYPES))
def init(stream: IdPath, track: Medium, init: InitPath, of: TheTicket) -> Response:
    """What a player needs before the entries that name it."""
    return init_answer(of.viewer, of.scope(stream, track), init)


@router.get(
    "/{stream}/{track}/{run}-{run_seq}/{first}-{last}.m4s",
    response_class=Response,
    responses=gives(*TYPES),
)
def entry(
    stream: IdPath,
    track: Medium,
    place: ThePlace,
    of: TheTicket,
) -> Response:
    """The fragments ``first`` to ``last`` of the track in a segment, as they were recorded."""
    return entry_answer(of.viewer, of.user, of.scope(stream, track), place)
