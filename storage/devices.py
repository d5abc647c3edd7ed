"""Browsers that somebody has signed in with: what strangers do elsewhere does not slow them down."""

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import KnownDevice
from bidwitness.storage.logins import DAY_US, TOKEN_BYTES, digest

LIFE_US = 180 * DAY_US
# So many of each person; the one unused for the longest is forgotten.
MAX_DEVICES = 20


def new_device_token() -> str:
    """Give a token for a browser that has none. It opens nothing."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def find_device(orm: Orm, user_id: str, token: str | None, at_us: int) -> str | None:
    """Give the id of somebody's known browser by its token."""
    row = _row(orm, user_id, token or "")
    return row.id if row is not None and at_us < row.seen_us + LIFE_US else None


def remember_device(orm: Orm, user_id: str, token: str, at_us: int) -> None:
    """Note that somebody signed in with a browser."""
    row = _row(orm, user_id, token)
    if row is None:
        row = KnownDevice(user_id=user_id, token_sha256=digest(token))
        orm.add(row)
    row.seen_us = at_us
    orm.flush()
    by_age = (
        select(KnownDevice)
        .where(KnownDevice.user_id == user_id)
        .order_by(KnownDevice.seen_us.desc(), KnownDevice.id)
    )
    for old in orm.scalars(by_age.offset(MAX_DEVICES)):
        orm.delete(old)


def _row(orm: Orm, user_id: str, token: str) -> KnownDevice | None:
    return orm.scalars(
        select(KnownDevice).where(
            KnownDevice.user_id == user_id, KnownDevice.token_sha256 == digest(token)
        )
    ).first()
