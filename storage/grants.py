"""Grants: who may replay or copy a session's footage, and the register of it (调阅登记)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session as Orm

from bidwitness.access import BY_GRANT
from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Grant, RegisterEntry, Session, User
from bidwitness.storage.people import find_user
from bidwitness.words import Action, GrantKind, Medium, Role


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A right to be given: media × actions of a session, within a time of its footage if given.

    ``expires_us``: when the right itself ends.
    """

    username: str
    session_id: str
    media: tuple[Medium, ...]
    actions: tuple[Action, ...]
    reason: str
    kind: GrantKind = GrantKind.REQUEST
    from_us: int | None = None
    to_us: int | None = None
    document_no: str | None = None
    unit: str | None = None
    expires_us: int | None = None


def make_grant(orm: Orm, who: Who, at_us: int, new: NewGrant) -> Grant:
    """Give a right and write it into the register.

    Raises ``InvalidInput`` for a user or session that is none, a right that the user's roles can
    never use, or times the wrong way round.
    """
    user = find_user(orm, new.username)
    if user is None or user.disabled:
        raise InvalidInput("There is no such user.", fields={"username": "is not a user"})
    if orm.get(Session, new.session_id) is None:
        raise InvalidInput("There is no such session.", fields={"session_id": "is not a session"})
    _check_times(new, at_us)
    _check_use(user, new.actions)
    grant = Grant(
        kind=new.kind,
        user_id=user.id,
        session_id=new.session_id,
        from_us=new.from_us,
        to_us=new.to_us,
        media=sorted({medium.value for medium in new.media}),
        actions=sorted({action.value for action in new.actions}),
        reason=new.reason,
        document_no=new.document_no,
        made_us=at_us,
        made_by=who.name,
        expires_us=new.expires_us,
    )
    orm.add(grant)
    orm.flush()
    content = f"session {new.session_id}: {', '.join(grant.media)}; {', '.join(grant.actions)}"
    orm.add(
        RegisterEntry(
            grant_id=grant.id,
            at_us=at_us,
            person=user.name,
            unit=new.unit,
            content=content,
            reason=new.reason,
        )
    )
    leave_audit_entry(
        orm,
        who,
        "grant.make",
        f"session:{new.session_id}",
        at_us,
        reason=new.reason,
        facts={"grant": grant.id, "user": user.username, "content": content},
    )
    return grant


def revoke_grant(orm: Orm, who: Who, at_us: int, grant_id: str, reason: str) -> Grant:
    """End a right at once; open viewings notice within seconds. Raises ``NotFound``, ``Conflict``."""
    grant = orm.get(Grant, grant_id)
    if grant is None:
        raise NotFound("There is no such grant.")
    if grant.revoked_us is not None:
        raise Conflict("The grant was revoked before.")
    grant.revoked_us = at_us
    leave_audit_entry(
        orm,
        who,
        "grant.revoke",
        f"session:{grant.session_id}",
        at_us,
        reason=reason,
        facts={"grant": grant.id},
    )
    return grant


def usable_actions(roles: Iterable[Role]) -> frozenset[Action]:
    """Give what a grant can give somebody of these roles. Pure."""
    return frozenset().union(*(BY_GRANT.get(role, frozenset()) for role in roles))


def _check_use(user: User, actions: Iterable[Action]) -> None:
    usable = usable_actions(row.role for row in user.roles)
    if not usable:
        raise InvalidInput(
            f"The roles of {user.username} take no grants: grants are for auditors.",
            fields={"username": "has no role that takes grants"},
        )
    wrong = sorted(set(actions) - usable)
    if wrong:
        raise InvalidInput(
            f"{user.username} cannot be granted {', '.join(wrong)}; "
            f"possible: {', '.join(sorted(usable))}.",
            fields={"actions": "holds what a grant cannot give"},
        )


def _check_times(new: NewGrant, at_us: int) -> None:
    if new.from_us is not None and new.to_us is not None and new.to_us <= new.from_us:
        raise InvalidInput("The time ends before it begins.", fields={"to": "is not after from"})
    if new.expires_us is not None and new.expires_us <= at_us:
        raise InvalidInput("The grant would have ended already.", fields={"expires": "has passed"})
