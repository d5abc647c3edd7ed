"""Load a session to change it, and say what the state machine must know of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness import claims as pure
from bidwitness.claims import Margins
from bidwitness.config import Settings
from bidwitness.errors import Conflict, NotFound
from bidwitness.session import SessionView
from bidwitness.storage.index.claims import own_claims_overlapping
from bidwitness.storage.index.models import Booking, Camera, Claim, LinkedPlace, Session, Stream
from bidwitness.words import ClaimClass, SessionKind, SessionState

SECOND = 1_000_000


def margins(settings: Settings, kind: SessionKind) -> Margins:
    """Give how far claims of such a session reach beyond its plan."""
    # The same for every kind until kinds have settings of their own.
    return Margins(
        lead_in_us=settings.lead_in_seconds * SECOND,
        pre_roll_us=settings.pre_roll_seconds * SECOND,
        post_roll_us=settings.post_roll_seconds * SECOND,
    )


def load_session(
    orm: Orm, session_id: str, *, version: int | None = None, lock: bool = True
) -> Session:
    """Give a session with its items, bookings and claims, locked until the transaction ends.

    Without ``lock`` it is only to be read. Raises ``NotFound``, and ``Conflict`` if the caller
    saw another ``version`` of it.
    """
    query = (
        select(Session)
        .where(Session.id == session_id)
        .options(
            selectinload(Session.items),
            selectinload(Session.bookings),
            selectinload(Session.claims),
        )
        .execution_options(populate_existing=True)
    )
    session = orm.scalars(query.with_for_update() if lock else query).first()
    if session is None:
        raise NotFound("There is no such session.")
    if version is not None and version != session.version:
        raise Conflict("Somebody else has changed the session since. Load it again.")
    return session


def as_claim(row: Claim) -> pure.Claim:
    """Give a claim's row as the value that decisions are made on."""
    return pure.Claim(
        row.session_id,
        row.stream_id,
        row.from_us,
        row.to_us,
        row.klass,
        claim_id=row.id,
        reason=row.reason,
    )


def own_claims(
    orm: Orm, stream_id: str, from_us: int, to_us: int | None = None
) -> list[pure.Claim]:
    """Give the standing ``own`` claims of a stream from ``from_us`` on, as values."""
    return [as_claim(row) for row in own_claims_overlapping(orm, stream_id, from_us, to_us)]


def standing(session: Session) -> list[Claim]:
    """Give the session's claims that have not been withdrawn."""
    return [claim for claim in session.claims if claim.withdrawn_us is None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream that a booking claims. ``since_us``: when its camera came to the place."""

    stream_id: str
    klass: ClaimClass
    booking: Booking
    since_us: int


def wanted_streams(orm: Orm, bookings: Iterable[Booking]) -> list[Wanted]:
    """Give each stream that the bookings not left claim, once; ``own`` before ``linked``.

    Seats claim their own streams only: a room's overview belongs to nobody while seats are used.
    """
    found: dict[str, Wanted] = {}
    here = [b for b in sorted(bookings, key=lambda b: (b.from_us, b.id)) if b.left_us is None]
    for booking in here:
        for stream, camera in _streams_of(orm, {booking.room_id}):
            if not booking.seat_ids or stream.seat_id in booking.seat_ids:
                wanted = Wanted(stream.id, ClaimClass.OWN, booking, camera.created_us)
                found.setdefault(stream.id, wanted)
    for booking in here:
        query = select(LinkedPlace.place_id).where(LinkedPlace.room_id == booking.room_id)
        for stream, camera in _streams_of(orm, set(orm.scalars(query))):
            wanted = Wanted(stream.id, ClaimClass.LINKED, booking, camera.created_us)
            found.setdefault(stream.id, wanted)
    return list(found.values())


def _streams_of(orm: Orm, rooms: set[str]) -> list[tuple[Stream, Camera]]:
    query = (
        select(Stream, Camera)
        .join(Camera)
        .where(
            Camera.room_id.in_(rooms),
            Camera.enabled,
            Camera.removed_us.is_(None),
            Stream.enabled,
        )
        .order_by(Camera.name, Stream.role)
    )
    return [(stream, camera) for stream, camera in orm.execute(query)]


def occupants(
    orm: Orm, session: Session, bookings: Iterable[Booking], now_us: int
) -> tuple[str, ...]:
    """Name the sessions that record, now, streams that these bookings would claim now."""
    # A session that starts early takes the rooms of its planned start at once.
    latest = max(now_us, session.planned_from_us)
    due = [booking for booking in bookings if booking.from_us <= latest]
    streams = [w.stream_id for w in wanted_streams(orm, due) if w.klass == ClaimClass.OWN]
    query = (
        select(Claim.session_id)
        .join(Session)
        .where(
            Claim.stream_id.in_(streams),
            Claim.klass == ClaimClass.OWN,
            Claim.withdrawn_us.is_(None),
            Claim.to_us.is_(None),
            Session.state == SessionState.RECORDING,
            Session.id != session.id,
        )
        .distinct()
    )
    return tuple(sorted(orm.scalars(query)))


def closed_by_the_end(session: Session) -> list[Claim]:
    """Give the claims that ended with the session, which undoing its end opens again."""
    if session.ended_us is None:
        return []
    here = {booking.id for booking in session.bookings if booking.left_us is None}
    return [
        claim
        for claim in standing(session)
        if claim.booking_id in here and claim.to_us is not None and claim.to_us >= session.ended_us
    ]


def view_of(
    orm: Orm,
    session: Session,
    now_us: int,
    *,
    bookings: Iterable[Booking] | None = None,
    damaged: tuple[str, ...] = (),
) -> SessionView:
    """Give what the machine needs to know of a session; ``bookings`` if it is to move into them."""
    occupied: tuple[str, ...] = ()
    if session.state == SessionState.SCHEDULED or bookings is not None:
        rooms = session.bookings if bookings is None else bookings
        occupied = occupants(orm, session, rooms, now_us)
    closed = closed_by_the_end(session) if session.state == SessionState.ENDED else []
    own = [claim for claim in closed if claim.klass == ClaimClass.OWN]
    since = frozenset(
        claim.stream_id
        for claim in own
        if any(
            other.session_id != session.id
            for other in own_claims(orm, claim.stream_id, claim.to_us or now_us)
        )
    )
    return SessionView(
        id=session.id,
        state=session.state,
        condition=session.condition,
        planned_from_us=session.planned_from_us,
        planned_to_us=session.planned_to_us,
        undo_until_us=session.undo_until_us,
        occupied_by=occupied,
        streams=tuple(claim.stream_id for claim in own),
        claimed_since=since,
        damaged=damaged,
    )
