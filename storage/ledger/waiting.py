"""What waits to be logged, and what the log holds that the index has not heard of yet.

The index is told of entries after they are logged; a crash in between, or an index from a backup,
leaves entries at the end of the log that it does not know. They are found again by their bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import (
    EpochEntry,
    entry_bytes,
    entry_object,
    entry_of,
    read_entry,
)
from bidwitness.storage.evidence.session_records import CloseFacts
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox, Session
from bidwitness.storage.index.outbox import epoch_key
from bidwitness.storage.ledger.tiles import Tiles

BATCH = 1000
# The shard's own first entries, which no row is about.
OWN = 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox: what is to be logged, and where the index wants to hear of it."""

    id: int
    entry: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Unheard:
    """Entries that the index does not know the place of: those of its rows that wait, by place;
    epochs of which it has no row; and of what kinds there were others of which it has none."""

    waited: Sequence[tuple[int, Waiting]]
    epochs: Sequence[tuple[int, EpochEntry]]
    others: Mapping[str, int]


def waiting_rows(database: Database, after: int) -> list[Waiting]:
    """Give what waits, up to ``BATCH`` rows after row ``after``, in the order it came."""
    query = (
        select(Outbox)
        .where(Outbox.shard.is_(None), Outbox.id > after)
        .order_by(Outbox.id)
        .limit(BATCH)
    )
    with database.read() as orm:
        return [
            Waiting(row.id, entry_bytes(entry_of(row.body["entry"])), row.body)
            for row in orm.scalars(query)
        ]


def unheard(database: Database, shard: str, tiles: Tiles) -> Unheard:
    """Read what stands in the log after the last entry of which the index knows the place."""
    with database.read() as orm:
        last = orm.scalar(select(func.max(Outbox.position)).where(Outbox.shard == shard))
    first = 0 if last is None else last + 1
    if first >= tiles.size:
        return Unheard((), (), {})
    waiting: dict[bytes, Waiting] = {}
    after = 0
    while batch := waiting_rows(database, after):
        waiting |= {item.entry: item for item in batch}
        after = batch[-1].id
    found: list[tuple[int, Waiting]] = []
    epochs: list[tuple[int, EpochEntry]] = []
    others: Counter[str] = Counter()
    for place in range(first, tiles.size):
        entry = tiles.entry(place)
        if entry in waiting:
            found.append((place, waiting.pop(entry)))
            continue
        known = _read(entry)
        if isinstance(known, EpochEntry):
            epochs.append((place, known))
        elif known is not None and place >= OWN:
            others[known.T] += 1
    return Unheard(found, epochs, others)


def note_unheard(orm: Orm, shard: str, found: Unheard, at_us: int) -> int:
    """Tell the index of them; give how many rows of epochs came back. Inside ``Database.write``."""
    note_places(orm, shard, found.waited, at_us)
    back = 0
    for place, entry in found.epochs:
        key = epoch_key(entry.recorder, entry.seq)
        if orm.scalar(select(Outbox.id).where(Outbox.key == key)) is None:
            # What it was signed over is not in the log: such an epoch chains on, and covers nothing.
            body = {"heads": [], "entry": entry_object(entry)}
            row = Outbox(kind=EpochEntry.T, key=key, body=body, at_us=entry.at)
            row.shard, row.position, row.logged_us = shard, place, at_us
            orm.add(row)
            back += 1
    orm.flush()
    return back


def note_places(orm: Orm, shard: str, placed: Sequence[tuple[int, Waiting]], at_us: int) -> None:
    """Say where entries stand. Call inside ``Database.write``."""
    rows = [
        {"id": item.id, "shard": shard, "position": place, "logged_us": at_us}
        for place, item in placed
    ]
    if rows:
        orm.execute(update(Outbox), rows)
    for place, item in placed:
        if item.body.get("record") == CloseFacts.T:
            # Not through the object: a version of the session that somebody looks at stays the same.
            session = str(item.body["session"])
            orm.execute(update(Session).where(Session.id == session).values(log_position=place))


def _read(entry: bytes) -> Any:
    try:
        return read_entry(entry)
    except BadRecord:
        return None
