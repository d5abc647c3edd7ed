"""Who is on duty now by approved rosters, and what a display may show because of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Person
from bidwitness.rights import Scope
from bidwitness.showing import Screen
from bidwitness.storage.index.models import Display, Room, Roster, Shift, Substitution, User
from bidwitness.storage.rights import rights_policy
from bidwitness.storage.sights import person_of
from bidwitness.words import Role, RoomKind


@dataclass(frozen=True, slots=True)
class Attendant:
    """A supervisor whose turn it is."""

    username: str
    name: str
    person: Person


def attending(orm: Orm, now_us: int) -> list[Attendant]:
    """Give the supervisors whose turn of duty it is now, and who stands in for them, by name."""
    turns = (
        select(Shift.user_id)
        .join(Roster, Roster.id == Shift.roster_id)
        .where(
            Shift.from_us <= now_us,
            Shift.until_us > now_us,
            Roster.approved_us.is_not(None),
            Roster.ended_us.is_(None),
        )
    )
    standing_in = select(Substitution.user_id).where(
        Substitution.absent_id.in_(turns),
        Substitution.role == Role.SUPERVISOR,
        Substitution.from_us <= now_us,
        Substitution.until_us > now_us,
        Substitution.ended_us.is_(None),
    )
    users = orm.scalars(
        select(User)
        .where(or_(User.id.in_(turns), User.id.in_(standing_in)), User.disabled.is_(False))
        .order_by(User.username)
    ).all()
    found = [Attendant(u.username, u.name, person_of(orm, u.id, now_us)) for u in users]
    return [one for one in found if one.person.duties]


def on_duty_for(scope: Scope, people: Iterable[Attendant]) -> list[Attendant]:
    """Give those whose turn is for the department that a scope names; for any, if it names none."""
    return [
        one
        for one in people
        if scope.department is None
        or any(duty.department == scope.department for duty in one.person.duties)
    ]


def screen_of(orm: Orm, row: Display, people: Iterable[Attendant]) -> Screen:
    """Give a display's row as the value that decisions are made on."""
    room = orm.get(Room, row.room_id) if row.room_id is not None else None
    return Screen(
        id=row.id,
        in_supervision=room is not None and room.kind is RoomKind.SUPERVISION,
        attending=tuple(one.person for one in people),
        policy=rights_policy(orm),
        scope=scope_of(row),
        room_ids=frozenset(row.room_ids),
    )


def scope_of(row: Display) -> Scope:
    """Give what a display shows, but for its list of rooms."""
    return Scope(row.site_id, row.room_kind, row.category, row.department)
