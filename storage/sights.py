"""What the index knows that a decision about a sight needs: a person with her grants, a stream with
every claim of it and every booking of its room.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BigInteger, BindParameter, bindparam, select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Context, Grant, Person, Presence
from bidwitness.claims import FOREVER
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval
from bidwitness.items import Item, items_in
from bidwitness.rights import NOWHERE, Matter, Whence
from bidwitness.storage.duty_networks import placed
from bidwitness.storage.grants import uses_of
from bidwitness.storage.index import models
from bidwitness.storage.index.reach import USUAL_CLAIM_US, reaches_into
from bidwitness.storage.rights import duties_now, rights_policy, roles_now, scopes_now
from bidwitness.words import (
    Action,
    ClaimClass,
    GrantKind,
    Medium,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)

# How long before a session people come in, and how long after its end they leave.
ENTRY_US = 30 * 60_000_000
AFTER_US = 2 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Concern:
    """A session that footage concerns: by its claim, or (``klass`` empty) by its booking."""

    session_id: str
    kind: SessionKind
    state: SessionState
    interval: Interval
    klass: ClaimClass | None
    items: tuple[Item, ...]
    matters: frozenset[Matter] = frozenset()

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
            matters=self.matters,
        )

    def is_near(self, interval: Interval) -> bool:
        """Say whether an interval lies about its time, as far as a turn of duty reaches."""
        start, end = self.interval.start - ENTRY_US, self.interval.end + AFTER_US
        return Interval(start, end).overlaps(interval)


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
    site_id: str | None = None

    def context(self, interval: Interval) -> Context:
        """Give what ``may`` has to know of a time of the stream."""
        presences = [c.within(interval) for c in self.concerns if c.interval.overlaps(interval)]
        near = [c.within(interval) for c in self.concerns if c.is_near(interval)]
        return Context(
            *(self.stream_id, interval, self.room_kind, tuple(presences)),
            site_id=self.site_id,
            near=tuple(near),
            room_id=self.room_id,
        )


def person_of(orm: Orm, user_id: str, now_us: int, whence: Whence = NOWHERE) -> Person:
    """Give a user as decisions see her now, with all her grants, her scopes and turns of duty, and
    those of whom she stands in for. A disabled user has no role. ``whence``: from where she asks.

    Raises ``NotFound``.
    """
    user = orm.get(models.User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    query = select(models.UserRole.role).where(models.UserRole.user_id == user_id)
    own = [] if user.disabled else orm.scalars(query).all()
    roles, stands_in = roles_now(orm, user_id, own, now_us) if own else (frozenset[Role](), [])
    grants = orm.scalars(select(models.Grant).where(models.Grant.user_id == user_id)).all()
    counted = [row.id for row in grants if row.views is not None]
    used = uses_of(orm, counted) if counted else {}
    policy = rights_policy(orm)
    return Person(
        user_id=user_id,
        roles=roles,
        grants=tuple(
            grant_of(row, used.get(row.id, 0)) for row in grants if row.session_id is not None
        ),
        scopes=scopes_now(orm, user_id, own, stands_in),
        duties=(
            duties_now(orm, [user_id, *(row.absent_id for row in stands_in)], now_us)
            if Role.SUPERVISOR in roles
            else ()
        ),
        policy=policy,
        whence=placed(orm, whence) if policy.duty_at_posts else whence,
    )


def grant_of(row: models.Grant, used: int = 0) -> Grant:
    """Give a grant's row as the value that decisions are made on; ``used``: viewings so far."""
    bounded = row.from_us is not None or row.to_us is not None
    start = row.from_us or 0
    end = FOREVER if row.to_us is None else row.to_us
    return Grant(
        id=row.id,
        session_id=row.session_id or "",
        media=frozenset(Medium(medium) for medium in row.media),
        actions=frozenset(Action(action) for action in row.actions),
        interval=Interval(start, max(end, start + 1)) if bounded else None,
        stream_ids=frozenset(row.stream_ids) if row.stream_ids else None,
        expires_us=row.expires_us,
        revoked=row.revoked_us is not None,
        department=row.department_us is not None or row.kind == GrantKind.DEMAND,
        views=row.views,
        spent=row.views is not None and used >= row.views,
        break_glass=row.kind == GrantKind.BREAK_GLASS,
    )


def stream_view(orm: Orm, stream_id: str, from_us: int, to_us: int | None) -> StreamView:
    """Give a stream with what concerns its footage of ``[from_us, to_us)``, or from then on.

    Raises ``NotFound``.
    """
    return stream_views(orm, [stream_id], from_us, to_us)[0]


