"""What a session is planned to be: its lots and its bookings, checked against the index."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.ids import new_id
from bidwitness.storage.index.models import Booking, Item, Room, Seat, Session
from bidwitness.storage.sessions.projects import find_lot
from bidwitness.words import BookingRole, RoomKind, SessionKind, SessionState

MAX_ITEMS = 200
MAX_BOOKINGS = 50
# The year 2200: beyond it no record can state the time.
LAST_US = 7_258_118_400_000_000
# Nothing that nobody has claimed is kept that long: whoever plans so far back has mistyped.
MAX_BACK_US = 366 * 86_400_000_000
_STANDING = (SessionState.SCHEDULED, SessionState.RECORDING)


@dataclass(frozen=True, slots=True)
class NewItem:
    """A lot of a session, and when it is dealt with (µs UTC), if known."""

    project_code: str
    lot_code: str | None = None
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class NewBooking:
    """A room, or seats of it, from and to (µs UTC)."""

    room_id: str
    from_us: int
    to_us: int
    role: BookingRole = BookingRole.MAIN
    seat_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewSession:
    items: tuple[NewItem, ...]
    kind: SessionKind
    bookings: tuple[NewBooking, ...]
    classified: bool = False


def planned_items(orm: Orm, items: Sequence[NewItem]) -> list[Item]:
    """Give the rows of a session's items, not yet added.

    Raises ``InvalidInput`` naming ``items.N.…`` for a lot that does not exist, is named twice or
    has its times the wrong way round.
    """
    if not 0 < len(items) <= MAX_ITEMS:
        raise InvalidInput(
            "A session deals with at least one lot.",
            fields={"items": f"give 1 to {MAX_ITEMS} lots"},
        )
    rows: list[Item] = []
    fields: dict[str, str] = {}
    for number, item in enumerate(items):
        place = f"items.{number}."
        try:
            lot = find_lot(orm, item.project_code, item.lot_code, field=place)
        except InvalidInput as error:
            fields |= error.fields
            continue
        if item.from_us is not None and item.to_us is not None and item.to_us <= item.from_us:
            fields[f"{place}to"] = "give a time after `from`"
        if any(
            row.lot_id == lot.id and (row.from_us, row.to_us) == (item.from_us, item.to_us)
            for row in rows
        ):
            fields[f"{place}lot_code"] = "the lot is named twice"
        rows.append(Item(lot_id=lot.id, from_us=item.from_us, to_us=item.to_us))
    _refuse(fields)
    return rows


def check_bookings(orm: Orm, bookings: Sequence[NewBooking], now_us: int) -> dict[str, Room]:
    """Check bookings by themselves and against the rooms; give the rooms by id.

    Raises ``InvalidInput`` naming ``bookings.N.…``: no such room or seat, a rest room, rooms of
    two sites, an empty time, an end that has passed, one's own bookings overlapping.
    """
    if not 0 < len(bookings) <= MAX_BOOKINGS:
        raise InvalidInput(
            "A session needs a room.", fields={"bookings": f"give 1 to {MAX_BOOKINGS} bookings"}
        )
    wanted = {booking.room_id for booking in bookings}
    # Locked in one order: two plans for the same room are checked one after the other.
    query = select(Room).where(Room.id.in_(wanted)).order_by(Room.id).with_for_update()
    rooms = {room.id: room for room in orm.scalars(query)}
    known_seats = orm.scalars(select(Seat).where(Seat.room_id.in_(wanted)))
    seats = {seat.id: seat.room_id for seat in known_seats}
    fields: dict[str, str] = {}
    for number, booking in enumerate(bookings):
        place = f"bookings.{number}."
        fields |= {place + name: why for name, why in _wrong(booking, rooms, seats).items()}
        if booking.from_us < now_us - MAX_BACK_US:
            fields[f"{place}from"] = "more than a year ago"
        if any(clash(booking, earlier) for earlier in bookings[:number]):
            fields[f"{place}from"] = "overlaps another booking of the same room in this session"
    if len({room.site_id for room in rooms.values()}) > 1:
        fields["bookings"] = "all rooms of a session must be of one site"
    if not fields and max(booking.to_us for booking in bookings) <= now_us:
        fields["bookings"] = (
            "the planned end has passed: plan an end to come; the start may lie in the past"
        )
    _refuse(fields)
    return rooms


def _wrong(booking: NewBooking, rooms: dict[str, Room], seats: dict[str, str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    room = rooms.get(booking.room_id)
    if room is None:
        fields["room_id"] = "there is no such room"
    elif room.kind == RoomKind.REST:
        fields["room_id"] = "a rest room has no camera and no session"
    unknown = [seat for seat in booking.seat_ids if seats.get(seat) != booking.room_id]
    if unknown:
        fields["seat_ids"] = f"the room has no seat {', '.join(unknown)}"
    if booking.to_us <= booking.from_us:
        fields["to"] = "give a time after `from`"
    elif booking.to_us >= LAST_US:
        fields["to"] = "not a time in microseconds UTC"
    return fields


def _refuse(fields: dict[str, str]) -> None:
    if fields:
        listed = "; ".join(f"{name}: {why}" for name, why in fields.items())
        raise InvalidInput(f"The plan is not accepted. {listed}.", fields=fields)


def clash(one: NewBooking, other: NewBooking) -> bool:
    """Say whether two bookings want the same room, or a seat of it, at the same time. Pure."""
    return (
        one.room_id == other.room_id
        and one.from_us < other.to_us
        and other.from_us < one.to_us
        and not (one.seat_ids and other.seat_ids and set(one.seat_ids).isdisjoint(other.seat_ids))
    )


def check_rooms_free(
    orm: Orm, bookings: Sequence[NewBooking], *, except_for: str | None = None
) -> None:
    """Refuse bookings of rooms that another planned or recording session has booked.

    Disjoint seats of one room are free for each other. Raises ``Conflict`` naming the session.
    """
    for number, booking in enumerate(bookings):
        query = (
            select(Booking)
            .join(Session)
            .where(
                Booking.room_id == booking.room_id,
                Booking.from_us < booking.to_us,
                Booking.to_us > booking.from_us,
                Session.state.in_(_STANDING),
            )
            .order_by(Booking.from_us)
        )
        for row in orm.scalars(query):
            end = row.to_us if row.left_us is None else min(row.to_us, row.left_us)
            other = NewBooking(row.room_id, row.from_us, end, row.role, tuple(row.seat_ids))
            if row.session_id != except_for and clash(booking, other):
                raise Conflict(
                    f"Session {row.session_id} has booked that room in that time. "
                    "Choose another room or time, or change that session first.",
                    fields={f"bookings.{number}.room_id": f"booked by session {row.session_id}"},
                )


def as_new(row: Booking) -> NewBooking:
    """Give a booking's row as the plan it came from."""
    return NewBooking(row.room_id, row.from_us, row.to_us, row.role, tuple(row.seat_ids))


def booking_row(booking: NewBooking) -> Booking:
    """Give the row of a booking, not yet added."""
    return Booking(
        id=new_id(),
        room_id=booking.room_id,
        seat_ids=list(booking.seat_ids),
        from_us=booking.from_us,
        to_us=booking.to_us,
        role=booking.role,
    )


def set_planned_times(session: Session) -> None:
    """Make the planned times the bookings' earliest start and latest end."""
    session.planned_from_us = min(booking.from_us for booking in session.bookings)
    staying = [b for b in session.bookings if b.left_us is None] or session.bookings
    session.planned_to_us = max(booking.to_us for booking in staying)
