"""What is confidential (保密调取): known to its officers, the director and the audit administrator.

For everybody else it is not there: neither the demand nor its grant and rows of the register, nor
what was viewed, noted or copied by it, nor a hold that was placed for it.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, String, and_, cast, exists, false, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from bidwitness.storage.index.models import Grant, Hold, Job, Marker, RegisterEntry, User
from bidwitness.words import Role

KNOW_CONFIDENTIAL = frozenset({Role.DIRECTOR, Role.AUDIT_ADMIN})


def named_in(officers: object, username: str) -> bool:
    """Say whether somebody is one of the officers of a content or a row. Pure."""
    return isinstance(officers, list) and username.lower() in {str(one).lower() for one in officers}


def not_secret(
    username: str, roles: Iterable[Role], table: type[Grant] | type[RegisterEntry] | type[Hold]
) -> ColumnElement[bool]:
    """Give the condition on rows under which their being confidential does not hide them."""
    if KNOW_CONFIDENTIAL & frozenset(roles):
        return true()
    # User names hold no quotation marks, so that no name is found within another.
    named = cast(table.officers, String).contains(f'"{username.lower()}"', autoescape=True)
    return or_(table.confidential.is_(False), named)


def secret_marker(username: str, roles: Iterable[Role]) -> ColumnElement[bool]:
    """Give the condition on markers that they are by somebody who views it confidentially."""
    if KNOW_CONFIDENTIAL & frozenset(roles):
        return false()
    # Of the marker in question, not of any: within another condition that has to be said.
    by = select(User.id).where(User.username == Marker.author).correlate(Marker)
    author = by.scalar_subquery()
    return _viewed_secretly(username, roles, Marker.session_id, author)


def secret_job(username: str, roles: Iterable[Role]) -> ColumnElement[bool]:
    """Give the condition on jobs that they make a copy for somebody confidentially."""
    if KNOW_CONFIDENTIAL & frozenset(roles):
        return false()
    session, user = (Job.payload[name].as_string() for name in ("session_id", "user_id"))
    return _viewed_secretly(username, roles, session, user)


def _viewed_secretly(
    username: str,
    roles: Iterable[Role],
    session_id: ColumnElement[str] | InstrumentedAttribute[str | None],
    user_id: ColumnElement[str],
) -> ColumnElement[bool]:
    return exists().where(
        and_(
            Grant.confidential,
            Grant.session_id == session_id,
            Grant.user_id == user_id,
            ~not_secret(username, roles, Grant),
        )
    )
