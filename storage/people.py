"""Users and their passwords: who exists, and whether a password is theirs."""

import re
import secrets
import threading
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.ids import new_id
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Login, User, UserRole
from bidwitness.words import Role

USERNAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{1,63}$"
MIN_LENGTH = 12
MAX_LENGTH = 200
# From this length on a passphrase needs no mixture of kinds of character.
PASSPHRASE_LENGTH = 20
MIN_DISTINCT = 5
FIRST_ADMINISTRATOR = "admin"
# Without letters and digits that are mistaken for one another when typed from a screen.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Passwords:
    """Hashes with argon2id. At most two at once: each takes 64 MiB and a core for a moment."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._at_once = threading.BoundedSemaphore(2)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        with self._at_once:
            return self._hasher.hash(password)

    def matches(self, hashed: str | None, password: str) -> bool:
        """Tell whether ``password`` is the hashed one; with None it takes as long and is not."""
        against = hashed or self._nobodys_hash()
        with self._at_once:
            try:
                return self._hasher.verify(against, password) and hashed is not None
            except (VerifyMismatchError, InvalidHashError):
                return False

    def _nobodys_hash(self) -> str:
        """A hash of a password nobody knows, so that an unknown user name costs the same time."""
        if self._nobody is None:
            self._nobody = self.hash(secrets.token_urlsafe(16))
        return self._nobody


def new_password() -> str:
    """Give a random password of four groups (about 99 bits) that can be typed from a screen."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def check_username(username: str) -> None:
    """Raise ``InvalidInput`` unless ``username`` is one that can be typed anywhere. Pure."""
    if not re.fullmatch(USERNAME, username):
        raise InvalidInput(
            "A user name has 2 to 64 letters a-z, digits and ._@- and begins with a letter or "
            "digit. What lists show may be anything: give it as the name.",
            fields={"username": "is not a user name"},
        )


def check_password_rule(password: str, username: str) -> None:
    """Raise ``InvalidInput`` naming the rule that ``password`` breaks. Pure."""
    why = _broken_rule(password, username)
    if why:
        raise InvalidInput(f"The password {why}.", fields={"password": why})


def _broken_rule(password: str, username: str) -> str | None:
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"must have {MIN_LENGTH} to {MAX_LENGTH} characters"
    if username.lower() in password.lower():
        return "must not contain the user name"
    if len(set(password)) < MIN_DISTINCT:
        return f"must have at least {MIN_DISTINCT} different characters"
    kinds = (
        any(c.islower() for c in password),
        any(c.isupper() for c in password),
        any(c.isdigit() for c in password),
        any(not c.isalnum() for c in password),
    )
    if len(password) < PASSPHRASE_LENGTH and sum(kinds) < 3:
        return (
            "must mix three of: small letters, capitals, digits, signs "
            f"(or have {PASSPHRASE_LENGTH} characters)"
        )
    return None


def check_roles(roles: Iterable[Role]) -> frozenset[Role]:
    """Give the roles as a set. Who configures sees no footage, so they go to different people.

    Raises ``InvalidInput`` if there are none, or if ``system_admin`` is joined with another.
    """
    wanted = frozenset(roles)
    if not wanted:
        raise InvalidInput("Give at least one role.", fields={"roles": "is empty"})
    if Role.SYSTEM_ADMIN in wanted and len(wanted) > 1:
        raise InvalidInput(
            "system_admin sees no footage and cannot be joined with another role: "
            "make a second user.",
            fields={"roles": "system_admin stands alone"},
        )
    return wanted


def create_user(
    orm: Orm,
    who: Who,
    at_us: int,
    *,
    username: str,
    name: str,
    roles: Iterable[Role],
    password_hash: str,
    must_change_password: bool = True,
) -> User:
    """Add a user. The caller has checked the password's rule and hashed it outside ``orm``.

    Raises ``InvalidInput`` for impossible roles, ``Conflict`` if the name is taken.
    """
    wanted = check_roles(roles)
    check_username(username)
    if find_user(orm, username) is not None:
        raise Conflict(f"There is a user {username} already.", fields={"username": "is taken"})
    user = User(
        id=new_id(),
        username=username,
        name=name,
        password_hash=password_hash,
        must_change_password=must_change_password,
        created_us=at_us,
        roles=[UserRole(role=role) for role in sorted(wanted)],
    )
    orm.add(user)
    orm.flush()
    leave_audit_entry(
        orm,
        who,
        "user.create",
        f"user:{user.id}",
        at_us,
        facts={"username": username, "roles": sorted(wanted)},
    )
    return user


