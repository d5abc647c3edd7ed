"""What a display itself asks for: its pairing, what it shows now, and the live pictures of it.

It is nobody: no route but these knows its credential, and these ask for nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Response, WebSocket
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload
from starlette.requests import HTTPConnection

from bidwitness.access import Ground
from bidwitness.api.deps import Parts, TheFront, ThePartsOf
from bidwitness.api.describing import StreamAnswer, describe_streams
from bidwitness.api.limits import Origin
from bidwitness.api.live import watch
from bidwitness.api.schemas import Answer, Body, IdPath
from bidwitness.api.security import COOKIE, DISPLAY_COOKIE, Front
from bidwitness.api.shown import Shown, TheShown
from bidwitness.errors import Forbidden, Unauthenticated
from bidwitness.player.watching import shown_on
from bidwitness.showing import Showing
from bidwitness.storage import displays, logins
from bidwitness.storage.attending import Attendant, attending, on_duty_for, scope_of, screen_of
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Camera, Display, Room, Stream
from bidwitness.storage.sights import StreamView
from bidwitness.words import Medium, RoomKind, SessionKind, SessionState

router = APIRouter(prefix="/display", tags=["display"])

# Browsers keep a cookie for 400 days at most; it is renewed each day.
COOKIE_SECONDS = 400 * 86_400
Verdicts = Mapping[str, tuple[StreamView, Showing]]
# What failed tries are counted for beside the address: no user name has a space.
PAIRING = "display pairing"


class PairBody(Body):
    code: Annotated[str, Field(min_length=1, max_length=40)]


class PersonAnswer(Answer):
    username: str
    name: str


class ShownCameraAnswer(Answer):
    """``why``: why it is not shown; its streams are told only while it is."""

    id: str
    name: str
    shown: bool
    why: Ground | None
    streams: list[StreamAnswer]


class ShownRoomAnswer(Answer):
    """``session``: the kind of what is shown of a running session."""

    id: str
    name: str
    kind: RoomKind
    session: SessionKind | None
    cameras: list[ShownCameraAnswer]


class DisplayState(Answer):
    """What a display shows now. ``signed_in``: who is signed in on top of it."""

    id: str
    name: str
    place: str
    now: int
    on_duty: list[PersonAnswer]
    signed_in: PersonAnswer | None
    rooms: list[ShownRoomAnswer]


@dataclass(frozen=True, slots=True)
class Paired:
    """The display that asks, by its credential."""

    row: Display
    token: str
    address: str


def paired(connection: HTTPConnection, parts: ThePartsOf, front: TheFront) -> Paired:
    """Give the display that asks. Raises ``Unauthenticated``."""
    token = connection.cookies.get(DISPLAY_COOKIE)
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        row = displays.find_display(orm, token, front.address)
    if row is None or token is None:
        raise Unauthenticated("This is not a registered display, or not any more. Pair it anew.")
    if displays.wants_touch(row, token, now):
        with parts.database.write() as orm:
            displays.touch(orm, orm.get_one(Display, row.id), token, front.address, now)
    return Paired(row, token, front.address)


ThePaired = Annotated[Paired, Depends(paired)]


@router.post("/pair", status_code=204)
def pair(body: PairBody, response: Response, parts: ThePartsOf, front: TheFront) -> None:
    """Make this browser a registered display, by the code that was told when it was registered."""
    origin = Origin(front.address, own_address=True)
    parts.limiter.check(origin, PAIRING)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = displays.match_code(orm, body.code, front.address, now)
        token = displays.pair(orm, row, front.address, now) if row is not None else None
    if token is None:
        limited = parts.limiter.failed(origin, PAIRING)
        with parts.database.write() as orm:
            who = Who("unknown display", None, front.address)
            facts = {"limited": True} if limited else None
            leave_audit_entry(orm, who, "display.pair", "display", now, allowed=False, facts=facts)
        raise Unauthenticated(
            "The code is wrong, used, too old, or not for this address. Ask for a new one."
        )
    parts.limiter.succeeded(origin, PAIRING)
    _set_cookie(response, front, token)


@router.post("/renew", status_code=204)
def renew(own: ThePaired, response: Response, parts: ThePartsOf, front: TheFront) -> None:
    """Give the display the credential that follows its own, once that is a day old."""
    with parts.database.write() as orm:
        row = orm.get_one(Display, own.row.id)
        token = displays.renew(orm, row, front.address, parts.clock.utc_us())
    if token is not None:
        _set_cookie(response, front, token)


@router.get("")
def state(
    own: ThePaired, connection: HTTPConnection, parts: ThePartsOf, front: TheFront
) -> DisplayState:
    """What this display shows now, who is on duty, and who is signed in on top of it."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        row = orm.get_one(Display, own.row.id)
        place = orm.get(Room, row.room_id) if row.room_id else None
        people = attending(orm, now)
        there = _signed_in(orm, parts, connection.cookies.get(COOKIE), row, now)
        return DisplayState(
            id=row.id,
            name=row.name,
            place=place.name if place else row.place or "",
            now=now,
            on_duty=[_person(one) for one in on_duty_for(scope_of(row), people)],
            signed_in=PersonAnswer(username=there.username, name=there.name) if there else None,
            rooms=_rooms(orm, row, people, now),
        )


@router.websocket("/live/{stream_id}")
async def live(
    websocket: WebSocket, stream_id: IdPath, own: ThePaired, parts: ThePartsOf, shown: TheShown
) -> None:
    """The live picture of a stream, as long as the display may show it; there is no sound."""
    await watch(websocket, DisplaySight(parts, own, stream_id, shown))


