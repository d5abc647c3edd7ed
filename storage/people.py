"""Users and their passwords: who exists, and whether a password is theirs."""

import re
import secrets
import threading
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.ids import new_id
from bidwitness.rights import check_together
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import HalfLogin, Login, OldPassword, User, UserRole
from bidwitness.storage.rights import rights_policy
from bidwitness.words import AccountKind, Role

USERNAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{1,63}$"
# So many passwords back one may not be taken again.
REMEMBERED = 5
FIRST_ADMINISTRATOR = "admin"
# Without one of each nobody could make another.
NEEDED = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
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
    wanted = check_together(roles, small_centre=rights_policy(orm).small_centre)
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
        password_set_us=at_us,
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


def hashes_of(orm: Orm, user: User) -> list[str]:
    """Give the hashes of the passwords that somebody may not take: the present and the last."""
    old = (
        select(OldPassword.password_hash)
        .where(OldPassword.user_id == user.id)
        .order_by(OldPassword.id.desc())
        .limit(REMEMBERED)
    )
    return [user.password_hash, *orm.scalars(old)]


def set_password(orm: Orm, who: Who, at_us: int, user: User, password_hash: str) -> None:
    """Replace the password by its owner's choice."""
    _replace_password(orm, at_us, user, password_hash)
    user.must_change_password = False
    leave_audit_entry(orm, who, "user.password", f"user:{user.id}", at_us)


def check_person(user: User) -> None:
    """Raise ``Conflict`` for a service account: it has neither password nor roles to give."""
    if user.kind is not AccountKind.PERSON:
        raise Conflict("This is a service account: it has API tokens and nothing else.")


def reset_password(orm: Orm, who: Who, at_us: int, user: User, password_hash: str) -> None:
    """Replace the password by an administrator's: it must be changed, and logins end.

    Raises ``Conflict`` for a service account.
    """
    check_person(user)
    _replace_password(orm, at_us, user, password_hash)
    user.must_change_password = True
    _end_logins(orm, user, at_us)
    leave_audit_entry(orm, who, "user.password_reset", f"user:{user.id}", at_us)


def end_logins(orm: Orm, who: Who, at_us: int, user: User) -> int:
    """End all of a person's logins; give how many there were."""
    ended = _end_logins(orm, user, at_us)
    facts = {"logins": ended}
    leave_audit_entry(orm, who, "user.end_logins", f"user:{user.id}", at_us, facts=facts)
    return ended


def _replace_password(orm: Orm, at_us: int, user: User, password_hash: str) -> None:
    old = OldPassword(user_id=user.id, password_hash=user.password_hash, ended_us=at_us)
    orm.add(old)
    orm.flush()
    kept = (
        select(OldPassword.id)
        .where(OldPassword.user_id == user.id)
        .order_by(OldPassword.id.desc())
        .limit(REMEMBERED)
    )
    forgotten = (OldPassword.user_id == user.id, OldPassword.id.not_in(list(orm.scalars(kept))))
    orm.execute(delete(OldPassword).where(*forgotten))
    user.password_hash = password_hash
    user.password_set_us = at_us


def set_name(orm: Orm, who: Who, at_us: int, user: User, name: str) -> None:
    """Change how a user is called in lists."""
    if name != user.name:
        facts = {"before": user.name, "after": name}
        user.name = name
        leave_audit_entry(orm, who, "user.rename", f"user:{user.id}", at_us, facts=facts)


def set_disabled(orm: Orm, who: Who, at_us: int, user: User, disabled: bool) -> None:
    """Shut a user out, or let them in again. Their logins end at once.

    Raises ``Conflict`` for the last administrator of the system or of security, and for who is
    answerable for a service account that works.
    """
    if disabled == user.disabled:
        return
    if disabled:
        _check_not_last(orm, user, frozenset())
        _check_answers_for_nothing(orm, user)
    user.disabled = disabled
    if disabled:
        _end_logins(orm, user, at_us)
    action = "user.disable" if disabled else "user.enable"
    leave_audit_entry(orm, who, action, f"user:{user.id}", at_us)


def set_roles(orm: Orm, who: Who, at_us: int, user: User, roles: Iterable[Role]) -> None:
    """Give a user other roles.

    Raises ``InvalidInput`` for impossible roles, ``Conflict`` if no administrator would be left, or
    for a service account.
    """
    check_person(user)
    wanted = check_together(roles, small_centre=rights_policy(orm).small_centre)
    before = {row.role for row in user.roles}
    if wanted == before:
        return
    _check_not_last(orm, user, wanted)
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


def _check_not_last(orm: Orm, user: User, keeps: frozenset[Role]) -> None:
    """Raise ``Conflict`` if nobody would be left who configures, or who makes users."""
    gives_up = {row.role for row in user.roles} & NEEDED - keeps
    for role in () if user.disabled else sorted(gives_up):
        others = orm.scalar(
            select(func.count())
            .select_from(UserRole)
            .join(User, User.id == UserRole.user_id)
            .where(UserRole.role == role, User.id != user.id, User.disabled.is_(False))
        )
        if not others:
            raise Conflict(f"This is the last {role} who can sign in: make another one first.")


def _check_answers_for_nothing(orm: Orm, user: User) -> None:
    owned = select(User.username).where(User.owner_id == user.id, User.disabled.is_(False))
    names = orm.scalars(owned.order_by(User.username).limit(5)).all()
    if names:
        raise Conflict(
            f"She is answerable for {', '.join(names)}: name another owner there first, or shut "
            "these service accounts out."
        )


def _end_logins(orm: Orm, user: User, at_us: int) -> int:
    """End what is signed in, and what has given no more than the password yet."""
    ended = 0
    for login in orm.scalars(
        select(Login).where(Login.user_id == user.id, Login.ended_us.is_(None))
    ):
        login.ended_us = at_us
        ended += 1
    for half in orm.scalars(
        select(HalfLogin).where(HalfLogin.user_id == user.id, HalfLogin.ended_us.is_(None))
    ):
        half.ended_us = at_us
    return ended
