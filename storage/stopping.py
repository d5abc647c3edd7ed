"""What would stop a pull where a session is running or due: nobody does that alone."""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import NeedsApproval
from bidwitness.pulls import Pull, stopped
from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Claim,
    LinkedPlace,
    Room,
    Session,
    Stream,
    StreamStatus,
)
from bidwitness.storage.wanted_index import pulled
from bidwitness.words import SessionState

# The kind of act by which several people do it.
STOP = "pull.stop"
# From so long before a booking: somebody who blinds a room the evening before blinds the session.
DUE_SOON_US = 24 * 3_600_000_000
# A stream with a fragment younger than this is being recorded.
RECORDED_LATELY_US = 10_000_000


def pulls_of(orm: Orm, camera_id: str, at_us: int) -> tuple[Pull, ...]:
    """Give the streams of a camera that are pulled, as the open transaction has them."""
    query = (
        select(
            *(Stream.id, Camera.room_id, StreamStatus.last_us),
            *(Stream.address, Camera.username, Camera.secret),
            *(Camera.basic_in_clear, Camera.unproven_certificate),
        )
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .outerjoin(StreamStatus, StreamStatus.stream_id == Stream.id)
        .where(Camera.id == camera_id, *pulled())
    )
    return tuple(
        Pull(stream, room, tuple(door), last is not None and at_us - last < RECORDED_LATELY_US)
        for stream, room, last, *door in orm.execute(query)
    )


def check_stops(
    orm: Orm, before: Sequence[Pull], after: Sequence[Pull], at_us: int, agreed: str | None
) -> list[str]:
    """Give the sessions whose pull a change stops, if that was agreed to (by which approval).

    Raises ``NeedsApproval`` if there are any and it was not: nothing of the change is kept then.
    """
    stops = stopped(before, after)
    due = sessions_due(orm, stops, at_us) if stops else []
    if due and agreed is None:
        raise NeedsApproval(
            f"Session {', '.join(due)} is recorded there, or is to begin within a day. What stops "
            f"the recording takes two people: ask for it as {STOP} (POST approvals), and the venue "
            "or the director agrees; or wait until the session is over.",
            fields={"approval": STOP},
        )
    return due


def sessions_due(orm: Orm, pulls: Sequence[Pull], at_us: int) -> list[str]:
    """Give the sessions that record these streams, or have one of their rooms, or a room that they
    are linked to, now or soon."""
    rooms = {pull.room_id for pull in pulls}
    linked = select(LinkedPlace.room_id).where(LinkedPlace.place_id.in_(rooms))
    running = Session.state == SessionState.RECORDING
    soon = (
        (Session.state == SessionState.SCHEDULED)
        & (Booking.from_us <= at_us + DUE_SOON_US)
        & (Booking.to_us > at_us)
    )
    booked = (
        select(Session.id)
        .join(Booking, Booking.session_id == Session.id)
        .where(
            or_(Booking.room_id.in_(rooms), Booking.room_id.in_(linked)),
            Booking.left_us.is_(None),
            running | soon,
        )
    )
    claimed = (
        select(Session.id)
        .join(Claim, Claim.session_id == Session.id)
        .where(
            Claim.stream_id.in_({pull.stream_id for pull in pulls}),
            Claim.withdrawn_us.is_(None),
            Claim.to_us.is_(None),
            running,
        )
    )
    return sorted({*orm.scalars(booked), *orm.scalars(claimed)})
