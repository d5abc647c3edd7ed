"""What a move does to the bookings: which stay, which are left, which are entered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session as Orm

from bidwitness.errors import InvalidInput
from bidwitness.storage.index.models import Booking, Session
from bidwitness.storage.sessions.plan import NewBooking, set_planned_times
from bidwitness.words import SessionState


@dataclass(frozen=True, slots=True)
class Move:
    """The difference between the bookings of a session and those wanted from now on."""

    kept: tuple[tuple[Booking, NewBooking], ...]
    left: tuple[Booking, ...]
    entered: tuple[NewBooking, ...]

    @classmethod
    def of(cls, session: Session, wanted: Sequence[NewBooking], now_us: int) -> "Move":
        """Compare. While recording, a room is entered now at the earliest.

        Raises ``InvalidInput`` for a room that would be left before it is entered.
        """
        records = session.state == SessionState.RECORDING
        rest = [booking for booking in session.bookings if booking.left_us is None]
        kept: list[tuple[Booking, NewBooking]] = []
        entered: list[NewBooking] = []
        for number, new in enumerate(wanted):
            same = next((b for b in rest if records and _same_place(b, new)), None)
            if same is not None:
                rest.remove(same)
                kept.append((same, new))
                continue
            if records and new.to_us <= now_us:
                raise InvalidInput(
                    "A room can be entered now or later, not in the past.",
                    fields={f"bookings.{number}.to": "give a time to come"},
                )
            entered.append(replace(new, from_us=max(new.from_us, now_us)) if records else new)
        return cls(tuple(kept), tuple(rest), tuple(entered))

    def apply(self, orm: Orm, session: Session, rows: Sequence[Booking], now_us: int) -> None:
        """Change the session's bookings; ``rows`` are those of ``entered``."""
        for booking, new in self.kept:
            booking.to_us, booking.role = new.to_us, new.role
            if booking.from_us > now_us:
                booking.from_us = new.from_us
        claimed = {claim.booking_id for claim in session.claims}
        for booking in self.left:
            if booking.id in claimed:
                booking.left_us = now_us
            else:
                session.bookings.remove(booking)
                orm.delete(booking)
        session.bookings.extend(rows)
        set_planned_times(session)


def _same_place(booking: Booking, new: NewBooking) -> bool:
    return booking.room_id == new.room_id and set(booking.seat_ids) == set(new.seat_ids)
