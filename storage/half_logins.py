"""Between the password, or the provider's word, and the second factor: a login that opens nothing.

Its token is good for one thing only, giving the second factor, and for a short time and few tries.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import HalfLogin, User
from bidwitness.storage.logins import MINUTE_US, TOKEN_BYTES, digest
from bidwitness.words import LoginWay

LIFE_US = 10 * MINUTE_US
MAX_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Half:
    """Who has proved who she is, and by what."""

    id: str
    user_id: str
    username: str
    challenge: bytes | None
    way: LoginWay


def open_half(orm: Orm, user: User, at_us: int, way: LoginWay = LoginWay.PASSWORD) -> str:
    """Add a half-open login of ``user`` and give its token."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = HalfLogin(user_id=user.id, token_sha256=digest(token), made_us=at_us, failures=0, way=way)
    orm.add(row)
    return token


def find_half(orm: Orm, token: str, at_us: int) -> Half | None:
    """Give whose half-open login a token is; None if it is unknown, used up, or too old."""
    query = (
        select(HalfLogin, User)
        .join(User, User.id == HalfLogin.user_id)
        .where(HalfLogin.token_sha256 == digest(token))
    )
    found = orm.execute(query).first()
    if found is None or found[1].disabled or not _stands(found[0], at_us):
        return None
    row, user = found
    return Half(row.id, user.id, user.username, row.challenge, row.way)


def take_half(orm: Orm, half_id: str, at_us: int) -> HalfLogin | None:
    """Give the row for a try, nobody else trying meanwhile; None if it has ended since."""
    row = orm.get(HalfLogin, half_id, with_for_update=True)
    return row if row is not None and _stands(row, at_us) else None


def _stands(row: HalfLogin, at_us: int) -> bool:
    return row.ended_us is None and row.failures < MAX_FAILURES and at_us < row.made_us + LIFE_US
