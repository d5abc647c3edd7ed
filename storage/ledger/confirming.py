"""The way on after a restore: somebody vouches that the log that is here is the newest there is.

A backup knows nothing of what was signed after it was made. So a restored index stops the log until
this was said, and what can be checked is: that the log is whole and signed, that it continues what
the index knows, and that no witness has seen more of it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Conflict, DamageFound, InvalidInput, NotFound
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import ShardEntry, read_entry
from bidwitness.storage.evidence.merkle import root
from bidwitness.storage.evidence.note import Checkpoint
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard
from bidwitness.storage.ledger.giving_up import MAX_REASON
from bidwitness.storage.ledger.opening import open_shard
from bidwitness.storage.ledger.shard import ShardLog, WriterLock, origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.ledger.waiting import Unheard, note_unheard, unheard
from bidwitness.storage.ledger.whole import check_whole
from bidwitness.storage.spool.files import Files

OPERATOR = Who("command line")
# Asks all witnesses about a shard: what is wrong with each answer, empty for one that cosigned.
Survey = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Confirmed:
    """``shard`` is the newest, of ``size`` entries. ``epochs``: how many came back from the log;
    ``others``: entries that it holds and the index knows nothing of, by kind."""

    shard: str
    size: int
    epochs: int
    others: Mapping[str, int]
    witnesses: Mapping[str, str]


def confirm_log(
    database: Database,
    settings: Settings,
    clock: Clock,
    files: Files,
    reason: str,
    survey: Survey,
    *,
    unwitnessed: bool = False,
) -> Confirmed:
    """Let the log go on after a restore. ``unwitnessed``: also if a witness does not answer.

    Raises ``Conflict`` while `keep` runs or a witness does not answer, ``NotFound`` if nothing is to
    be confirmed or there is no log, ``DamageFound`` if it is not whole, contradicts the index, or a
    witness has seen more of it.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidInput(f"Give a reason of 1 to {MAX_REASON} characters.")
    lock = WriterLock(settings.log)
    lock.acquire()
    try:
        row = _restored(database)
        chain = _chain(settings, files, row)
        found = {link.row.shard: unheard(database, link.row.shard, link.tiles) for link in chain}
        said = _ask(survey, chain[-1].row.shard, unwitnessed=unwitnessed)
        return _write(database, clock, reason, chain, found, said)
    finally:
        lock.release()


@dataclass(frozen=True)
class _Link:
    """A shard on the disk, and what its row is to be."""

    row: LogShard
    log: ShardLog

    @property
    def tiles(self) -> Tiles:
        return self.log.tiles


def _restored(database: Database) -> LogShard:
    with database.read() as orm:
        row = orm.scalars(select(LogShard).order_by(LogShard.opened_us.desc())).first()
    if row is None or row.given_up is not None or row.restored_us is None:
        raise NotFound("No log waits to be confirmed: this index was not restored from a backup.")
    return row


def _chain(settings: Settings, files: Files, row: LogShard) -> list[_Link]:
    """Open the restored shard, and those that followed it after the backup was made."""
    chain: list[_Link] = []
    following: LogShard | None = row
    while following is not None:
        if not (settings.log / following.shard).is_dir():
            raise NotFound(
                f"There is no log {following.shard} in {settings.log}. Put its newest copy there, "
                "or begin a new one with `bidwitness new-log-shard`."
            )
        log = open_shard(settings, following, files, _promise_nothing, create=False)
        check_whole(log.tiles)
        following.size, following.root = log.head.size, log.head.root
        following.key = str(log.key)
        chain.append(_Link(following, log))
        following = _follower(settings, chain)
    return chain


def _follower(settings: Settings, chain: list[_Link]) -> LogShard | None:
    """Find the shard that says of itself that it continues the last one. Changes that one's row."""
    last = chain[-1]
    origin = origin_of(settings.site, last.row.shard)
    known = {link.row.shard for link in chain}
    for folder in sorted(p for p in settings.log.iterdir() if p.is_dir() and p.name not in known):
        begins = _first_entry(settings, folder)
        if begins is None or begins.previous is None or begins.previous.origin != origin:
            continue
        size = begins.previous.size
        beyond = size > last.tiles.size
        if beyond or (size and last.tiles.range_root(0, size).hex() != begins.previous.root):
            raise DamageFound(
                f"The log {folder.name} continues {size} entries of {last.row.shard}, which are "
                "not what is here: put the newest copy of both there."
            )
        last.row.given_up = begins.reason
        at = last.row.opened_us + 1
        return LogShard(
            shard=folder.name, opened_us=at, size=0, root=root([]), checkpoint_us=at, key=""
        )
    return None


def _first_entry(settings: Settings, folder: Path) -> ShardEntry | None:
    found = read_head(folder, origin_of(settings.site, folder.name))
    if found is None or found[0].size == 0:
        return None
    try:
        entry = read_entry(Tiles(folder, found[0].size).entry(0))
    except BadRecord as error:
        raise DamageFound(f"The log {folder.name} is damaged: {error}.") from None
    return entry if isinstance(entry, ShardEntry) else None


def _promise_nothing(_before: Checkpoint, _after: Checkpoint) -> None:
    raise Conflict("Nothing is logged while a log is confirmed.")


def _ask(survey: Survey, shard: str, *, unwitnessed: bool) -> Mapping[str, str]:
    said = survey(shard)
    silent = [f"{name} {why}" for name, why in said.items() if why]
    if silent and not unwitnessed:
        raise Conflict(
            f"Whether more was signed cannot be told: {'; '.join(silent)}. Try again when it "
            "answers, or, if you know it otherwise, with --without-witnesses."
        )
    return said


def _write(
    database: Database,
    clock: Clock,
    reason: str,
    chain: list[_Link],
    found: Mapping[str, Unheard],
    said: Mapping[str, str],
) -> Confirmed:
    now, last = clock.utc_us(), chain[-1].row
    others = Counter[str]()
    for item in found.values():
        others.update(item.others)
    facts: dict[str, object] = {
        "size": last.size,
        "root": last.root.hex(),
        "unknown": dict(others),
        "witnesses": dict(said),
    }
    with database.write() as orm:
        epochs = 0
        for link in chain:
            _store(orm, link.row)
            epochs += note_unheard(orm, link.row.shard, found[link.row.shard], now)
        subject = f"log:{last.shard}"
        leave_audit_entry(orm, OPERATOR, "log.confirm", subject, now, reason=reason, facts=facts)
    return Confirmed(last.shard, last.size, epochs, others, said)


def _store(orm: Orm, row: LogShard) -> None:
    present = orm.get(LogShard, row.shard)
    if present is None:
        orm.add(row)
        orm.flush()
        return
    present.size, present.root, present.key = row.size, row.root, row.key
    present.given_up, present.restored_us = row.given_up, None
