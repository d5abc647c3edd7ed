"""Logins: a token is handed out once and kept only as its SHA-256."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import NotFound
from bidwitness.storage.index.audit import AtDisplay, Who, leave_audit_entry
from bidwitness.storage.index.models import Login, User
from bidwitness.words import Factor, LoginWay, Role

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
TOKEN_BYTES = 32
MAX_AGENT = 200
DAY_US = 24 * HOUR_US
# An address that somebody signed in from within this time is hers, as far as failures are counted.
ADDRESS_US = 30 * DAY_US


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a login lasts without a request, and at most, in µs."""

    idle_us: int
    absolute_us: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whom a valid token belongs to."""

    user_id: str
    username: str
    name: str
    roles: frozenset[Role]
    must_change_password: bool
    password_set_us: int
    login_id: str
    # When the row last said that it was used.
    seen_us: int
    # The registered display that it is bound to.
    display_id: str | None
    way: LoginWay
    # What was given besides, if anything was.
    factor: Factor | None


def open_login(
    orm: Orm,
    user: User,
    at_us: int,
    limits: Limits,
    *,
    address: str | None,
    agent: str | None,
    factor: Factor | None = None,
    way: LoginWay = LoginWay.PASSWORD,
    display: AtDisplay | None = None,
) -> tuple[str, SignedIn]:
    """Add a login of ``user`` and give its token with whom it stands for.

    ``way`` is by what she signed in, ``factor`` what was given besides; ``display`` what it is
    bound to.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    login = Login(
        user_id=user.id,
        token_sha256=digest(token),
        created_us=at_us,
        seen_us=at_us,
        expires_us=at_us + limits.absolute_us,
        address=address,
        agent=agent[:MAX_AGENT] if agent else None,
        factor=factor,
        way=way,
        display_id=display.id if display else None,
    )
    orm.add(login)
    orm.flush()
    who = Who(user.username, user.id, address, display)
    facts = {"factor": factor.value} if factor else {}
    if way is not LoginWay.PASSWORD:
        facts["way"] = way.value
    leave_audit_entry(orm, who, "login", f"user:{user.id}", at_us, facts=facts or None)
    return token, _signed_in(login, user)


def find_login(orm: Orm, token: str, at_us: int, limits: Limits) -> SignedIn | None:
    """Give whom ``token`` stands for, or None if it is unknown, ended, too old, or idle."""
    row = orm.execute(
        select(Login, User)
        .join(User, User.id == Login.user_id)
        .where(Login.token_sha256 == digest(token))
    ).first()
    return _signed_in(*row) if row and _stands(row[0], row[1], at_us, limits) else None


def still_stands(orm: Orm, login_id: str, at_us: int, limits: Limits) -> bool:
    """Tell whether a login found before is still good; for sockets that stay open."""
    login = orm.get(Login, login_id)
    return login is not None and _stands(login, orm.get_one(User, login.user_id), at_us, limits)


def mark_seen(orm: Orm, login_id: str, at_us: int) -> None:
    """Note that a login was used; its idle time starts anew."""
    login = orm.get(Login, login_id)
    if login is not None and login.seen_us < at_us:
        login.seen_us = at_us


def end_login(orm: Orm, who: Who, login_id: str, at_us: int) -> None:
    """End one login by its owner's wish."""
    login = orm.get(Login, login_id)
    if login is not None and login.ended_us is None:
        login.ended_us = at_us
        leave_audit_entry(orm, who, "logout", f"user:{login.user_id}", at_us)


def end_other_logins(orm: Orm, user_id: str, keep: str, at_us: int) -> int:
    """End the user's other logins, and give how many: a changed password shuts out who had the old
    one.
    """
    ended = 0
    for login in orm.scalars(
        select(Login).where(Login.user_id == user_id, Login.ended_us.is_(None), Login.id != keep)
    ):
        login.ended_us = at_us
        ended += 1
    return ended


def logins_of(orm: Orm, user_id: str, at_us: int, limits: Limits) -> list[Login]:
    """Give a person's logins that stand, the last used first."""
    user = orm.get_one(User, user_id)
    rows = orm.scalars(
        select(Login)
        .where(Login.user_id == user_id, Login.ended_us.is_(None), Login.expires_us > at_us)
        .order_by(Login.seen_us.desc(), Login.id)
    )
    return [row for row in rows if _stands(row, user, at_us, limits)]


def end_own_login(orm: Orm, who: Who, user_id: str, login_id: str, at_us: int) -> None:
    """End one of somebody's own logins. Raises ``NotFound`` if it is nobody's or another's."""
    login = orm.get(Login, login_id)
    if login is None or login.user_id != user_id or login.ended_us is not None:
        raise NotFound("There is no such login, or it has ended.")
    login.ended_us = at_us
    facts = {"login": login.id}
    leave_audit_entry(orm, who, "login.end", f"user:{user_id}", at_us, facts=facts)


def end_logins_on(orm: Orm, display_id: str, at_us: int) -> int:
    """End all logins on a display, and give how many: it is that display no more."""
    ended = 0
    bound = select(Login).where(Login.display_id == display_id, Login.ended_us.is_(None))
    for login in orm.scalars(bound):
        login.ended_us = at_us
        ended += 1
    return ended


def on_display(orm: Orm, display_id: str, at_us: int, limits: Limits) -> list[str]:
    """Give the names of those who are signed in on a display."""
    query = (
        select(Login, User)
        .join(User, User.id == Login.user_id)
        .where(Login.display_id == display_id, Login.ended_us.is_(None))
        .order_by(User.username)
    )
    found = [
        user.username for login, user in orm.execute(query) if _stands(login, user, at_us, limits)
    ]
    return list(dict.fromkeys(found))


def knows_address(orm: Orm, user_id: str, address: str, at_us: int) -> bool:
    """Tell whether somebody signed in from an address not long ago."""
    lately = (
        Login.user_id == user_id,
        Login.address == address,
        Login.created_us > at_us - ADDRESS_US,
    )
    return bool(orm.scalar(select(exists().where(*lately))))


def _stands(login: Login, user: User, at_us: int, limits: Limits) -> bool:
    return (
        login.ended_us is None
        and not user.disabled
        and at_us < login.expires_us
        and at_us < login.seen_us + limits.idle_us
    )


def _signed_in(login: Login, user: User) -> SignedIn:
    return SignedIn(
        user_id=user.id,
        username=user.username,
        name=user.name,
        roles=frozenset(row.role for row in user.roles),
        must_change_password=user.must_change_password,
        password_set_us=user.password_set_us,
        login_id=login.id,
        seen_us=login.seen_us,
        display_id=login.display_id,
        way=login.way,
        factor=login.factor,
    )


def digest(token: str) -> bytes:
    """Give what of a token is kept: it has enough chance in it to need no salt."""
    return hashlib.sha256(token.encode()).digest()