# Asked for every piece that a player fetches: put together once, for that costs more than to ask.
_FROM, _UNTIL = bindparam("begin", type_=BigInteger), bindparam("until", type_=BigInteger)
_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_STREAMS = (
    select(models.Stream, models.Camera, models.Room)
    .join(models.Camera, models.Camera.id == models.Stream.camera_id)
    .join(models.Room, models.Room.id == models.Camera.room_id)
    .where(models.Stream.id.in_(_IDS))
)
_TRACKS = select(models.Track.stream_id, models.Track.medium, models.Track.codec).where(
    models.Track.stream_id.in_(_IDS)
)
_CLAIMS = (
    select(
        *(models.Claim.stream_id, models.Claim.from_us, models.Claim.to_us, models.Claim.klass),
        *(models.Session.id, models.Session.kind, models.Session.state),
    )
    .join(models.Session, models.Session.id == models.Claim.session_id)
    .where(
        models.Claim.stream_id.in_(_IDS),
        models.Claim.withdrawn_us.is_(None),
        reaches_into(
            *(models.Claim.from_us, models.Claim.to_us, _FROM, _UNTIL),
            usual_us=USUAL_CLAIM_US,
            open_ended=True,
        ),
    )
    .order_by(models.Claim.from_us)
)
_BOOKINGS = (
    select(
        models.Booking.room_id,
        models.Booking.from_us,
        models.Booking.to_us,
        models.Booking.left_us,
        models.Session.ended_us,
        models.Session.id,
        models.Session.kind,
        models.Session.state,
    )
    .join(models.Session, models.Session.id == models.Booking.session_id)
    .where(
        models.Booking.room_id.in_(_IDS),
        reaches_into(
            *(models.Booking.from_us, models.Booking.to_us, _FROM, _UNTIL),
            usual_us=USUAL_CLAIM_US,
        ),
    )
    .order_by(models.Booking.from_us)
)
_ITEMS = (
    select(
        *(models.Item.session_id, models.Item.lot_id, models.Item.from_us, models.Item.to_us),
        *(models.Lot.phase, models.Project.id, models.Project.category, models.Project.department),
    )
    .join(models.Lot, models.Lot.id == models.Item.lot_id)
    .join(models.Project, models.Project.id == models.Lot.project_id)
    .where(models.Item.session_id.in_(_IDS))
)


def stream_views(
    orm: Orm, stream_ids: Sequence[str], from_us: int, to_us: int | None
) -> list[StreamView]:
    """Give several streams in their order, each as ``stream_view`` does, in as many questions as
    for one. Raises ``NotFound`` if one of them is not there."""
    rows = {row[0].id: row for row in orm.execute(_STREAMS, {"ids": list(stream_ids)})}
    if not rows.keys() >= set(stream_ids):
        raise NotFound("There is no such stream.")
    codecs: dict[str, list[tuple[Medium, str]]] = {stream: [] for stream in rows}
    for owner, medium, codec in orm.execute(_TRACKS, {"ids": list(rows)}):
        codecs[owner].append((medium, codec))
    spans: dict[str, list[_Span]] = {}
    time = {"begin": from_us, "until": FOREVER if to_us is None else to_us}
    claims = orm.execute(_CLAIMS, {"ids": list(rows), **time})
    for owner, start, end, klass, session, kind, state in claims:
        span = _Span(_Sitting(session, kind, state), Interval(start, end or FOREVER), klass)
        spans.setdefault(owner, []).append(span)
    bookings = orm.execute(_BOOKINGS, {"ids": [room.id for _, _, room in rows.values()], **time})
    for owner, start, end, left, ended, session, kind, state in bookings:
        until = min(at for at in (end, left, ended) if at is not None)
        # A booking counts until its session has ended, and not at all if it was cancelled.
        if state != SessionState.CANCELLED and until > start:
            span = _Span(_Sitting(session, kind, state), Interval(start, until), None)
            spans.setdefault(owner, []).append(span)
    items = _items(orm, {span.session.id for found in spans.values() for span in found})
    views: list[StreamView] = []
    for stream_id in stream_ids:
        stream, camera, place = rows[stream_id]
        known = sorted(codecs[stream_id])
        views.append(
            StreamView(
                stream_id=stream_id,
                role=stream.role,
                media=tuple(medium for medium, _ in known),
                codecs=tuple(known),
                camera_id=camera.id,
                camera=camera.name,
                room_id=place.id,
                room=place.name,
                room_kind=place.kind,
                concerns=tuple(
                    Concern(
                        *(span.session.id, span.session.kind, span.session.state),
                        *(span.interval, span.klass),
                        *items.get(span.session.id, ((), frozenset[Matter]())),
                    )
                    for span in (*spans.get(stream_id, ()), *spans.get(place.id, ()))
                ),
                site_id=place.site_id,
            )
        )
    return views


class _Sitting(NamedTuple):
    """What of a session's row matters here; its report is long and would be read each time."""

    id: str
    kind: SessionKind
    state: SessionState


class _Span(NamedTuple):
    """A session with a time for which it claims a stream, or (``klass`` empty) books its room."""

    session: _Sitting
    interval: Interval
    klass: ClaimClass | None


def _items(
    orm: Orm, sessions: Iterable[str]
) -> dict[str, tuple[tuple[Item, ...], frozenset[Matter]]]:
    found: dict[str, tuple[tuple[Item, ...], frozenset[Matter]]] = {}
    rows = orm.execute(_ITEMS, {"ids": list(sessions)})
    for session_id, lot_id, begins, ends, phase, project, category, department in rows:
        start, end = begins or 0, ends or FOREVER
        timed = begins is not None or ends is not None
        interval = Interval(start, end) if timed and end > start else None
        items, matters = found.get(session_id, ((), frozenset[Matter]()))
        matter = Matter(project, category, department)
        found[session_id] = ((*items, Item(lot_id, phase, interval)), matters | {matter})
    return found