@dataclass(frozen=True, slots=True)
class DisplaySight:
    """One picture on a display."""

    parts: Parts
    own: Paired
    stream_id: str
    shown: Shown
    medium: Medium = Medium.PICTURE

    def check(self) -> None:
        """Raise ``Unauthenticated`` or ``Forbidden`` if it may not begin or not go on."""
        now = self.parts.clock.utc_us()
        with self.parts.database.read() as orm:
            row = displays.still_paired(orm, self.own.row.id, self.own.row.paired_us)
            if row is None:
                raise Unauthenticated("The display was revoked.")
            people = attending(orm, now)
            screen = screen_of(orm, row, people)
            _, found = shown_on(orm, screen, [self.stream_id], now)[self.stream_id]
            signed_in = logins.on_display(orm, row.id, now, self.parts.login_limits)
        if not found.allowed:
            why = found.verdict
            raise Forbidden(f"Not allowed: {why.reason} ({why.ground.value}).")
        names = {one.person.user_id: one.username for one in people}
        for_it = [names[user_id] for user_id in found.on_duty]
        self.shown.note(row, self.stream_id, for_it, names.values(), signed_in)

    def note(self, action: str, *, allowed: bool = True, **facts: object) -> None:
        """Leave an audit entry of the picture's beginning; what it showed is in the minutes'."""
        if action == "live.stop":
            self.shown.closed(self.own.row)
            return
        if allowed:
            self.shown.opened(self.own.row.id)
        now = self.parts.clock.utc_us()
        row = self.own.row
        with self.parts.database.write() as orm:
            leave_audit_entry(
                orm,
                displays.who_of(row, self.own.address),
                "display.start",
                f"stream:{self.stream_id}",
                now,
                allowed=allowed,
                facts={"medium": self.medium, "display": {"id": row.id, "name": row.name}, **facts},
            )


def _signed_in(
    orm: Orm, parts: Parts, token: str | None, row: Display, now_us: int
) -> logins.SignedIn | None:
    """Give who is signed in on top of a display. To ask is no use of the login: it goes idle."""
    found = logins.find_login(orm, token, now_us, parts.login_limits) if token else None
    return found if found is not None and found.display_id == row.id else None


def _rooms(orm: Orm, row: Display, people: list[Attendant], now_us: int) -> list[ShownRoomAnswer]:
    """Give the rooms of a display's scope; a camera that it may not show by its name alone."""
    query = select(Room).where(Room.kind != RoomKind.REST).order_by(Room.name, Room.id)
    if row.room_ids:
        query = query.where(Room.id.in_(row.room_ids))
    scope = scope_of(row)
    rooms = [room for room in orm.scalars(query) if scope.fits_place(room.site_id, room.kind)]
    cameras = orm.scalars(
        select(Camera)
        .where(
            Camera.room_id.in_([room.id for room in rooms]),
            Camera.removed_us.is_(None),
            Camera.enabled.is_(True),
        )
        .options(selectinload(Camera.streams).selectinload(Stream.tracks))
        .order_by(Camera.name)
    ).all()
    streams = describe_streams(orm, cameras, now_us)
    screen = screen_of(orm, row, people)
    ids = [stream.id for camera in cameras for stream in streams[camera.id]]
    verdicts = shown_on(orm, screen, ids, now_us)
    answers = [
        ShownRoomAnswer(
            id=room.id,
            name=room.name,
            kind=room.kind,
            session=_running(verdicts.values(), room.id, now_us),
            cameras=[
                _camera(camera, streams[camera.id], verdicts)
                for camera in cameras
                if camera.room_id == room.id
            ],
        )
        for room in rooms
    ]
    return [answer for answer in answers if answer.cameras]


def _camera(camera: Camera, streams: list[StreamAnswer], verdicts: Verdicts) -> ShownCameraAnswer:
    own = [stream for stream in streams if verdicts[stream.id][1].allowed]
    grounds = [verdicts[stream.id][1].verdict.ground for stream in streams]
    return ShownCameraAnswer(
        id=camera.id,
        name=camera.name,
        shown=bool(own),
        why=None if own else _why(grounds),
        streams=own,
    )


def _running(
    verdicts: Iterable[tuple[StreamView, Showing]], room_id: str, now_us: int
) -> SessionKind | None:
    """Give the kind of the session that a room's pictures are of, if any is shown."""
    for view, found in verdicts:
        if view.room_id != room_id or not found.allowed:
            continue
        for concern in view.concerns:
            here = concern.interval.start <= now_us < concern.interval.end
            if here and concern.klass and concern.state is SessionState.RECORDING:
                return concern.kind
    return None


def _why(grounds: list[Ground]) -> Ground:
    """Give why a camera is not shown, as far as a wall says it: that nobody is on duty, which
    somebody can mend, or that it is not for this display. Whether a room is classified, and
    what runs in it, is nothing for who passes by."""
    return Ground.NOBODY_ON_DUTY if Ground.NOBODY_ON_DUTY in grounds else Ground.NOT_ON_DISPLAY


def _person(one: Attendant) -> PersonAnswer:
    return PersonAnswer(username=one.username, name=one.name)


def _set_cookie(response: Response, front: Front, token: str) -> None:
    response.set_cookie(
        DISPLAY_COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        path="/",
        httponly=True,
        secure=front.secure,
        samesite="strict",
    )
