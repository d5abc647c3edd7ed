"""Who may read what is written about a session, as apart from seeing its footage."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser
from bidwitness.errors import Forbidden
from bidwitness.storage.index.models import Grant
from bidwitness.words import Role

READS_ALL = frozenset({Role.SYSTEM_ADMIN, Role.SUPERVISOR})


def check_may_read_about(orm: Orm, user: CurrentUser, session_id: str | None, now_us: int) -> None:
    """Raise ``Forbidden`` unless the user watches everything or holds a grant of the session."""
    if user.roles & READS_ALL:
        return
    granted = None
    if session_id is not None:
        granted = orm.scalar(
            select(Grant.id)
            .where(
                Grant.user_id == user.id,
                Grant.session_id == session_id,
                Grant.revoked_us.is_(None),
                or_(Grant.expires_us.is_(None), Grant.expires_us > now_us),
            )
            .limit(1)
        )
    if granted is None:
        raise Forbidden("Name a session that was granted to you by session_id.")
