"""Copies made for somebody do not outlive their expiry: the file goes, its row and register stay."""

import logging

from sqlalchemy import select

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.storage.derivatives import THUMBNAILS, files_of, forget_work
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Derivative

log = logging.getLogger(__name__)

BATCH = 100
SWEEP = Who("retention.copies")


def remove_expired_copies(database: Database, clock: Clock, settings: Settings) -> int:
    """Remove the packages, pictures and sheets whose time is over; give how many. Raises ``IndexUnavailable``."""
    now = clock.utc_us()
    query = (
        select(Derivative)
        .where(Derivative.path.is_not(None), Derivative.expires_us <= now)
        .order_by(Derivative.expires_us)
        .limit(BATCH)
    )
    with database.read() as orm:
        expired = list(orm.scalars(query))
    removed = 0
    for copy in expired:
        folder = settings.thumbnails if copy.kind == THUMBNAILS else settings.exports
        paths = [folder / name for name in files_of(copy)]
        # The name is ours; one that leads elsewhere was put there by a stranger.
        if any(path.parent != folder for path in paths):
            log.error("a copy does not lie where copies do", extra={"facts": {"copy": copy.id}})
            continue
        for path in paths:
            path.unlink(missing_ok=True)
        with database.write() as orm:
            row = orm.get_one(Derivative, copy.id)
            row.path = None
            forget_work(orm, row)
            facts = {"copy": row.id, "sha256": row.sha256}
            subject = f"session:{row.session_id}"
            leave_audit_entry(orm, SWEEP, "copy.expire", subject, now, facts=facts)
        removed += 1
    return removed
