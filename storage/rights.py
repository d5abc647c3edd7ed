"""Where people's roles hold: scopes, substitution for a time, and the settings of the rights.

Made by the security administrator (an attestor's session by the venue), ended, never removed.
"""

import dataclasses
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.rights import ASSIGNED, Duty, RightsPolicy, Scope, check_together
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import (
    RightsSetting,
    RoleScope,
    Roster,
    Session,
    Shift,
    Site,
    Substitution,
    User,
    UserRole,
)
from bidwitness.words import ProjectCategory, Role

# Longer than that is no substitution but another post.
MAX_SUBSTITUTION_US = 90 * 86_400_000_000
SETTINGS = tuple(field.name for field in dataclasses.fields(RightsPolicy))


def rights_policy(orm: Orm) -> RightsPolicy:
    """Give the settings of the rights as they are now."""
    rows = orm.execute(select(RightsSetting.name, RightsSetting.chosen))
    return RightsPolicy(**{name: chosen for name, chosen in rows if name in SETTINGS})


def set_rights(orm: Orm, who: Who, at_us: int, chosen: dict[str, bool]) -> RightsPolicy:
    """Change settings of the rights, by the names of ``RightsPolicy``.

    Raises ``InvalidInput`` for a name that is none.
    """
    unknown = sorted(set(chosen) - set(SETTINGS))
    if unknown:
        raise InvalidInput("There is no such setting.", fields=dict.fromkeys(unknown, "is unknown"))
    before = rights_policy(orm)
    for name, value in chosen.items():
        orm.merge(RightsSetting(name=name, chosen=value, changed_us=at_us, changed_by=who.name))
    orm.flush()
    after = rights_policy(orm)
    if after != before:
        facts = {"before": dataclasses.asdict(before), "after": dataclasses.asdict(after)}
        leave_audit_entry(orm, who, "rights.set", "rights", at_us, facts=facts)
    return after


def substitutions_of(orm: Orm, user_id: str, now_us: int) -> list[Substitution]:
    """Give for whom somebody stands in now, as far as the absent still have the role."""
    query = (
        select(Substitution)
        .join(
            UserRole,
            (UserRole.user_id == Substitution.absent_id) & (UserRole.role == Substitution.role),
        )
        .where(
            Substitution.user_id == user_id,
            Substitution.from_us <= now_us,
            Substitution.until_us > now_us,
            Substitution.ended_us.is_(None),
        )
    )
    return list(orm.scalars(query))


def roles_now(
    orm: Orm, user_id: str, own: Iterable[Role], now_us: int
) -> tuple[frozenset[Role], list[Substitution]]:
    """Give somebody's roles with those she has for a time, and why she has these."""
    stands_in = substitutions_of(orm, user_id, now_us)
    return frozenset(own) | {row.role for row in stands_in}, stands_in


def scopes_now(
    orm: Orm, user_id: str, own: Iterable[Role], stands_in: Iterable[Substitution]
) -> tuple[tuple[Role, Scope], ...]:
    """Give where the roles hold: her own and those of whom she stands in for, the wider of both."""
    sources: dict[Role, set[str]] = {role: {user_id} for role in own}
    for row in stands_in:
        sources.setdefault(row.role, set()).add(row.absent_id)
    holders = {holder for found in sources.values() for holder in found}
    rows = orm.scalars(
        select(RoleScope).where(RoleScope.user_id.in_(holders), RoleScope.ended_us.is_(None))
    ).all()
    found: list[tuple[Role, Scope]] = []
    for role, of in sources.items():
        lists = [[scope_of(r) for r in rows if (r.user_id, r.role) == (h, role)] for h in of]
        if role in ASSIGNED or all(lists):
            found += [(role, scope) for scopes in lists for scope in scopes]
    return tuple(found)


def scope_of(row: RoleScope) -> Scope:
    """Give a scope's row as the value that decisions are made on."""
    return Scope(row.site_id, row.room_kind, row.category, row.department, row.session_id)


def duties_now(orm: Orm, user_ids: Iterable[str], now_us: int) -> tuple[Duty, ...]:
    """Give the turns of approved rosters that these people have now."""
    query = (
        select(Shift, Roster)
        .join(Roster, Roster.id == Shift.roster_id)
        .where(
            Shift.user_id.in_(list(user_ids)),
            Shift.from_us <= now_us,
            Shift.until_us > now_us,
            Roster.approved_us.is_not(None),
            Roster.ended_us.is_(None),
        )
    )
    return tuple(
        Duty(
            from_us=shift.from_us,
            until_us=shift.until_us,
            department=roster.department,
            categories=frozenset(ProjectCategory(word) for word in roster.categories),
            projects=frozenset(roster.projects),
        )
        for shift, roster in orm.execute(query)
    )


