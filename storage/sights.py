"""What the index knows that a decision about a sight needs: a person with her grants, a stream with
every claim of it and every booking of its room.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Context, Grant, Person, Presence
from bidwitness.claims import FOREVER
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval
from bidwitness.items import Item, items_in
from bidwitness.storage.index import models
from bidwitness.storage.index.reach import USUAL_CLAIM_US, reaches_into
from bidwitness.words import (
    Action,
    ClaimClass,
    Medium,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)


@dataclass(frozen=True, slots=True)
class Concern:
    """A session that footage concerns: by its claim, or (``klass`` empty) by its booking."""

    session_id: str
    kind: SessionKind
    state: SessionState
    interval: Interval
    klass: ClaimClass | None
    items: tuple[Item, ...]

    def within(self, interval: Interval) -> Presence:
        """Give what it is to one of the times that it overlaps."""
        items = items_in(self.items, interval)
        return Presence(
            session_id=self.session_id,
            kind=self.kind,
            state=self.state,
            interval=self.interval,
            klass=self.klass,
            phases=tuple(item.phase for item in items),
        )


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream, where it stands, and every session that its footage concerns in a time."""

    stream_id: str
    role: StreamRole
    media: tuple[Medium, ...]
    codecs: tuple[tuple[Medium, str], ...]
    camera_id: str
    camera: str
    room_id: str
    room: str
    room_kind: RoomKind
    concerns: tuple[Concern, ...]

    def context(self, interval: Interval) -> Context:
        """Give what ``may`` has to know of a time of the stream."""
        presences = [c.within(interval) for c in self.concerns if c.interval.overlaps(interval)]
        return Context(self.stream_id, interval, self.room_kind, tuple(presences))


def person_of(orm: Orm, user_id: str) -> Person:
    """Give a user as decisions see her, with all her grants. A disabled user has no role.

    Raises ``NotFound``.
    """
    user = orm.get(models.User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    roles = orm.scalars(select(models.UserRole.role).where(models.UserRole.user_id == user_id))
    grants = orm.scalars(select(models.Grant).where(models.Grant.user_id == user_id))
    return Person(
        user_id=user_id,
        roles=frozenset() if user.disabled else frozenset(roles),
        grants=tuple(grant_of(row) for row in grants if row.session_id is not None),
    )


def grant_of(row: models.Grant) -> Grant:
    """Give a grant's row as the value that decisions are made on."""
    bounded = row.from_us is not None or row.to_us is not None
    start = row.from_us or 0
    end = FOREVER if row.to_us is None else row.to_us
    return Grant(
        id=row.id,
        session_id=row.session_id or "",
        media=frozenset(Medium(medium) for medium in row.media),
        actions=frozenset(Action(action) for action in row.actions),
        interval=Interval(start, max(end, start + 1)) if bounded else None,
        expires_us=row.expires_us,
        revoked=row.revoked_us is not None,
    )


def stream_view(orm: Orm, stream_id: str, from_us: int, to_us: int | None) -> StreamView:
    """Give a stream with what concerns its footage of ``[from_us, to_us)``, or from then on.

    Raises ``NotFound``.
    """
    row = orm.execute(
        select(models.Stream, models.Camera, models.Room)
        .join(models.Camera, models.Camera.id == models.Stream.camera_id)
        .join(models.Room, models.Room.id == models.Camera.room_id)
        .where(models.Stream.id == stream_id)
    ).first()
    if row is None:
        raise NotFound("There is no such stream.")
    stream, camera, room = row
    tracks = orm.scalars(select(models.Track).where(models.Track.stream_id == stream_id))
    codecs = sorted((track.medium, track.codec) for track in tracks)
    until = FOREVER if to_us is None else to_us
    spans = _claims(orm, stream_id, from_us, until) + _bookings(orm, room.id, from_us, until)
    return StreamView(
        stream_id=stream_id,
        role=stream.role,
        media=tuple(medium for medium, _ in codecs),
        codecs=tuple(codecs),
        camera_id=camera.id,
        camera=camera.name,
        room_id=room.id,
        room=room.name,
        room_kind=room.kind,
        concerns=_concerns(orm, spans),
    )


_Span = tuple[str, Interval, ClaimClass | None]


def _claims(orm: Orm, stream_id: str, from_us: int, until: int) -> list[_Span]:
    query = select(models.Claim).where(
        models.Claim.stream_id == stream_id,
        models.Claim.withdrawn_us.is_(None),
        reaches_into(
            models.Claim.from_us,
            models.Claim.to_us,
            from_us,
            until,
            usual_us=USUAL_CLAIM_US,
            open_ended=True,
        ),
    )
    return [
        (row.session_id, Interval(row.from_us, row.to_us or FOREVER), row.klass)
        for row in orm.scalars(query.order_by(models.Claim.from_us))
    ]


def _bookings(orm: Orm, room_id: str, from_us: int, until: int) -> list[_Span]:
    query = select(models.Booking).where(
        models.Booking.room_id == room_id,
        reaches_into(
            models.Booking.from_us, models.Booking.to_us, from_us, until, usual_us=USUAL_CLAIM_US
        ),
    )
    spans: list[_Span] = []
    for row in orm.scalars(query):
        end = row.to_us if row.left_us is None else min(row.to_us, row.left_us)
        if end > row.from_us:
            spans.append((row.session_id, Interval(row.from_us, end), None))
    return spans


def _concerns(orm: Orm, spans: list[_Span]) -> tuple[Concern, ...]:
    ids = {session_id for session_id, _, _ in spans}
    found = orm.scalars(select(models.Session).where(models.Session.id.in_(ids)))
    sessions = {session.id: session for session in found}
    items: dict[str, list[Item]] = {session_id: [] for session_id in ids}
    for row, phase in orm.execute(
        select(models.Item, models.Lot.phase)
        .join(models.Lot, models.Lot.id == models.Item.lot_id)
        .where(models.Item.session_id.in_(ids))
    ):
        start, end = row.from_us or 0, row.to_us or FOREVER
        timed = row.from_us is not None or row.to_us is not None
        interval = Interval(start, end) if timed and end > start else None
        items[row.session_id].append(Item(row.lot_id, phase, interval))
    out: list[Concern] = []
    for session_id, interval, klass in spans:
        session = sessions[session_id]
        if klass is None:
            shortened = _booked_until(session, interval)
            if shortened is None:
                continue
            interval = shortened
        out.append(
            Concern(
                session_id,
                session.kind,
                session.state,
                interval,
                klass,
                tuple(items[session_id]),
            )
        )
    return tuple(out)


def _booked_until(session: models.Session, interval: Interval) -> Interval | None:
    """A booking counts until its session has ended, and not at all if it was cancelled."""
    if session.state == SessionState.CANCELLED:
        return None
    end = interval.end if session.ended_us is None else min(interval.end, session.ended_us)
    return Interval(interval.start, end) if end > interval.start else None
