"""When a segment's copy in the spool may go. Pure decisions, and the hand that carries them out."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bidwitness.clock import Clock
from bidwitness.errors import NotFound
from bidwitness.storage.index.alarms import raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.volumes import any_absent, locate
from bidwitness.storage.store import Store
from bidwitness.storage.volumes import room_on

log = logging.getLogger(__name__)

BATCH = 256
# What rewinding a running session reads most stays, however full the disk is.
AT_LEAST_US = 600_000_000
# Room is made up to this share of the disk, well before the alarms of storage.volumes.
WANTED_PERCENT = 20
LOST = "footage_lost"


@dataclass(frozen=True, slots=True)
class Copy:
    """A segment's copy in the spool whose bytes the store has proved to hold."""

    segment_id: int
    path: str
    size: int
    stored_us: int
    # False if the store shares its blocks: removing the name gives back no room.
    frees: bool = True


@dataclass(frozen=True, slots=True)
class Room:
    """What a disk holds, in bytes."""

    free: int
    total: int

    @property
    def missing(self) -> int:
        """How many bytes short of the wanted share it is."""
        return max(0, self.total * WANTED_PERCENT // 100 - self.free)


def to_evict(copies: Sequence[Copy], now_us: int, keep_us: int, room: Room) -> list[Copy]:
    """Give the copies that may go, of ``copies`` by age (oldest first).

    Those stored longer than ``keep_us`` ago; and, while the disk lacks room, further ones that
    give some back, except of the last ten minutes.
    """
    chosen: list[Copy] = []
    missing = room.missing
    for copy in copies:
        age = now_us - copy.stored_us
        over = age > keep_us
        if over or (missing > 0 and copy.frees and age > AT_LEAST_US):
            chosen.append(copy)
            missing -= copy.size if copy.frees else 0
    return chosen


def _room(volume: Path) -> Room:
    found = room_on(volume)
    return Room(found.free, found.total)


class Evictor:
    """Removes copies that may go, after asking the store once more whether it has the segment."""

    def __init__(
        self,
        database: Database,
        store: Store,
        spool: Path,
        files: Files,
        clock: Clock,
        *,
        keep_us: int,
    ) -> None:
        self._database = database
        self._store = store
        self._spool = spool
        self._files = files
        self._clock = clock
        self._keep_us = keep_us

    def evict_some(self) -> int:
        """Look at the ``BATCH`` oldest copies; give how many have gone. Raises ``StoreError``."""
        copies = self._oldest()
        if not copies or not self._spool.is_dir():
            return 0
        now = self._clock.utc_us()
        by_volume: dict[Path, list[Copy]] = {}
        for copy in copies:
            by_volume.setdefault(self._volume_of(copy), []).append(copy)
        may_go = [
            copy
            for volume, held in by_volume.items()
            for copy in to_evict(held, now, self._keep_us, _room(volume))
        ]
        return sum(self._evict(copy) for copy in may_go)

    def _volume_of(self, copy: Copy) -> Path:
        return locate(self._spool, copy.path).parents[2]

    def _oldest(self) -> list[Copy]:
        query = (
            select(Segment)
            .where(
                Segment.spool_path.is_not(None),
                Segment.stored_us.is_not(None),
                Segment.removed_us.is_(None),
            )
            .order_by(Segment.stored_us)
            .limit(BATCH)
        )
        with self._database.read() as orm:
            return [self._copy_of(row) for row in orm.scalars(query)]

    def _copy_of(self, row: Segment) -> Copy:
        path = str(row.spool_path)
        try:
            frees = locate(self._spool, path).stat().st_nlink == 1
        except OSError:
            frees = False
        return Copy(row.id, path, row.bytes, row.stored_us or 0, frees)

    def _evict(self, copy: Copy) -> bool:
        """Unlink, make it durable, then say so: between the two a reader falls back on the store."""
        with self._database.read() as orm:
            row = orm.get(Segment, copy.segment_id)
        if row is None or row.removed_us is not None or row.store_key is None:
            return False
        try:
            found = self._store.stat(row.store_key, row.store_version)
            held = found.size == row.bytes
        except NotFound:
            held = False
        if not held:
            self._lost(copy)
            return False
        path = locate(self._spool, copy.path)
        if not path.exists() and any_absent(self._spool):
            return False
        if path.parent.is_dir():
            with suppress(FileNotFoundError):
                self._files.unlink(path)
            self._files.sync_dir(path.parent)
        with self._database.write() as orm:
            gone = orm.get(Segment, copy.segment_id, with_for_update=True)
            if gone is not None and gone.removed_us is None:
                gone.spool_path = None
        return True

    def _lost(self, copy: Copy) -> None:
        """Say that it has to be stored again: the spool's copy is the last one."""
        why = "The store lost a segment that it had proved to hold; it is put there again."
        log.error(why, extra={"facts": {"segment": copy.segment_id}})
        with self._database.write() as orm:
            row = orm.get(Segment, copy.segment_id, with_for_update=True)
            if row is not None and row.removed_us is None:
                row.stored_us = row.store_key = row.store_version = None
                subject = f"stream:{row.stream_id}"
                raise_alarm(orm, LOST, subject, self._clock.utc_us(), cause=why)
