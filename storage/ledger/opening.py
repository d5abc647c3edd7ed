"""Opens a shard for its writer: only the log that was promised, or one that continues it."""

from datetime import UTC, datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.note import Checkpoint
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.models import LogShard
from bidwitness.storage.ledger.keys import key_path, open_signer
from bidwitness.storage.ledger.shard import Promise, ShardLog, origin_of
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.spool.files import Files

WAY_OUT = (
    "Put the newest copy of the log's folder back, or begin a new one with "
    "`bidwitness new-log-shard` (docs/ledger.md)."
)


def open_shard(
    settings: Settings, row: LogShard, files: Files, promise: Promise, *, create: bool
) -> ShardLog:
    """Open the log that ``row`` is about. ``create``: its key is made if there is none.

    Raises ``DamageFound`` if it is not the promised one, ``ConfigError`` for the key.
    """
    folder = settings.log / row.shard
    origin = origin_of(settings.site, row.shard)
    signer = open_signer(key_path(settings, row.shard), origin, create=create)
    shard = ShardLog(folder, signer, files, promise)
    shard.open()
    if row.size:
        # A crash after the promise: what was promised is signed, and nothing else.
        shard.keep_promise(Checkpoint(origin, row.size, row.root))
        check_promise(row, shard.tiles)
    return shard


def check_promise(row: LogShard, tiles: Tiles) -> None:
    """The log must go on from the last checkpoint that the index knows to have been promised.

    Raises ``DamageFound``.
    """
    if tiles.size < row.size:
        raise DamageFound(
            f"The log {row.shard} on disk has {tiles.size} entries; a checkpoint promised "
            f"{row.size}: it is an old copy, or another process writes the log, and to go on would "
            "contradict what was signed. " + WAY_OUT
        )
    if row.size and tiles.range_root(0, row.size) != row.root:
        raise DamageFound(
            f"The log {row.shard} on disk is not the one whose checkpoint of {row.size} "
            "entries is known: to go on would contradict what was signed. " + WAY_OUT
        )


def move_on(orm: Orm, shard: str, before: Checkpoint, after: Checkpoint) -> bool:
    """Say in the index how far a log is about to be signed, if that is known of it which the writer
    knows, and it is in use; else say no. Call inside ``Database.write``."""
    moved = (
        update(LogShard)
        .where(
            LogShard.shard == shard,
            LogShard.size == before.size,
            or_(LogShard.size == 0, LogShard.root == before.root),
            LogShard.given_up.is_(None),
            LogShard.restored_us.is_(None),
        )
        .values(size=after.size, root=after.root)
        .returning(LogShard.shard)
    )
    return orm.scalar(moved) is not None


def name_of_next(year: str, rows: list[LogShard]) -> str:
    """Give the name of a new shard: the year, with a number if it is not the year's first. Pure.

    After a restored index was given up, shards may have been that nobody here knows of: their names
    must not come again, so the new one bears the instant of the restore.
    """
    base = year
    lost = [row.restored_us for row in rows if row.given_up is not None and row.restored_us]
    if lost and utc_day(max(lost))[:4] >= year:
        base = f"{year}-{datetime.fromtimestamp(max(lost) // 1_000_000, UTC):%m%d%H%M%S}"
    count = sum(row.shard == base or row.shard.startswith(f"{base}-") for row in rows)
    return f"{base}-{count + 1}" if count else base


def awaits_confirmation(orm: Orm) -> bool:
    """Say whether the log stands still since the index was restored from a backup."""
    newest = orm.scalars(select(LogShard).order_by(LogShard.opened_us.desc()).limit(1)).first()
    return newest is not None and newest.given_up is None and newest.restored_us is not None
