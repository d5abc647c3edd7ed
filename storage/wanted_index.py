"""The wanted state, read from the index. The recorder keeps a copy on disk and goes on with it when
the index is away."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Claim,
    ClassifiedInterval,
    LinkedPlace,
    Profile,
    Room,
    Session,
    Stream,
)
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import Condition, RoomKind, SessionState, StreamRole

# A cut is asked for from so long before its instant until so long after it, in µs.
CUT_WINDOW_US = 10 * 60_000_000
# What was classified is told so long after its end.
TOLD_AFTER_US = 24 * 3600 * 1_000_000


def pulled() -> tuple[ColumnElement[bool], ...]:
    """Give the conditions, over streams, cameras and rooms, under which a stream is pulled."""
    enabled = (Stream.enabled.is_(True), Camera.enabled.is_(True), Camera.removed_us.is_(None))
    return (*enabled, Room.kind != RoomKind.REST)


def wanted_streams(orm: Orm, now_us: int) -> list[WantedStream]:
    """Give all streams to be pulled now, by camera and role. A rest room's never are."""
    rows = orm.execute(
        select(Stream, Camera, Room, Profile.fps)
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .outerjoin(Profile, Profile.id == Stream.profile_id)
        .where(*pulled())
        .order_by(Camera.id, Stream.role)
    ).all()
    cuts = _cuts(orm, now_us)
    classified = _classified(orm, now_us)
    rooms_due, streams_claimed = _in_session(orm, now_us)
    with_main = {stream.camera_id for stream, _, _, _ in rows if stream.role is StreamRole.MAIN}
    return [
        WantedStream(
            stream_id=stream.id,
            camera_id=camera.id,
            camera=camera.name,
            room_id=room.id,
            room=room.name,
            role=stream.role,
            address=stream.address,
            username=camera.username,
            secret=camera.secret,
            record_sound=stream.role is StreamRole.MAIN or camera.id not in with_main,
            cuts=tuple(sorted(cuts.get(room.id, set()) | cuts.get(stream.id, set()))),
            declared_fps=fps,
            basic_in_clear=camera.basic_in_clear,
            unproven_certificate=camera.unproven_certificate,
            classified=classified.get(room.id, ()),
            in_session=room.id in rooms_due or stream.id in streams_claimed,
        )
        for stream, camera, room, fps in rows
    ]


def _cuts(orm: Orm, now_us: int) -> dict[str, set[int]]:
    """Give the instants near now at which footage changes hands: per room by booking, per stream
    by claim. A booked start comes from the booking, so that the recorder knows it beforehand."""
    first, last = now_us - CUT_WINDOW_US, now_us + CUT_WINDOW_US
    near: dict[str, set[int]] = {}
    booked = orm.execute(
        select(Booking.room_id, Booking.from_us)
        .join(Session, Session.id == Booking.session_id)
        .where(
            Session.state == SessionState.SCHEDULED,
            Booking.left_us.is_(None),
            Booking.from_us.between(first, last),
        )
    )
    # A sealed session needs no cut any more: its last segment was closed before it was sealed.
    claimed = orm.execute(
        select(Claim.stream_id, Claim.from_us, Claim.to_us)
        .join(Session, Session.id == Claim.session_id)
        .where(
            Session.state.in_((SessionState.RECORDING, SessionState.ENDED)),
            Claim.withdrawn_us.is_(None),
        )
    )
    for room_id, at in booked:
        near.setdefault(room_id, set()).add(at)
    for stream_id, *ends in claimed:
        near.setdefault(stream_id, set()).update(at for at in ends if at and first <= at <= last)
    return near


def _classified(orm: Orm, now_us: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Give the approved times of each room, beforehand too: without the index they hold as well."""
    query = select(ClassifiedInterval).where(ClassifiedInterval.to_us > now_us - TOLD_AFTER_US)
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for row in orm.scalars(query.order_by(ClassifiedInterval.from_us)):
        if row.from_us < row.to_us:
            found[row.room_id] = (*found.get(row.room_id, ()), (row.from_us, row.to_us))
    return found


def _in_session(orm: Orm, now_us: int) -> tuple[set[str], set[str]]:
    """Give the rooms (linked places too) that a session is about to begin in, and the streams that
    one records."""
    due = (
        select(Booking.room_id)
        .join(Session, Session.id == Booking.session_id)
        .where(
            Session.state.in_((SessionState.SCHEDULED, SessionState.RECORDING)),
            Booking.left_us.is_(None),
            Booking.from_us <= now_us + CUT_WINDOW_US,
            Booking.to_us > now_us,
        )
    )
    rooms = set(orm.scalars(due))
    rooms |= set(orm.scalars(select(LinkedPlace.place_id).where(LinkedPlace.room_id.in_(rooms))))
    claimed = (
        select(Claim.stream_id)
        .join(Session, Session.id == Claim.session_id)
        .where(
            Session.state == SessionState.RECORDING,
            Claim.to_us.is_(None),
            Claim.withdrawn_us.is_(None),
        )
    )
    return rooms, set(orm.scalars(claimed))


def streams_at_recess(orm: Orm) -> set[str]:
    """Give the streams of sessions whose business rests, and of no session that goes on."""
    open_claims = (
        select(Claim.stream_id, Session.condition)
        .join(Session, Session.id == Claim.session_id)
        .where(
            Session.state == SessionState.RECORDING,
            Claim.to_us.is_(None),
            Claim.withdrawn_us.is_(None),
        )
    )
    rows = orm.execute(open_claims).all()
    busy = {stream for stream, condition in rows if condition != Condition.RECESS}
    return {stream for stream, condition in rows if condition == Condition.RECESS} - busy
