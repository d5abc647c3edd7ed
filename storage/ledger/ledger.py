"""From the outbox into the site's log, each entry once, whatever is killed when.

What is about to be signed is promised to the index first, if it knows of nothing newer: so two
writers of one index never sign two logs. Then the log is written, then the index is told where each
entry stands. What it could not be told is found again by its bytes at the next start.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError, Conflict, IndexUnavailable, StorageFull
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import (
    RosterEntry,
    ShardBefore,
    ShardEntry,
    entry_bytes,
)
from bidwitness.storage.evidence.merkle import root
from bidwitness.storage.evidence.note import Checkpoint
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard
from bidwitness.storage.ledger.opening import move_on, name_of_next, open_shard
from bidwitness.storage.ledger.shard import ShardLog, WriterLock, origin_of
from bidwitness.storage.ledger.waiting import (
    note_places,
    note_unheard,
    unheard,
    waiting_rows,
)
from bidwitness.storage.spool.files import Files

log = logging.getLogger(__name__)

STOPPED, SUBJECT = "ledger_stopped", "ledger"


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
        waiting = waiting_rows(self._database, 0)
        if not waiting:
            return 0
        self._confirm(name)
        first = shard.append([item.entry for item in waiting])
        now = self._clock.utc_us()
        with self._database.write() as orm:
            self._note(orm, name, shard, now)
            note_places(orm, name, list(enumerate(waiting, first)), now)
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
            if last.restored_us is not None:
                raise Conflict(_restored(last))
            # A year that is over, too: it may hold what the index has not heard of.
            self._shard = last.shard, self._open(last, rows[-2] if len(rows) > 1 else None)
            if last.shard[:4] >= year:
                return self._shard
        row = self._new_row(name_of_next(year, rows))
        self._shard = row.shard, self._open(row, last)
        return self._shard

    def _new_row(self, name: str) -> LogShard:
        now = self._clock.utc_us()
        row = LogShard(shard=name, opened_us=now, size=0, root=root([]), checkpoint_us=now, key="")
        with self._database.write() as orm:
            orm.add(row)
        return row

    def _open(self, row: LogShard, previous: LogShard | None) -> ShardLog:
        fresh = row.size == 0 and not (self._settings.log / row.shard).exists()
        promise = partial(self._promise, row.shard)
        shard = open_shard(self._settings, row, self._files, promise, create=fresh)
        if shard.head.size > row.size:  # an older index: from here on it knows what is here
            self._promise(row.shard, Checkpoint(shard.key.name, row.size, row.root), shard.head)
        if shard.head.size == 0:
            begins = ShardEntry(_before(self._settings, previous), _reason(previous))
            shard.append([entry_bytes(begins), entry_bytes(RosterEntry("log", str(shard.key)))])
        found, now = unheard(self._database, row.shard, shard.tiles), self._clock.utc_us()
        with self._database.write() as orm:
            self._note(orm, row.shard, shard, now)
            note_unheard(orm, row.shard, found, now)
        return shard

    def _promise(self, name: str, before: Checkpoint, after: Checkpoint) -> None:
        """Say in the index what is about to be signed. Raises ``Conflict`` if it knows better."""
        with self._database.write() as orm:
            if not move_on(orm, name, before, after):
                raise Conflict(_overtaken(name, before.size, orm.get(LogShard, name)))

    def _note(self, orm: Orm, name: str, shard: ShardLog, now_us: int) -> None:
        """Say that what was promised is signed. Raises ``Conflict`` if something else was."""
        if not move_on(orm, name, shard.head, shard.head):
            raise Conflict(_overtaken(name, shard.head.size, orm.get(LogShard, name)))
        row = orm.get_one(LogShard, name, populate_existing=True)
        row.checkpoint_us, row.key = now_us, str(shard.key)


def _overtaken(name: str, size: int, row: LogShard | None) -> str:
    known = "nothing of it" if row is None else f"{row.size} entries"
    if row is not None and row.given_up is not None:
        known = "that it was given up"
    elif row is not None and row.restored_us is not None:
        known = "that it was restored from a backup"
    return (
        f"This writer of the log {name} knows {size} entries, the index knows {known}: another "
        "process writes the log, or the index was exchanged. Nothing was signed over it. Let one "
        "`keep` run, the one with the newest data/log (docs/ledger.md)."
    )


def _restored(row: LogShard) -> str:
    when = datetime.fromtimestamp((row.restored_us or 0) // 1_000_000, UTC)
    return (
        f"The index was restored from a backup on {when:%Y-%m-%d %H:%M} UTC: what the log "
        f"{row.shard} has signed since the backup may not be here, and to go on might contradict "
        "it. Stop `keep`. If data/log is the newest there is, run `bidwitness confirm-log --reason "
        '"…"`; else `bidwitness new-log-shard --reason "…"` (docs/backup.md).'
    )


def _before(settings: Settings, previous: LogShard | None) -> ShardBefore | None:
    if previous is None:
        return None
    origin = origin_of(settings.site, previous.shard)
    return ShardBefore(origin, previous.size, previous.root.hex())


def _reason(previous: LogShard | None) -> str | None:
    return None if previous is None else previous.given_up