def find_user(orm: Orm, username: str) -> User | None:
    """Give the user of that name, whatever the case of its letters."""
    return orm.scalars(
        select(User).where(func.lower(User.username) == username.lower()).limit(1)
    ).first()


def has_users(orm: Orm) -> bool:
    return orm.scalar(select(User.id).limit(1)) is not None


def create_first_administrator(orm: Orm, at_us: int, password_hash: str) -> bool:
    """Add ``admin``, who must change the password, unless there is any user. Tell if it was."""
    if has_users(orm):
        return False
    create_user(
        orm,
        Who("api"),
        at_us,
        username=FIRST_ADMINISTRATOR,
        name="First administrator",
        roles=[Role.SYSTEM_ADMIN],
        password_hash=password_hash,
    )
    return True


def set_password(orm: Orm, who: Who, at_us: int, user: User, password_hash: str) -> None:
    """Replace the password by its owner's choice."""
    user.password_hash = password_hash
    user.must_change_password = False
    leave_audit_entry(orm, who, "user.password", f"user:{user.id}", at_us)


def reset_password(orm: Orm, who: Who, at_us: int, user: User, password_hash: str) -> None:
    """Replace the password by an administrator's: it must be changed, and logins end."""
    user.password_hash = password_hash
    user.must_change_password = True
    _end_logins(orm, user, at_us)
    leave_audit_entry(orm, who, "user.password_reset", f"user:{user.id}", at_us)


def set_name(orm: Orm, who: Who, at_us: int, user: User, name: str) -> None:
    """Change how a user is called in lists."""
    if name != user.name:
        facts = {"before": user.name, "after": name}
        user.name = name
        leave_audit_entry(orm, who, "user.rename", f"user:{user.id}", at_us, facts=facts)


def set_disabled(orm: Orm, who: Who, at_us: int, user: User, disabled: bool) -> None:
    """Shut a user out, or let them in again. Their logins end at once.

    Raises ``Conflict`` for the last administrator.
    """
    if disabled == user.disabled:
        return
    if disabled and _is_last_administrator(orm, user):
        raise Conflict("This is the last system_admin who can sign in: make another one first.")
    user.disabled = disabled
    if disabled:
        _end_logins(orm, user, at_us)
    action = "user.disable" if disabled else "user.enable"
    leave_audit_entry(orm, who, action, f"user:{user.id}", at_us)


def set_roles(orm: Orm, who: Who, at_us: int, user: User, roles: Iterable[Role]) -> None:
    """Give a user other roles.

    Raises ``InvalidInput`` for impossible roles, ``Conflict`` if no administrator would be left.
    """
    wanted = check_roles(roles)
    before = {row.role for row in user.roles}
    if wanted == before:
        return
    if Role.SYSTEM_ADMIN not in wanted and _is_last_administrator(orm, user):
        raise Conflict("This is the last system_admin who can sign in: make another one first.")
    for row in list(user.roles):
        if row.role not in wanted:
            orm.delete(row)
    orm.add_all(UserRole(user_id=user.id, role=role) for role in sorted(wanted - before))
    orm.flush()
    orm.refresh(user, ["roles"])
    leave_audit_entry(
        orm,
        who,
        "user.roles",
        f"user:{user.id}",
        at_us,
        facts={"before": sorted(before), "after": sorted(wanted)},
    )


def _is_last_administrator(orm: Orm, user: User) -> bool:
    if user.disabled or Role.SYSTEM_ADMIN not in {row.role for row in user.roles}:
        return False
    others = orm.scalar(
        select(func.count())
        .select_from(UserRole)
        .join(User, User.id == UserRole.user_id)
        .where(UserRole.role == Role.SYSTEM_ADMIN, User.id != user.id, User.disabled.is_(False))
    )
    return not others


def _end_logins(orm: Orm, user: User, at_us: int) -> None:
    for login in orm.scalars(
        select(Login).where(Login.user_id == user.id, Login.ended_us.is_(None))
    ):
        login.ended_us = at_us