def make_scope(
    orm: Orm, who: Who, at_us: int, user_id: str, role: Role, scope: Scope, reason: str
) -> RoleScope:
    """Say where a user's role holds.

    Raises ``NotFound`` for a user who is none, ``InvalidInput`` for a role that she has not, or a
    scope that says nothing or names what is not there.
    """
    user = orm.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    if role not in {row.role for row in user.roles}:
        raise InvalidInput(
            f"{user.username} is no {role}.", fields={"role": "is not one of the user's roles"}
        )
    if scope == Scope():
        raise InvalidInput(
            "Say at least one of site, room kind, category, department and session.",
            fields={"site_id": "is empty, as all others"},
        )
    if scope.site_id is not None and orm.get(Site, scope.site_id) is None:
        raise InvalidInput("There is no such site.", fields={"site_id": "is not a site"})
    if scope.session_id is not None and orm.get(Session, scope.session_id) is None:
        raise InvalidInput("There is no such session.", fields={"session_id": "is not a session"})
    row = RoleScope(
        user_id=user_id,
        role=role,
        reason=reason,
        made_us=at_us,
        made_by=who.name,
        **dataclasses.asdict(scope),
    )
    orm.add(row)
    orm.flush()
    facts = {"scope": row.id, "role": role, **_said(scope)}
    leave_audit_entry(orm, who, "scope.make", f"user:{user_id}", at_us, reason=reason, facts=facts)
    return row


def end_scope(orm: Orm, who: Who, at_us: int, scope_id: str, reason: str) -> RoleScope:
    """End a scope at once. Raises ``NotFound``, ``Conflict`` if it has ended."""
    row = orm.get(RoleScope, scope_id)
    if row is None:
        raise NotFound("There is no such scope.")
    if row.ended_us is not None:
        raise Conflict("The scope was ended before.")
    row.ended_us, row.ended_by = at_us, who.name
    facts = {"scope": row.id, "role": row.role, **_said(scope_of(row))}
    leave_audit_entry(
        orm, who, "scope.end", f"user:{row.user_id}", at_us, reason=reason, facts=facts
    )
    return row


def _said(scope: Scope) -> dict[str, str]:
    return {name: value for name, value in dataclasses.asdict(scope).items() if value is not None}


@dataclasses.dataclass(frozen=True, slots=True)
class NewSubstitution:
    """``user_id`` stands in for ``absent_id`` in a role, for a time (µs UTC)."""

    user_id: str
    absent_id: str
    role: Role
    from_us: int
    until_us: int
    reason: str


def make_substitution(orm: Orm, who: Who, at_us: int, new: NewSubstitution) -> Substitution:
    """Let somebody stand in for somebody (AB 角).

    Raises ``InvalidInput`` for people or times that are none, and for a role that must not be
    joined with those the substitute has.
    """
    people = {"user_id": orm.get(User, new.user_id), "absent_id": orm.get(User, new.absent_id)}
    for name, user in people.items():
        if user is None or (name == "user_id" and user.disabled):
            raise InvalidInput("There is no such user.", fields={name: "is not a user"})
    substitute, absent = people["user_id"], people["absent_id"]
    assert substitute is not None
    assert absent is not None
    if substitute is absent:
        raise InvalidInput("Nobody stands in for herself.", fields={"absent_id": "is the same"})
    if new.role not in {row.role for row in absent.roles}:
        raise InvalidInput(f"{absent.username} is no {new.role}.", fields={"role": "is not hers"})
    if not at_us < new.until_us <= new.from_us + MAX_SUBSTITUTION_US or new.until_us <= new.from_us:
        raise InvalidInput(
            "A substitution ends after it begins, in the future, and within 90 days.",
            fields={"until": "is not such a time"},
        )
    own = {row.role for row in substitute.roles}
    check_together({*own, new.role}, small_centre=rights_policy(orm).small_centre)
    row = Substitution(**dataclasses.asdict(new), made_us=at_us, made_by=who.name)
    orm.add(row)
    orm.flush()
    _note_substitution(orm, who, "substitution.make", row, at_us, new.reason)
    return row


def end_substitution(orm: Orm, who: Who, at_us: int, row_id: str, reason: str) -> Substitution:
    """End a substitution before its time. Raises ``NotFound``, ``Conflict``."""
    row = orm.get(Substitution, row_id)
    if row is None:
        raise NotFound("There is no such substitution.")
    if row.ended_us is not None or row.until_us <= at_us:
        raise Conflict("The substitution has ended.")
    row.ended_us, row.ended_by = at_us, who.name
    _note_substitution(orm, who, "substitution.end", row, at_us, reason)
    return row


def _note_substitution(
    orm: Orm, who: Who, action: str, row: Substitution, at_us: int, reason: str
) -> None:
    facts = {
        "substitution": row.id,
        "absent": row.absent_id,
        "role": row.role,
        "from": row.from_us,
        "until": row.until_us,
    }
    leave_audit_entry(orm, who, action, f"user:{row.user_id}", at_us, reason=reason, facts=facts)
