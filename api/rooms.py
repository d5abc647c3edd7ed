"""Rooms with their cameras and how these are; seats; linked places; sites."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.api.deps import CurrentUser, Me, ThePartsOf
from bidwitness.api.describing import StreamAnswer, describe_streams
from bidwitness.api.schemas import (
    MAX_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    IdText,
    LimitQuery,
    Name,
    cursor_of,
    place_of,
)
from bidwitness.storage import places
from bidwitness.storage.index.models import Camera, Room, Seat, Site, Stream
from bidwitness.storage.knowing import known_rooms
from bidwitness.words import Role, RoomKind

router = APIRouter(tags=["rooms"])

# Who watches, or sees to it that there is something to watch.
SEE_CAMERAS = frozenset(
    {Role.SYSTEM_ADMIN, Role.OPERATOR, Role.SUPERVISOR, Role.VENUE, Role.ATTESTOR}
)


class SiteAnswer(Answer):
    id: str
    code: str
    name: str


class SeatAnswer(Answer):
    id: str
    name: str


class RoomCameraAnswer(Answer):
    id: str
    name: str
    enabled: bool
    streams: list[StreamAnswer]


class RoomAnswer(Answer):
    id: str
    name: str
    kind: RoomKind
    site_id: str
    seats: list[SeatAnswer]
    linked_place_ids: list[str]
    cameras: list[RoomCameraAnswer]


class RoomPage(Answer):
    items: list[RoomAnswer]
    next_cursor: str | None


class SitePage(Answer):
    items: list[SiteAnswer]
    next_cursor: str | None = None


class NewRoom(Body):
    name: Name
    kind: RoomKind


class RoomChange(Body):
    name: Name | None = None
    kind: RoomKind | None = None


class NewSeat(Body):
    name: Name


class LinkedPlaces(Body):
    place_ids: Annotated[list[IdText], Field(max_length=50)]


@router.get("/sites")
def sites(user: Me, parts: ThePartsOf) -> SitePage:
    """The sites of this index."""
    with parts.database.read() as orm:
        rows = orm.scalars(select(Site).order_by(Site.code)).all()
        return SitePage(items=[SiteAnswer(id=s.id, code=s.code, name=s.name) for s in rows])


@router.get("/rooms")
def rooms(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = MAX_LIMIT
) -> RoomPage:
    """Rooms by name: those of one's scope, and those whose sessions one may know of."""
    place = place_of(cursor, (str, str))
    query = select(Room).order_by(Room.name, Room.id).limit(limit + 1)
    if place is not None:
        query = query.where(
            (Room.name > place[0]) | ((Room.name == place[0]) & (Room.id > place[1]))
        )
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        known = known_rooms(orm, user.id, now)
        if known is not None:
            query = query.where(known)
        rows = list(orm.scalars(query))
        items = _describe(orm, rows[:limit], now, with_cameras=_sees_cameras(user))
    more = cursor_of(items[-1].name, items[-1].id) if len(rows) > limit else None
    return RoomPage(items=items, next_cursor=more)


@router.post("/rooms", status_code=201)
def create_room(body: NewRoom, user: Me, parts: ThePartsOf) -> RoomAnswer:
    """Add a room to this site."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        site = places.ensure_site(orm, parts.settings.site)
        room = places.create_room(orm, user.who, now, site=site, name=body.name, kind=body.kind)
        return _describe(orm, [room], now, with_cameras=True)[0]


@router.patch("/rooms/{room_id}")
def change_room(room_id: IdPath, body: RoomChange, user: Me, parts: ThePartsOf) -> RoomAnswer:
    """Rename a room, or say better what it is for."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        room = places.change_room(orm, user.who, now, room_id, name=body.name, kind=body.kind)
        return _describe(orm, [room], now, with_cameras=True)[0]


@router.post("/rooms/{room_id}/seats", status_code=201)
def add_seat(room_id: IdPath, body: NewSeat, user: Me, parts: ThePartsOf) -> SeatAnswer:
    """Add a seat to a room."""
    with parts.database.write() as orm:
        seat = places.add_seat(orm, user.who, parts.clock.utc_us(), room_id, body.name)
        return SeatAnswer(id=seat.id, name=seat.name)


@router.put("/rooms/{room_id}/linked-places")
def link_places(room_id: IdPath, body: LinkedPlaces, user: Me, parts: ThePartsOf) -> RoomAnswer:
    """Say which places are recorded for the sessions of this room."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        places.set_linked_places(orm, user.who, now, room_id, body.place_ids)
        return _describe(orm, [places.get_room(orm, room_id)], now, with_cameras=True)[0]


def _sees_cameras(user: CurrentUser) -> bool:
    return bool(user.roles & SEE_CAMERAS)


def _describe(orm: Orm, rows: list[Room], now: int, *, with_cameras: bool) -> list[RoomAnswer]:
    ids = [room.id for room in rows]
    linked = places.linked_places(orm, ids)
    seats = orm.scalars(select(Seat).where(Seat.room_id.in_(ids)).order_by(Seat.name)).all()
    cameras: list[Camera] = []
    if with_cameras:
        query = (
            select(Camera)
            .where(Camera.room_id.in_(ids), Camera.removed_us.is_(None))
            .options(selectinload(Camera.streams).selectinload(Stream.tracks))
            .order_by(Camera.name)
        )
        cameras = list(orm.scalars(query))
    streams = describe_streams(orm, cameras, now)
    return [
        RoomAnswer(
            id=room.id,
            name=room.name,
            kind=room.kind,
            site_id=room.site_id,
            seats=[SeatAnswer(id=s.id, name=s.name) for s in seats if s.room_id == room.id],
            linked_place_ids=linked.get(room.id, []),
            cameras=[
                RoomCameraAnswer(id=c.id, name=c.name, enabled=c.enabled, streams=streams[c.id])
                for c in cameras
                if c.room_id == room.id
            ],
        )
        for room in rows
    ]
