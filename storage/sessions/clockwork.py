"""What the time itself does to sessions: starts them, claims for them, and says what is wrong.

Called by `keep` every second under the site's lock; to call it late, twice or after a crash
changes nothing but when things are noticed. Sealing is beside it (``storage.sessions.seal``): it
reads footage, and may take long.
"""

import logging
from collections.abc import Callable

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm.exc import StaleDataError

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError, IndexUnavailable
from bidwitness.session import AlarmKind, Verb, due_transition
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Alarm,
    Booking,
    Camera,
    Claim,
    LinkedPlace,
    Session,
    Stream,
)
from bidwitness.storage.sessions.claiming import Claiming
from bidwitness.storage.sessions.commands import SessionCommands
from bidwitness.storage.sessions.loading import (
    load_session,
    own_claims,
    view_of,
    wanted_streams,
)
from bidwitness.storage.sessions.seal import CLOCKWORK
from bidwitness.words import ClaimClass, SessionState

log = logging.getLogger(__name__)


def tick(database: Database, clock: Clock, settings: Settings) -> None:
    """Do what is due now: starts, claims of bookings and cameras that came later, alarms.

    Each session in a short transaction of its own; one that fails is logged and the others go on.
    Raises ``IndexUnavailable``.
    """
    now = clock.utc_us()
    with database.read() as orm:
        to_start = orm.scalars(
            select(Session.id)
            .where(Session.state == SessionState.SCHEDULED, Session.planned_from_us <= now)
            .order_by(Session.planned_from_us, Session.id)
        ).all()
        to_claim = unclaimed(orm, now)
        overrun = orm.scalars(_overrun(now)).all()
    for session_id in to_start:
        _each(database, session_id, lambda orm, key: _start(orm, clock, settings, key))
    for session_id in to_claim:
        _each(database, session_id, lambda orm, key: _claim(orm, clock, settings, key))
    for session_id in overrun:
        _each(database, session_id, lambda orm, key: _say_overrun(orm, clock, key))


def _each(database: Database, session_id: str, act: Callable[[Orm, str], None]) -> None:
    try:
        with database.write() as orm:
            act(orm, session_id)
    except IndexUnavailable:
        raise
    except (BidWitnessError, BadRecord, IntegrityError, StaleDataError) as error:
        # One session that cannot be written must not keep the others from starting.
        facts = {"session": session_id, "why": str(error)}
        log.error("the clockwork could not serve a session", extra={"facts": facts})


def _start(orm: Orm, clock: Clock, settings: Settings, session_id: str) -> None:
    """Start a session whose time has come, or say whom it waits for."""
    session = load_session(orm, session_id)
    now = clock.utc_us()
    view = view_of(orm, session, now)
    due = due_transition(view, now)
    if AlarmKind.OVERLAP in due.alarms:
        raise_alarm(
            orm,
            AlarmKind.OVERLAP,
            f"session:{session_id}",
            now,
            cause=f"waits for session {', '.join(view.occupied_by)}, which records in its rooms",
            room_id=session.bookings[0].room_id,
        )
    if due.verb == Verb.START:
        at = start_instant(orm, session, now)
        SessionCommands(orm, clock, settings, CLOCKWORK, None).start(session_id, at_us=at)


def start_instant(orm: Orm, session: Session, now_us: int) -> int:
    """Give when a session that is started now did start (µs UTC).

    At its planned start, however late the clockwork looks; if it was planned only afterwards, when
    it was; if others had its rooms until later, in the very instant the last of them ended.
    """
    at = max(session.planned_from_us, session.created_us)
    for wanted in wanted_streams(orm, session.bookings):
        if wanted.klass == ClaimClass.OWN and wanted.booking.from_us <= session.planned_from_us:
            before = own_claims(orm, wanted.stream_id, at, now_us)
            # An end that is still to come is a post-roll, which yields.
            ends = [claim.end for claim in before if claim.end is not None]
            at = max([at, *(end for end in ends if end <= now_us)])
    return min(at, now_us)


def _claim(orm: Orm, clock: Clock, settings: Settings, session_id: str) -> None:
    """Claim what a running session's bookings want and it does not have yet."""
    session = load_session(orm, session_id)
    if session.state != SessionState.RECORDING:
        return
    now = clock.utc_us()
    _, held = Claiming(orm, settings, session, CLOCKWORK, now).open_due(now)
    subject = f"session:{session_id}"
    if held:
        owners = {claim.session_id for stream in held for claim in own_claims(orm, stream, now)}
        cause = f"waits for session {', '.join(sorted(owners))} to leave {len(held)} stream(s)"
        raise_alarm(orm, AlarmKind.OVERLAP, subject, now, cause=cause)
    else:
        clear_alarm(orm, AlarmKind.OVERLAP, subject, now)


def _say_overrun(orm: Orm, clock: Clock, session_id: str) -> None:
    session = load_session(orm, session_id)
    now = clock.utc_us()
    if AlarmKind.OVERRUN in due_transition(view_of(orm, session, now), now).alarms:
        raise_alarm(
            orm,
            AlarmKind.OVERRUN,
            f"session:{session_id}",
            now,
            cause="records past its planned end: end it or extend it",
            room_id=session.bookings[0].room_id,
        )


def _overrun(now_us: int) -> Select[str]:
    """Ask for the sessions that overrun and have no alarm for it."""
    said = exists().where(
        Alarm.kind == AlarmKind.OVERRUN,
        Alarm.subject == "session:" + Session.id,
        Alarm.cleared_us.is_(None),
    )
    return select(Session.id).where(
        Session.state == SessionState.RECORDING, Session.planned_to_us <= now_us, ~said
    )


def unclaimed(orm: Orm, now_us: int) -> list[str]:
    """Name the running sessions with a booked stream, or one of a linked place, unclaimed.

    Two questions for the whole site, asked every second.
    """
    found: set[str] = set()
    for linked in (False, True):
        place = Booking.room_id == Camera.room_id
        query = select(Session.id, Booking.seat_ids, Stream.seat_id).join(Booking)
        if linked:
            query = query.join(LinkedPlace, LinkedPlace.room_id == Booking.room_id)
            place = LinkedPlace.place_id == Camera.room_id
        claimed = exists().where(
            Claim.session_id == Session.id,
            Claim.stream_id == Stream.id,
            Claim.to_us.is_(None),
            Claim.withdrawn_us.is_(None),
        )
        query = (
            query.join(Camera, place)
            .join(Stream, Stream.camera_id == Camera.id)
            .where(
                Session.state == SessionState.RECORDING,
                Booking.left_us.is_(None),
                or_(Booking.from_us <= now_us, Booking.from_us <= Session.planned_from_us),
                Camera.enabled,
                Camera.removed_us.is_(None),
                Stream.enabled,
                ~claimed,
            )
        )
        for session_id, seats, seat in orm.execute(query):
            if linked or not seats or seat in seats:
                found.add(session_id)
    return sorted(found)
