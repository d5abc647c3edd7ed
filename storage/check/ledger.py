"""The site's log: every tile, every entry, and that index and log say the same."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.check.epochs import check_epochs
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import (
    SessionEntry,
    entry_bytes,
    entry_of,
    session_tag,
)
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.evidence.note import Checkpoint, Note, read_key
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox, SessionRecord
from bidwitness.storage.index.outbox import session_record_key
from bidwitness.storage.ledger.shard import COSIGNED, origin_of, read_head
from bidwitness.storage.ledger.tiles import WIDTH, Tiles
from bidwitness.storage.ledger.whole import signed_by_itself
from bidwitness.storage.sessions.planned import forgotten_plans

BATCH = 500
Row = TypeVar("Row", Outbox, SessionRecord)


def check_ledger(
    database: Database, settings: Settings, now_us: int, *, late_us: int
) -> Iterator[Problem | None]:
    """Read the whole log and hold the index against it. One item for each entry and row.

    ``late_us``: how long an entry may wait to be logged before that is a problem.
    """
    with database.read() as orm:
        shards = list(orm.scalars(select(LogShard).order_by(LogShard.opened_us)))
    for row in shards:
        if row.given_up is None:
            yield from _check_shard(database, settings, row)
    yield from check_epochs(database)
    yield from _check_session_records(database, now_us - late_us)
    yield from _check_plans(database, now_us)


def _check_shard(database: Database, settings: Settings, row: LogShard) -> Iterator[Problem | None]:
    folder = settings.log / row.shard
    name = f"log {row.shard}"
    try:
        found = read_head(folder, origin_of(settings.site, row.shard))
        if found is None:
            if row.size:
                yield Problem(Fault.MISSING, name, "there is no checkpoint")
            return
        checkpoint, note = found
        yield from _check_tiles(folder.name, Tiles(folder, checkpoint.size), checkpoint, note)
        yield _check_promise(name, row, Tiles(folder, checkpoint.size))
        yield _check_cosigned(name, folder, row, Tiles(folder, checkpoint.size))
        yield from _check_rows(database, row.shard, Tiles(folder, checkpoint.size))
    except (DamageFound, BadRecord) as error:
        yield Problem(Fault.UNREADABLE, name, str(error))


def _check_tiles(
    shard: str, tiles: Tiles, checkpoint: Checkpoint, note: Note
) -> Iterator[Problem | None]:
    """Make the tree anew from the entries; every tile must be of the same tree."""
    tree = Tree()
    for number in range((tiles.size + WIDTH - 1) // WIDTH):
        leaves = [tree.append(entry) for entry in tiles.bundle(number)]
        same = leaves == tiles.hashes(0, number)
        where = f"log {shard} tile {number}"
        yield None if same else Problem(Fault.DIFFERS, where, "is not of its entries")
    for root in (tree.root(), tiles.root()):
        same = root == checkpoint.root
        yield None if same else Problem(Fault.DIFFERS, f"log {shard}", "is not the checkpoint's")
    signed = signed_by_itself(tiles, note)
    yield None if signed else Problem(Fault.DIFFERS, f"log {shard}", "is not signed with its key")


def _check_promise(name: str, row: LogShard, tiles: Tiles) -> Problem | None:
    if tiles.size < row.size:
        detail = f"has {tiles.size} entries where a checkpoint promised {row.size}: an old copy"
        return Problem(Fault.MISSING, name, detail)
    if row.size and tiles.range_root(0, row.size) != row.root:
        return Problem(Fault.DIFFERS, name, "is not the log whose checkpoint is known")
    return None


def _check_cosigned(name: str, folder: Path, row: LogShard, tiles: Tiles) -> Problem | None:
    """What witnesses have cosigned must be the log's beginning, or all of it."""
    found = read_head(folder, read_key(row.key).name, COSIGNED) if row.key else None
    if found is None:
        return None
    size, where = found[0].size, f"{name} cosigned"
    if size > tiles.size:
        said = f"witnesses have cosigned {size} entries of {tiles.size}: an old copy"
        return Problem(Fault.MISSING, where, said)
    same = size == 0 or tiles.range_root(0, size) == found[0].root
    return None if same else Problem(Fault.DIFFERS, where, "witnesses have cosigned another log")


def _check_rows(database: Database, shard: str, tiles: Tiles) -> Iterator[Problem | None]:
    """What the index says stands somewhere must stand there."""
    for row in itertools.chain.from_iterable(_batches(database, Outbox)):
        if row.shard != shard or row.position is None:
            continue
        entry = entry_bytes(entry_of(row.body["entry"]))
        same = row.position < tiles.size and tiles.entry(row.position) == entry
        where = f"log {shard} entry {row.position}"
        yield None if same else Problem(Fault.DIFFERS, where, f"is not what {row.key} says")


def _check_session_records(database: Database, before_us: int) -> Iterator[Problem | None]:
    """Each record of a session is logged, as it stands in the index."""
    for batch in _batches(database, SessionRecord):
        with database.read() as orm:
            rows = _outbox(orm, [session_record_key(record.id) for record in batch])
        for record in batch:
            name = f"session {record.session_id}#{record.seq}"
            row = rows.get(session_record_key(record.id))
            stated = SessionEntry(session_tag(record.session_id), record.seq, record.leaf.hex())
            yield _compare(name, row, record.at_us < before_us, stated)


def _check_plans(database: Database, now_us: int) -> Iterator[Problem | None]:
    """Of each session whose time has come, a record says whether it was opened or cancelled."""
    with database.read() as orm:
        forgotten = forgotten_plans(orm, now_us)
    for item in forgotten:
        yield Problem(Fault.MISSING, f"session {item.session_id}", item.why)


def _compare(
    name: str, row: Outbox | None, late: bool, stated: SessionEntry | None
) -> Problem | None:
    if row is None:
        return Problem(Fault.MISSING, name, "was never to be logged")
    if row.shard is None:
        return Problem(Fault.MISSING, name, "is not in the log") if late else None
    if stated is not None and entry_of(row.body["entry"]) != stated:
        return Problem(Fault.DIFFERS, name, "is not the record that was logged")
    return None


def _outbox(orm: Orm, keys: list[str]) -> dict[str, Outbox]:
    return {row.key: row for row in orm.scalars(select(Outbox).where(Outbox.key.in_(keys)))}


def _batches(database: Database, kind: type[Row]) -> Iterator[list[Row]]:
    after = 0
    while True:
        query = select(kind).where(kind.id > after).order_by(kind.id).limit(BATCH)
        with database.read() as orm:
            rows = list(orm.scalars(query))
        if not rows:
            return
        yield rows
        after = rows[-1].id
