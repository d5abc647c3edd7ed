"""What recorders vouched for: each one's epochs, from its first to its last, without a hole."""

from collections.abc import Iterator

from sqlalchemy import select

from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.evidence.entries import EpochEntry, entry_bytes, entry_of, epoch_genesis
from bidwitness.storage.evidence.merkle import hash_leaf
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox

BATCH = 500


def check_epochs(database: Database) -> Iterator[Problem | None]:
    """Hold each epoch of the index against the one before it. One item for each.

    A hole is told and is no damage: an index from a backup does not know what was signed since.
    """
    last: dict[str, EpochEntry] = {}
    for entry in _epochs(database):
        before = last.get(entry.recorder)
        yield _compare(before, entry)
        if before is None or entry.seq > before.seq:
            last[entry.recorder] = entry


def _epochs(database: Database) -> Iterator[EpochEntry]:
    after = 0
    while True:
        query = select(Outbox).where(Outbox.kind == EpochEntry.T, Outbox.id > after)
        with database.read() as orm:
            rows = list(orm.scalars(query.order_by(Outbox.id).limit(BATCH)))
        if not rows:
            return
        for row in rows:
            entry = entry_of(row.body["entry"])
            if isinstance(entry, EpochEntry):
                yield entry
        after = rows[-1].id


def _compare(before: EpochEntry | None, entry: EpochEntry) -> Problem | None:
    where = f"epoch {entry.recorder}#{entry.seq}"
    wanted = 0 if before is None else before.seq + 1
    if entry.seq > wanted:
        missing = f"those from {wanted} to {entry.seq - 1} are not known here"
        return Problem(Fault.UNKNOWN, where, missing)
    if entry.seq < wanted:
        return Problem(Fault.UNKNOWN, where, f"came after number {wanted - 1}")
    prev = epoch_genesis(entry.recorder) if before is None else hash_leaf(entry_bytes(before)).hex()
    if entry.prev != prev:
        return Problem(Fault.CHAIN, where, "does not continue the one before")
    return None
