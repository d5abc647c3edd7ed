"""One row and what the log says of it, for who looks at it alone."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.index.commitments import row_key
from bidwitness.storage.index.models import AuditEntry, Outbox
from bidwitness.storage.trail.exchanged import salted
from bidwitness.storage.trail.logged import LoggedCommitments
from bidwitness.storage.trail.tables import AUDIT


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the log commits to a row. ``unchanged``: whether it is what was committed to; nothing
    while it waits to be logged, and where the log is not at hand."""

    shard: str | None = None
    place: int | None = None
    logged_us: int | None = None
    unchanged: bool | None = None


def proof_of(orm: Orm, settings: Settings, entry: AuditEntry) -> Proof:
    """Hold one audit entry against the log on this machine."""
    query = select(Outbox).where(Outbox.key == row_key(AUDIT.name, entry.id))
    row = orm.scalars(query).first()
    if row is None:
        return Proof(unchanged=False)
    if row.shard is None or row.position is None:
        return Proof()
    try:
        salt = bytes.fromhex(str(row.body["salt"]))
        logged = LoggedCommitments(settings).at(row.shard, row.position)
        same: bool | None = logged is not None and salted(salt, AUDIT.event(entry)) == logged
    except (KeyError, ValueError):
        same = False
    except DamageFound:
        same = None
    return Proof(row.shard, row.position, row.logged_us, same)
