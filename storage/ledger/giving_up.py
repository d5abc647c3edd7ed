"""The way out when a log is lost, an old copy, or not the one that was promised: a new shard.

Nothing that was signed is contradicted: the old shard's name and key are never used again, and the
new one begins with the last checkpoint that is known of the old one and the reason.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound, InvalidInput, NotFound
from bidwitness.storage.evidence.entries import entry_bytes, entry_of
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox, Session
from bidwitness.storage.ledger.opening import check_promise
from bidwitness.storage.ledger.shard import WriterLock, origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.ledger.waiting import BATCH, note_unheard, unheard

MAX_REASON = 500
# Ids in one statement: SQLite takes no more than some thousand.
CHUNK = 500
OPERATOR = Who("command line")


def give_up(database: Database, settings: Settings, clock: Clock, reason: str) -> tuple[str, int]:
    """Give up the present shard; give its name and how many entries are to be logged again.

    Raises ``Conflict`` while `keep` runs, ``NotFound`` if there is nothing to give up.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidInput(f"Give a reason of 1 to {MAX_REASON} characters.")
    lock = WriterLock(settings.log)
    lock.acquire()
    try:
        with database.read() as orm:
            row = orm.scalars(select(LogShard).order_by(LogShard.opened_us.desc())).first()
        if row is None or row.given_up is not None:
            raise NotFound("There is no log to give up.")
        tiles = _surviving(settings, row.shard)
        if tiles is not None:
            _hear_of_it(database, row, tiles, clock.utc_us())
        lost = [
            id_
            for id_, place, entry in logged_rows(database, row.shard)
            if not _holds(tiles, place, entry)
        ]
        with database.write() as orm:
            for at in range(0, len(lost), CHUNK):
                _wait_again(orm, lost[at : at + CHUNK])
            orm.get_one(LogShard, row.shard).given_up = reason
            subject = f"log:{row.shard}"
            facts = {"again": len(lost)}
            leave_audit_entry(
                orm, OPERATOR, "log.give_up", subject, clock.utc_us(), reason=reason, facts=facts
            )
        return row.shard, len(lost)
    finally:
        lock.release()


def _wait_again(orm: Orm, ids: list[int]) -> None:
    """Have rows logged again; where a session's close stands is told again then."""
    rows = orm.scalars(select(Outbox).where(Outbox.id.in_(ids)))
    sessions = {row.body["session"] for row in rows if "session" in row.body}
    orm.execute(update(Session).where(Session.id.in_(sessions)).values(log_position=None))
    again = {"shard": None, "position": None, "logged_us": None}
    orm.execute(update(Outbox).where(Outbox.id.in_(ids)).values(again))


def _hear_of_it(database: Database, row: LogShard, tiles: Tiles, now_us: int) -> None:
    """Tell the index of what it does not know of a log that survived: it is not logged again."""
    try:
        check_promise(row, tiles)
        found = unheard(database, row.shard, tiles)
    except DamageFound:
        return
    with database.write() as orm:
        present = orm.get_one(LogShard, row.shard)
        present.size, present.root = tiles.size, tiles.root()
        note_unheard(orm, row.shard, found, now_us)


def shards_in_use(database: Database) -> Sequence[str]:
    """Give the shards of the log that nobody has given up, the oldest first."""
    with database.read() as orm:
        return orm.scalars(
            select(LogShard.shard).where(LogShard.given_up.is_(None)).order_by(LogShard.opened_us)
        ).all()


def _surviving(settings: Settings, shard: str) -> Tiles | None:
    folder = settings.log / shard
    try:
        found = read_head(folder, origin_of(settings.site, shard))
        tiles = Tiles(folder, found[0].size) if found else None
        return tiles if found and tiles and tiles.root() == found[0].root else None
    except DamageFound:
        return None


def logged_rows(database: Database, shard: str) -> Iterator[tuple[int, int, bytes]]:
    """Give every row that is said to be in the shard: its id, place and entry."""
    after = 0
    while True:
        query = select(Outbox).where(Outbox.shard == shard, Outbox.id > after)
        with database.read() as orm:
            rows = list(orm.scalars(query.order_by(Outbox.id).limit(BATCH)))
        if not rows:
            return
        for row in rows:
            entry = entry_bytes(entry_of(row.body["entry"]))
            yield row.id, int(row.position or 0), entry
        after = rows[-1].id


def _holds(tiles: Tiles | None, place: int, entry: bytes) -> bool:
    try:
        return tiles is not None and place < tiles.size and tiles.entry(place) == entry
    except DamageFound:
        return False
