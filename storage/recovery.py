"""Recovery of an account whose owner has lost password or second factor: two administrators."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage import factors, oidc_links, people, tokens
from bidwitness.storage.approvals import Act, Content, Kind, Prepared, Rule
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import KnownDevice, User
from bidwitness.storage.logins import DAY_US
from bidwitness.words import Role

NAME = "user.recover"
# Two administrators of two kinds. The one of audit may agree, for else nobody could help a site's only
# administrator of security, but she asks for nothing.
RULE = Rule(
    requesters=frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN}),
    approvers=frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN}),
    needed=1,
    lives_us=DAY_US,
)


def recovery(hashed: Callable[[str], str]) -> Kind:
    """Give the kind of act. ``hashed`` gives a password's hash."""

    def prepare() -> Prepared:
        password = people.new_password()
        return {"password": password, "password_hash": hashed(password)}

    return Kind(
        name=NAME,
        rule=RULE,
        read=_read,
        check=_check,
        execute=_execute,
        prepare=prepare,
        told=("password",),
    )


def _read(content: Mapping[str, Any]) -> tuple[Content, str]:
    user_id = content.get("user_id")
    known = isinstance(user_id, str) and re.fullmatch("[a-z2-7]{1,16}", user_id)
    if not known or set(content) != {"user_id"}:
        raise InvalidInput(
            "Say whose account: {user_id}.", fields={"content": "must be {user_id} alone"}
        )
    return {"user_id": user_id}, f"user:{user_id}"


def _check(orm: Orm, content: Content) -> None:
    user = _user(orm, content)
    people.check_person(user)
    if user.disabled:
        raise Conflict("This user is shut out: let her in first.")


def _execute(orm: Orm, act: Act) -> None:
    """Give a new password, take all factors, tokens and known browsers away, end all logins."""
    user = _user(orm, act.content)
    who, at_us = act.who, act.at_us
    people.reset_password(orm, who, at_us, user, act.prepared["password_hash"])
    held = factors.remove_all_factors(orm, user.id)
    orm.execute(delete(KnownDevice).where(KnownDevice.user_id == user.id))
    facts = {
        "totp": held.totp,
        "keys": held.keys,
        "tokens": tokens.revoke_all(orm, user.id, at_us),
        "oidc": oidc_links.drop_link(orm, user.id),
    }
    leave_audit_entry(orm, who, NAME, f"user:{user.id}", at_us, facts=facts)


def _user(orm: Orm, content: Content) -> User:
    user = orm.get(User, content["user_id"])
    if user is None:
        raise NotFound("There is no such user.")
    return user
