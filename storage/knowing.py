"""Who may know of which sessions and rooms: what is written about them, apart from footage."""

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.rights import ASSIGNED, Scope
from bidwitness.storage.index.models import (
    Booking,
    Grant,
    Item,
    Lot,
    Project,
    Room,
    Session,
    UserRole,
)
from bidwitness.storage.rights import roles_now, scopes_now
from bidwitness.words import Role

# They know of every session within their scope; others of what they hold a grant for.
KNOWS_SESSIONS = frozenset(
    {
        Role.SUPERVISOR,
        Role.VENUE,
        Role.ATTESTOR,
        Role.ARCHIVIST,
        Role.DIRECTOR,
        Role.SECURITY_ADMIN,
        Role.SERVICE,
    }
)
# They know of every room and its cameras, for they look after these.
KNOWS_ROOMS = frozenset({Role.SYSTEM_ADMIN, Role.OPERATOR})


def known_sessions(orm: Orm, user_id: str, now_us: int) -> ColumnElement[bool] | None:
    """Give the condition on ``Session`` under which somebody may know of one; None: of all."""
    _, scopes = _reach(orm, user_id, now_us)
    return None if scopes is None else _any_of(user_id, scopes, now_us)


def known_rooms(orm: Orm, user_id: str, now_us: int) -> ColumnElement[bool] | None:
    """Give the condition on ``Room`` under which somebody may know of one; None: of all.

    Those of her scope's place, and those that are booked by a session she may know of.
    """
    roles, scopes = _reach(orm, user_id, now_us)
    if roles & KNOWS_ROOMS or scopes is None:
        return None
    places = [_at(scope) for scope in scopes if scope.is_of_place]
    sessions = _any_of(user_id, scopes, now_us)
    booked = select(Booking.room_id).join(Session).where(sessions)
    return or_(Room.id.in_(booked), *places)


def _reach(orm: Orm, user_id: str, now_us: int) -> tuple[frozenset[Role], list[Scope] | None]:
    """Give somebody's roles, and where those that know of sessions hold; None: everywhere."""
    own = orm.scalars(select(UserRole.role).where(UserRole.user_id == user_id)).all()
    roles, stands_in = roles_now(orm, user_id, own, now_us)
    found = scopes_now(orm, user_id, own, stands_in)
    scopes: list[Scope] = []
    for role in roles & KNOWS_SESSIONS:
        hers = [scope for holder, scope in found if holder == role]
        if not hers and role not in ASSIGNED:
            return roles, None
        scopes += hers
    return roles, scopes


def _any_of(user_id: str, scopes: list[Scope], now_us: int) -> ColumnElement[bool]:
    granted = select(Grant.session_id).where(
        Grant.user_id == user_id,
        Grant.session_id.is_not(None),
        Grant.revoked_us.is_(None),
        or_(Grant.expires_us.is_(None), Grant.expires_us > now_us),
    )
    return or_(Session.id.in_(granted), *(_within(scope) for scope in scopes))


def _at(scope: Scope) -> ColumnElement[bool]:
    parts = []
    if scope.site_id is not None:
        parts.append(Room.site_id == scope.site_id)
    if scope.room_kind is not None:
        parts.append(Room.kind == scope.room_kind)
    return and_(*parts)


def _within(scope: Scope) -> ColumnElement[bool]:
    """Give the condition that a session lies in a scope: in one of its rooms, about its matters."""
    parts: list[ColumnElement[bool]] = []
    if scope.session_id is not None:
        parts.append(Session.id == scope.session_id)
    if scope.site_id is not None or scope.room_kind is not None:
        rooms = select(Booking.session_id).join(Room, Room.id == Booking.room_id).where(_at(scope))
        parts.append(Session.id.in_(rooms))
    if scope.category is not None or scope.department is not None:
        lots = select(Item.session_id).join(Lot, Lot.id == Item.lot_id).join(Project)
        if scope.category is not None:
            lots = lots.where(Project.category == scope.category)
        if scope.department is not None:
            lots = lots.where(Project.department == scope.department)
        parts.append(Session.id.in_(lots))
    return and_(*parts)
