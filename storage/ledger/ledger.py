"""From the outbox into the site's log, each entry once, whatever is killed when.

The log is written first, then the index says where each entry stands. What the log holds and the
index does not know of yet is found again by its bytes at the next start.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError, DamageFound, IndexUnavailable, StorageFull
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import (
    RosterEntry,
    ShardBefore,
    ShardEntry,
    entry_bytes,
    entry_of,
)
from bidwitness.storage.evidence.merkle import root
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.evidence.session_records import CloseFacts
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox, Session
from bidwitness.storage.ledger.keys import key_path, open_signer
from bidwitness.storage.ledger.shard import ShardLog, WriterLock, origin_of
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.spool.files import Files

log = logging.getLogger(__name__)

BATCH = 1000
STOPPED, SUBJECT = "ledger_stopped", "ledger"
WAY_OUT = (
    "Put the newest copy of the log's folder back, or begin a new one with "
    "`bidwitness new-log-shard` (docs/ledger.md)."
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox: what is to be logged, and where the index wants to hear of it."""

    id: int
    entry: bytes
    body: Mapping[str, Any]


def _nobody_objects(_shard: str) -> None:
    """For a log without witnesses."""


class Ledger:
    """The site's one writer of its log.

    ``confirm`` is asked before each append to a shard, and raises ``DamageFound`` if a witness has
    seen more of it than there is.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        files: Files,
        confirm: Callable[[str], None] = _nobody_objects,
    ) -> None:
        self._confirm = confirm
        self._database = database
        self._settings = settings
        self._clock = clock
        self._files = files
        self._lock = WriterLock(settings.log)
        self._shard: tuple[str, ShardLog] | None = None
        # Why it stands still; empty while it is not known whether it does.
        self._stopped: str | None = ""

    def log_some(self) -> int:
        """Log what waits; give how many entries. Stops with an alarm where it must not go on.

        Raises ``IndexUnavailable``, and ``StorageFull`` if the disk takes nothing.
        """
        try:
            done = self._log_some()
        except IndexUnavailable:
            self._shard = None  # what was logged by now is to be found again
            raise
        except OSError as error:
            self._shard = None
            raise StorageFull(f"The log cannot be written: {error.strerror}.") from error
        except (BidWitnessError, BadRecord) as error:
            self._shard = None
            self._stop(str(error))
            return 0
        if self._stopped is not None:
            self._stopped = None
            with self._database.write() as orm:
                clear_alarm(orm, STOPPED, SUBJECT, self._clock.utc_us())
        return done

    def close(self) -> None:
        """Let go of the log."""
        self._shard = None
        self._lock.release()

    def _stop(self, why: str) -> None:
        if why == self._stopped:
            return
        self._stopped = why
        log.error("the log of the site stands still", extra={"facts": {"why": why}})
        with self._database.write() as orm:
            raise_alarm(orm, STOPPED, SUBJECT, self._clock.utc_us(), cause=why)

    def _log_some(self) -> int:
        self._lock.acquire()
        name, shard = self._open_shard()
        waiting = self._waiting(0)
        if not waiting:
            return 0
        self._confirm(name)
        first = shard.append([item.entry for item in waiting])
        self._note(name, shard, {item.id: first + n for n, item in enumerate(waiting)}, waiting)
        return len(waiting)

    def _open_shard(self) -> tuple[str, ShardLog]:
        """Give this year's shard, opened, or begun with what it continues."""
        year = utc_day(self._clock.utc_us())[:4]
        if self._shard is not None and self._shard[0][:4] >= year:
            return self._shard
        with self._database.read() as orm:
            rows = list(orm.scalars(select(LogShard).order_by(LogShard.opened_us)))
        last = rows[-1] if rows else None
        if last is not None and last.given_up is None:
            # A year that is over, too: it may hold what the index has not heard of.
            self._shard = last.shard, self._open(last, rows[-2] if len(rows) > 1 else None)
            if last.shard[:4] >= year:
                return self._shard
        count = sum(row.shard[:4] == year for row in rows)
        row = self._new_row(f"{year}-{count + 1}" if count else year)
        self._shard = row.shard, self._open(row, last)
        return self._shard

    def _new_row(self, name: str) -> LogShard:
        now = self._clock.utc_us()
        row = LogShard(shard=name, opened_us=now, size=0, root=root([]), checkpoint_us=now, key="")
        with self._database.write() as orm:
            orm.add(row)
        return row

    def _open(self, row: LogShard, previous: LogShard | None) -> ShardLog:
        folder = self._settings.log / row.shard
        origin = origin_of(self._settings.site, row.shard)
        fresh = row.size == 0 and not folder.exists()
        signer = open_signer(key_path(self._settings, row.shard), origin, create=fresh)
        shard = ShardLog(folder, signer, self._files)
        shard.open()
        self._check_promise(row, shard.tiles)
        if shard.head.size == 0:
            begins = ShardEntry(_before(self._settings, previous), _reason(previous))
            shard.append([entry_bytes(begins), entry_bytes(RosterEntry("log", str(signer.key)))])
        self._reconcile(row, shard)
        return shard

    def _check_promise(self, row: LogShard, tiles: Tiles) -> None:
        """The log must go on from the last checkpoint that the index knows to have been made."""
        if tiles.size < row.size:
            raise DamageFound(
                f"The log {row.shard} on disk has {tiles.size} entries; a checkpoint promised "
                f"{row.size}: it is an old copy, and to go on would contradict what was signed. "
                + WAY_OUT
            )
        if row.size and tiles.range_root(0, row.size) != row.root:
            raise DamageFound(
                f"The log {row.shard} on disk is not the one whose checkpoint of {row.size} "
                "entries is known: to go on would contradict what was signed. " + WAY_OUT
            )

    def _reconcile(self, row: LogShard, shard: ShardLog) -> None:
        """Tell the index of entries that were logged when it could no longer be told."""
        if row.size == shard.head.size:
            return
        waiting: dict[bytes, Waiting] = {}
        after = 0
        while batch := self._waiting(after):
            waiting |= {item.entry: item for item in batch}
            after = batch[-1].id
        entries = ((shard.tiles.entry(n), n) for n in range(row.size, shard.head.size))
        found = [(waiting[entry], place) for entry, place in entries if entry in waiting]
        places = {item.id: place for item, place in found}
        self._note(row.shard, shard, places, [item for item, _ in found])

    def _waiting(self, after: int) -> list[Waiting]:
        query = (
            select(Outbox)
            .where(Outbox.shard.is_(None), Outbox.id > after)
            .order_by(Outbox.id)
            .limit(BATCH)
        )
        with self._database.read() as orm:
            return [
                Waiting(row.id, entry_bytes(entry_of(row.body["entry"])), row.body)
                for row in orm.scalars(query)
            ]

    def _note(
        self, name: str, shard: ShardLog, places: Mapping[int, int], items: Sequence[Waiting]
    ) -> None:
        """Say in the index where entries stand, and how far the log is known to have come."""
        now = self._clock.utc_us()
        with self._database.write() as orm:
            rows = [
                {"id": id_, "shard": name, "position": place, "logged_us": now}
                for id_, place in places.items()
            ]
            if rows:
                orm.execute(update(Outbox), rows)
            for item in items:
                if item.body.get("record") == CloseFacts.T:
                    _note_position(orm, str(item.body["session"]), places[item.id])
            row = orm.get_one(LogShard, name)
            row.size, row.root, row.checkpoint_us = shard.head.size, shard.head.root, now
            row.key = str(shard.key)


def _note_position(orm: Orm, session_id: str, place: int) -> None:
    # Not through the object: a version of the session that somebody looks at stays the same.
    orm.execute(update(Session).where(Session.id == session_id).values(log_position=place))


def _before(settings: Settings, previous: LogShard | None) -> ShardBefore | None:
    if previous is None:
        return None
    origin = origin_of(settings.site, previous.shard)
    return ShardBefore(origin, previous.size, previous.root.hex())


def _reason(previous: LogShard | None) -> str | None:
    return None if previous is None else previous.given_up
