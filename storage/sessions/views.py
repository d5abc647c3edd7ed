"""Sessions as they are shown: a page of a list, or one with all that is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.config import Settings
from bidwitness.coverage import MILLION
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval
from bidwitness.session import possible
from bidwitness.storage.index.models import (
    Alarm,
    Booking,
    ConditionChange,
    Item,
    Lot,
    Project,
    Room,
    Session,
    SessionRelation,
)
from bidwitness.storage.ledger.proving import LogPosition, log_position
from bidwitness.storage.sessions.report import report_json
from bidwitness.storage.sessions.reporting import session_report
from bidwitness.words import SessionState


@dataclass(frozen=True, slots=True)
class Wish:
    """Which sessions to list. ``known``: only those of which it is true."""

    state: SessionState | None = None
    room_id: str | None = None
    q: str | None = None
    known: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    project_code: str
    project_name: str
    lot_code: str
    lot_name: str
    lot_id: str
    from_us: int | None
    to_us: int | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with its lots, its rooms' names and its figures.

    ``report``: due interval, coverage and gaps as stored at the seal, or as known now.
    """

    session: Session
    items: tuple[ItemView, ...]
    rooms: Mapping[str, str]
    report: Mapping[str, Any]

    @property
    def due(self) -> Interval | None:
        span = self.report["due"]
        return Interval(span["from"], span["to"]) if span else None

    @property
    def coverage(self) -> float | None:
        """Recorded ÷ due, 0 to 1; nothing where nothing was due. Rounded down: 1 has no gap."""
        ppm = self.report["coverage_ppm"]
        return None if ppm is None else ppm / MILLION

    @property
    def gaps(self) -> int:
        return int(self.report["gaps"])


def list_sessions(
    orm: Orm,
    settings: Settings,
    now_us: int,
    wish: Wish,
    *,
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> tuple[list[SessionView], tuple[int, str] | None]:
    """Give a page of sessions, the latest planned first, and the place of its last one.

    ``after``: the place (planned start, id) that the page before ended with. The place is empty
    when nothing follows.
    """
    query = (
        select(Session)
        .where(*_conditions(wish))
        .options(
            selectinload(Session.items),
            selectinload(Session.bookings),
        )
        .order_by(Session.planned_from_us.desc(), Session.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        planned, last_id = after
        query = query.where(
            # By itself a bound for the index; the other two conditions are none together.
            Session.planned_from_us <= planned,
            or_(Session.planned_from_us < planned, Session.id < last_id),
        )
    rows = list(orm.scalars(query))
    page = rows[:limit]
    place = (page[-1].planned_from_us, page[-1].id) if len(rows) > limit else None
    return _views(orm, settings, now_us, page), place


def view_session(orm: Orm, settings: Settings, now_us: int, session_id: str) -> SessionView:
    """Give one session. Raises ``NotFound``."""
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    return _views(orm, settings, now_us, [session])[0]


def _conditions(wish: Wish) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wish.state is not None:
        found.append(Session.state == wish.state)
    if wish.room_id is not None:
        found.append(
            Session.id.in_(select(Booking.session_id).where(Booking.room_id == wish.room_id))
        )
    if wish.q:
        named = (
            select(Item.session_id)
            .join(Lot, Lot.id == Item.lot_id)
            .join(Project, Project.id == Lot.project_id)
            .where(
                or_(
                    Project.code.icontains(wish.q, autoescape=True),
                    Project.name.icontains(wish.q, autoescape=True),
                )
            )
        )
        found.append(Session.id.in_(named))
    if wish.known is not None:
        found.append(wish.known)
    return found


def _views(
    orm: Orm, settings: Settings, now_us: int, sessions: Sequence[Session]
) -> list[SessionView]:
    items = _items(orm, [session.id for session in sessions])
    room_ids = {b.room_id for session in sessions for b in session.bookings}
    rooms = orm.scalars(select(Room).where(Room.id.in_(room_ids)))
    names = {room.id: room.name for room in rooms}
    return [
        SessionView(
            session,
            tuple(items.get(session.id, ())),
            names,
            session.report or report_json(session_report(orm, settings, session, now_us)),
        )
        for session in sessions
    ]


def _items(orm: Orm, sessions: Sequence[str]) -> dict[str, list[ItemView]]:
    query = (
        select(Item, Lot, Project)
        .join(Lot, Lot.id == Item.lot_id)
        .join(Project, Project.id == Lot.project_id)
        .where(Item.session_id.in_(sessions))
        .order_by(Project.code, Lot.code, Item.from_us)
    )
    found: dict[str, list[ItemView]] = {}
    for item, lot, project in orm.execute(query):
        found.setdefault(item.session_id, []).append(
            ItemView(
                project.code,
                project.name,
                lot.code,
                lot.name or "",
                lot.id,
                item.from_us,
                item.to_us,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Details:
    """What the page of one session shows besides its line in the list."""

    conditions: tuple[ConditionChange, ...]
    relations: tuple[SessionRelation, ...]
    alarms: tuple[Alarm, ...]
    possible: tuple[str, ...]
    log: LogPosition | None


def session_details(orm: Orm, session: Session) -> Details:
    """Give the course of a session: changes of condition, relations both ways, open alarms, the
    commands that its state knows, and where its close stands in the log."""
    conditions = orm.scalars(
        select(ConditionChange)
        .where(ConditionChange.session_id == session.id)
        .order_by(ConditionChange.id)
    )
    relations = orm.scalars(
        select(SessionRelation).where(
            or_(SessionRelation.session_id == session.id, SessionRelation.other_id == session.id)
        )
    )
    alarms = orm.scalars(
        select(Alarm)
        .where(Alarm.subject == f"session:{session.id}", Alarm.cleared_us.is_(None))
        .order_by(Alarm.raised_us)
    )
    return Details(
        tuple(conditions),
        tuple(relations),
        tuple(alarms),
        tuple(possible(session.state, session.condition)),
        log_position(orm, session.id) if session.sealed_us is not None else None,
    )
