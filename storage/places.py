"""Sites, rooms, seats and linked places."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import (
    Camera,
    LinkedPlace,
    Room,
    Seat,
    Site,
)
from bidwitness.words import RoomKind


def ensure_site(orm: Orm, code: str, name: str | None = None) -> Site:
    """Give the site of that code; make it if it is not there."""
    site = orm.scalars(select(Site).where(Site.code == code)).first()
    if site is None:
        site = Site(code=code, name=name or code)
        orm.add(site)
        orm.flush()
    return site


def find_room(orm: Orm, room_id: str, *, named: str = "room_id") -> Room:
    """Give a room that a request names. Raises ``InvalidInput`` if there is none."""
    room = orm.get(Room, room_id)
    if room is None:
        raise InvalidInput("There is no such room.", fields={named: "is not a room"})
    return room


def create_room(orm: Orm, who: Who, at_us: int, *, site: Site, name: str, kind: RoomKind) -> Room:
    """Add a room. Raises ``Conflict`` if the site has one of that name."""
    _check_room_name(orm, site.id, name)
    room = Room(site_id=site.id, name=name, kind=kind)
    orm.add(room)
    orm.flush()
    facts = {"name": name, "kind": kind.value}
    leave_audit_entry(orm, who, "room.create", f"room:{room.id}", at_us, facts=facts)
    return room


def change_room(
    orm: Orm, who: Who, at_us: int, room_id: str, *, name: str | None, kind: RoomKind | None
) -> Room:
    """Rename a room or say better what it is for.

    Raises ``NotFound``; ``Conflict`` if the name is taken or a room with cameras would become a
    rest room.
    """
    room = get_room(orm, room_id)
    before = {"name": room.name, "kind": room.kind.value}
    if name is not None and name != room.name:
        _check_room_name(orm, room.site_id, name)
        room.name = name
    if kind is not None and kind is not room.kind:
        if kind is RoomKind.REST and has_cameras(orm, room.id):
            raise Conflict("A rest room has no cameras: remove them from this room first.")
        room.kind = kind
    after = {"name": room.name, "kind": room.kind.value}
    if after != before:
        leave_audit_entry(
            orm,
            who,
            "room.change",
            f"room:{room.id}",
            at_us,
            facts={"before": before, "after": after},
        )
    return room


def get_room(orm: Orm, room_id: str) -> Room:
    """Give a room by the id in an address. Raises ``NotFound``."""
    room = orm.get(Room, room_id)
    if room is None:
        raise NotFound("There is no such room.")
    return room


def has_cameras(orm: Orm, room_id: str) -> bool:
    """Tell whether a room has any camera that was not removed."""
    query = select(Camera.id).where(Camera.room_id == room_id, Camera.removed_us.is_(None))
    return orm.scalar(query.limit(1)) is not None


def add_seat(orm: Orm, who: Who, at_us: int, room_id: str, name: str) -> Seat:
    """Add a seat to a room. Raises ``NotFound``, ``Conflict`` if the name is taken."""
    room = get_room(orm, room_id)
    taken = select(Seat.id).where(Seat.room_id == room.id, Seat.name == name)
    if orm.scalar(taken) is not None:
        raise Conflict(f"The room has a seat {name} already.", fields={"name": "is taken"})
    seat = Seat(room_id=room.id, name=name)
    orm.add(seat)
    orm.flush()
    facts = {"room": room.id, "name": name}
    leave_audit_entry(orm, who, "seat.create", f"seat:{seat.id}", at_us, facts=facts)
    return seat


def set_linked_places(
    orm: Orm, who: Who, at_us: int, room_id: str, place_ids: Sequence[str]
) -> list[str]:
    """Say which places (entrance, lockers, …) are recorded for sessions of a room.

    Raises ``NotFound``; ``InvalidInput`` for a place that is no room, is the room, or is a rest
    room.
    """
    room = get_room(orm, room_id)
    wanted = sorted(set(place_ids))
    for place_id in wanted:
        place = find_room(orm, place_id, named="place_ids")
        if place.id == room.id or place.kind is RoomKind.REST:
            raise InvalidInput(
                f"{place.name} cannot be linked to {room.name}.",
                fields={"place_ids": "holds the room itself or a rest room"},
            )
    present = linked_places(orm, [room.id]).get(room.id, [])
    if wanted == present:
        return wanted
    for row in orm.scalars(select(LinkedPlace).where(LinkedPlace.room_id == room.id)):
        orm.delete(row)
    orm.flush()
    orm.add_all(LinkedPlace(room_id=room.id, place_id=place_id) for place_id in wanted)
    orm.flush()
    facts = {"before": present, "after": wanted}
    leave_audit_entry(orm, who, "room.linked_places", f"room:{room.id}", at_us, facts=facts)
    return wanted


def linked_places(orm: Orm, room_ids: Iterable[str]) -> dict[str, list[str]]:
    """Give the linked places of rooms, by room id, sorted."""
    found: dict[str, list[str]] = {}
    query = select(LinkedPlace).where(LinkedPlace.room_id.in_(list(room_ids)))
    for row in orm.scalars(query.order_by(LinkedPlace.place_id)):
        found.setdefault(row.room_id, []).append(row.place_id)
    return found


def _check_room_name(orm: Orm, site_id: str, name: str) -> None:
    taken = select(Room.id).where(Room.site_id == site_id, Room.name == name)
    if orm.scalar(taken) is not None:
        raise Conflict(f"There is a room {name} already.", fields={"name": "is taken"})
