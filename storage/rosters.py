"""Duty rosters (值守): a department's turns, of effect once somebody else has approved them.

The right to watch follows from the roster for each session as it appears; none is written for it.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.errors import Conflict, Forbidden, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Project, Roster, Shift, User, UserRole
from bidwitness.words import ProjectCategory, Role

MAX_SHIFTS = 500
# A turn is watched by one person: nobody watches for a month on end.
MAX_SHIFT_US = 24 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class NewShift:
    """One supervisor's turn (µs UTC)."""

    username: str
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class NewRoster:
    """Whose turn it is to watch a department's sessions, of these categories or projects or all."""

    department: str
    shifts: tuple[NewShift, ...]
    reason: str
    categories: tuple[ProjectCategory, ...] = ()
    project_codes: tuple[str, ...] = ()
    document_no: str | None = None


def make_roster(orm: Orm, who: Who, at_us: int, new: NewRoster) -> Roster:
    """Write a roster down; it waits for its approval.

    Raises ``InvalidInput`` for people who are no supervisors, projects or times that are none.
    """
    codes = set(new.project_codes)
    query = select(Project.code, Project.id).where(Project.code.in_(codes))
    projects = {row.code: row.id for row in orm.execute(query)}
    unknown = sorted(codes - projects.keys())
    if unknown:
        raise InvalidInput(
            f"There is no project {unknown[0]}.", fields={"project_codes": "holds one that is none"}
        )
    roster = Roster(
        department=new.department,
        categories=sorted({category.value for category in new.categories}),
        projects=sorted(projects.values()),
        reason=new.reason,
        document_no=new.document_no,
        made_us=at_us,
        made_by=who.name,
        shifts=[
            Shift(
                user_id=_supervisor(orm, shift.username, number),
                from_us=shift.from_us,
                until_us=_end_of(shift, number),
            )
            for number, shift in enumerate(new.shifts)
        ],
    )
    orm.add(roster)
    orm.flush()
    facts = {
        "department": new.department,
        "categories": roster.categories,
        "projects": roster.projects,
        "shifts": [[s.username, s.from_us, s.until_us] for s in new.shifts],
    }
    leave_audit_entry(
        orm, who, "roster.make", f"roster:{roster.id}", at_us, reason=new.reason, facts=facts
    )
    return roster


def _supervisor(orm: Orm, username: str, number: int) -> str:
    found = orm.scalar(
        select(User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(
            User.username == username,
            User.disabled.is_(False),
            UserRole.role == Role.SUPERVISOR,
        )
    )
    if found is None:
        raise InvalidInput(
            f"{username} is no supervisor: only supervisors are on duty.",
            fields={f"shifts.{number}.username": "is no supervisor"},
        )
    return found


def _end_of(shift: NewShift, number: int) -> int:
    if not shift.from_us < shift.until_us <= shift.from_us + MAX_SHIFT_US:
        raise InvalidInput(
            "A turn ends after it begins, and within 24 hours.",
            fields={f"shifts.{number}.until": "is not such a time"},
        )
    return shift.until_us


def approve_roster(orm: Orm, who: Who, at_us: int, roster_id: str) -> Roster:
    """Approve a roster, once: from now on its turns hold.

    Raises ``NotFound``, ``Conflict``, and ``Forbidden`` for whoever wrote it or is on it.
    """
    roster = get_roster(orm, roster_id)
    if roster.approved_us is not None or roster.ended_us is not None:
        raise Conflict("The roster was approved or ended before.")
    if who.name == roster.made_by or who.user_id in {shift.user_id for shift in roster.shifts}:
        raise Forbidden("A roster is approved by somebody who neither wrote it nor is on it.")
    roster.approved_us, roster.approved_by = at_us, who.name
    leave_audit_entry(orm, who, "roster.approve", f"roster:{roster_id}", at_us)
    return roster


def end_roster(orm: Orm, who: Who, at_us: int, roster_id: str, reason: str) -> Roster:
    """End a roster at once, approved or not. Raises ``NotFound``, ``Conflict``."""
    roster = get_roster(orm, roster_id)
    if roster.ended_us is not None:
        raise Conflict("The roster was ended before.")
    roster.ended_us, roster.ended_by = at_us, who.name
    leave_audit_entry(orm, who, "roster.end", f"roster:{roster_id}", at_us, reason=reason)
    return roster


def get_roster(orm: Orm, roster_id: str) -> Roster:
    """Give a roster with its turns. Raises ``NotFound``."""
    roster = orm.get(Roster, roster_id, options=[selectinload(Roster.shifts)])
    if roster is None:
        raise NotFound("There is no such roster.")
    return roster
