"""Tickets: addresses by which a player outside the browser opens one playback, for some minutes."""

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Playback, PlaybackTicket

# 128 bits: nobody guesses one within the minutes that it lives.
TOKEN_BYTES = 16
MINUTE_US = 60_000_000
MOST_MINUTES = 10


def make_ticket(
    orm: Orm, who: Who, login_id: str, playback_id: str, minutes: int, now_us: int
) -> tuple[str, PlaybackTicket]:
    """Make a ticket for a playback of one's own and give its token, which is told this once.

    Whatever ticket the playback had is good no more. Raises ``NotFound`` if it is not hers.
    """
    _own(orm, who, playback_id)
    _revoke(orm, playback_id, now_us)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = PlaybackTicket(
        playback_id=playback_id,
        login_id=login_id,
        token_sha256=_digest(token),
        address=who.address or "",
        made_us=now_us,
        expires_us=now_us + min(minutes, MOST_MINUTES) * MINUTE_US,
    )
    orm.add(row)
    orm.flush()
    facts = {"ticket": row.id, "expires_us": row.expires_us}
    leave_audit_entry(orm, who, "playback.ticket", f"playback:{playback_id}", now_us, facts=facts)
    return token, row


def revoke_tickets(orm: Orm, who: Who, playback_id: str, now_us: int) -> None:
    """End the ticket of a playback of one's own, if it has one. Raises ``NotFound``."""
    _own(orm, who, playback_id)
    if _revoke(orm, playback_id, now_us):
        leave_audit_entry(orm, who, "playback.ticket_end", f"playback:{playback_id}", now_us)


def find_ticket(orm: Orm, token: str, address: str, now_us: int) -> PlaybackTicket | None:
    """Give the ticket of a token that is good now, from where it was made."""
    query = select(PlaybackTicket).where(PlaybackTicket.token_sha256 == _digest(token))
    row = orm.scalar(query)
    if row is None or row.revoked_us is not None or now_us >= row.expires_us:
        return None
    return row if row.address == address else None


def note_use(orm: Orm, who: Who, ticket_id: str, now_us: int) -> None:
    """Note, once, that a player has come with a ticket."""
    row = orm.get_one(PlaybackTicket, ticket_id)
    if row.used_us is None:
        row.used_us = now_us
        subject, facts = f"playback:{row.playback_id}", {"ticket": row.id}
        leave_audit_entry(orm, who, "playback.ticket_used", subject, now_us, facts=facts)


def _own(orm: Orm, who: Who, playback_id: str) -> None:
    row = orm.get(Playback, playback_id)
    if row is None or row.user_id != who.user_id or row.closed_us is not None:
        raise NotFound("There is no such playback.")


def _revoke(orm: Orm, playback_id: str, now_us: int) -> bool:
    query = select(PlaybackTicket).where(
        PlaybackTicket.playback_id == playback_id,
        PlaybackTicket.revoked_us.is_(None),
        PlaybackTicket.expires_us > now_us,
    )
    rows = list(orm.scalars(query))
    for row in rows:
        row.revoked_us = now_us
    return bool(rows)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
