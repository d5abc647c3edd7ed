"""Who may read what is written about a session, as apart from seeing its footage."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser
from bidwitness.errors import Forbidden
from bidwitness.storage.index.models import Grant, Hold, RegisterEntry, Session
from bidwitness.storage.knowing import known_sessions
from bidwitness.storage.secrecy import not_secret


def check_may_read_about(orm: Orm, user: CurrentUser, session_id: str | None, now_us: int) -> None:
    """Raise ``Forbidden`` unless the session lies in the user's scope or was granted to her.

    Without a session: unless she may read about all of them.
    """
    condition = known_sessions(orm, user.id, now_us)
    if condition is None:
        return
    known = None
    if session_id is not None:
        known = orm.scalar(select(Session.id).where(Session.id == session_id, condition))
    if known is None:
        raise Forbidden("Name a session that you were assigned or granted by session_id.")


def not_secret_from(
    user: CurrentUser, table: type[Grant] | type[RegisterEntry] | type[Hold]
) -> ColumnElement[bool]:
    """Give the condition on rows under which their being confidential does not hide them from her."""
    return not_secret(user.username, user.roles, table)
