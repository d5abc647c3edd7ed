"""Entries of the audit trail as a document states them: each with what proves it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.index.commitments import row_key
from bidwitness.storage.index.models import AuditEntry, Outbox
from bidwitness.storage.trail.tables import AUDIT

# Few enough for one statement on either database.
CHUNK = 500


def stated_entries(orm: Orm, rows: Sequence[AuditEntry]) -> list[JsonValue]:
    """Give each entry in full, with the salt and the place of its commitment in the log."""
    found: list[JsonValue] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        keys = [row_key(AUDIT.name, row.id) for row in part]
        places = {o.key: o for o in orm.scalars(select(Outbox).where(Outbox.key.in_(keys)))}
        for row, key in zip(part, keys, strict=True):
            place = places.get(key)
            found.append(
                {
                    "event": AUDIT.event(row),
                    "salt": None if place is None else place.body.get("salt"),
                    "shard": None if place is None else place.shard,
                    "place": None if place is None else place.position,
                }
            )
    return found
