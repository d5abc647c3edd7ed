"""What the store lost or changed is put right: from another version it has, or a copy beside it.

A segment's copy is in the spool, a report's in the folder it was made in; a stretch of records is
written again from the index. Whatever it comes from, its digest is the one that was kept, or it is
refused. The new version is proved by reading it before the index names it. The bad one stays where
it is, as evidence; listing finds it and says what it is (``surplus``).
"""

import io
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound, NotFound
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.evidence_report.registered import report_path
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import AT_ONCE
from bidwitness.storage.index.models import RecordObject, Segment, SessionObject
from bidwitness.storage.keep.records import Stretch, lines_of
from bidwitness.storage.spool.volumes import locate
from bidwitness.storage.store import LockingStore
from bidwitness.storage.store.base import Source, digest_of

# Where a good copy was found.
STORE, SPOOL, INDEX, REPORTS = "store", "spool", "index", "reports"
# So many other versions of a key are tried.
MOST_VERSIONS = 16
Row = Segment | RecordObject | SessionObject


@dataclass(frozen=True, slots=True)
class Broken:
    """An object that is not what the index names."""

    table: type[Row]
    id: int
    key: str
    version: str
    sha256: bytes
    size: int


def row_of(orm: Orm, table: type[Row], row_id: int, *, locked: bool = False) -> Row | None:
    """Give the row of an object, if it is still there."""
    found: Row | None
    if issubclass(table, Segment):
        found = orm.get(Segment, row_id, with_for_update=locked)
    elif issubclass(table, RecordObject):
        found = orm.get(RecordObject, row_id, with_for_update=locked)
    else:
        found = orm.get(SessionObject, row_id, with_for_update=locked)
    return found


class Mender:
    """Finds a good copy and has the index name it. ``reports``: the folder that reports are made in."""

    def __init__(self, database: Database, store: LockingStore, spool: Path, reports: Path) -> None:
        self._database = database
        self._store = store
        self._spool = spool
        self._reports = reports

    def mend(self, broken: Broken) -> str | None:
        """Put it right; give from where, or nothing if no good copy is left.

        Raises ``StoreError``, ``StorageFull``, ``Conflict``.
        """
        lock = self._wanted_lock(broken)
        version, source = self._from_store(broken), STORE
        if version is None:
            version, source = self._from_copy(broken, lock)
        if version is None:
            return None
        with self._database.write() as orm:
            row = row_of(orm, broken.table, broken.id, locked=True)
            if row is None or row.store_version != broken.version:
                return None  # somebody was quicker
            row.store_version = version
            # Its lock is looked at anew: what is known is that of the version that failed.
            row.lock_until_us = row.lock_hold_us = row.lock_checked_us = None
            row.lock_due_us = AT_ONCE
        return source

    def _wanted_lock(self, broken: Broken) -> Lock:
        with self._database.read() as orm:
            row = row_of(orm, broken.table, broken.id)
            if row is None or row.lock_until_us is None:
                return UNLOCKED
            return Lock(row.lock_until_us, held=bool(row.lock_hold_us))

    def _from_store(self, broken: Broken) -> str | None:
        """Give another version of the same key that holds the very bytes."""
        page = self._store.versions(broken.key, None, MOST_VERSIONS)
        for item in page.listed:
            same = item.key == broken.key and item.version != broken.version
            if not same or item.marker or item.size != broken.size:
                continue
            try:
                found = digest_of(self._store.stream(item.key, item.version))
            except (NotFound, DamageFound):
                continue
            if found == (broken.sha256, broken.size):
                return item.version
        return None

    def _from_copy(self, broken: Broken, lock: Lock) -> tuple[str | None, str]:
        """Put what lies beside the store into it; give its version there, and where it lay."""
        with self._database.read() as orm:
            row = row_of(orm, broken.table, broken.id)
            found = self._copy_of(orm, row) if row is not None else None
        if found is None:
            return None, ""
        source, copy = found
        try:
            return self._store.put(broken.key, copy, broken.sha256, lock=lock).version, source
        except DamageFound:
            return None, ""  # that copy is no better

    def _copy_of(self, orm: Orm, row: Row) -> tuple[str, Source] | None:
        if isinstance(row, RecordObject):
            stretch = Stretch(row.stream_id, row.day, row.first_seq, row.last_seq)
            data = lines_of(orm, stretch)
            return (INDEX, lambda: io.BytesIO(data)) if data is not None else None
        if isinstance(row, SessionObject):
            source, path = REPORTS, report_path(self._reports, row.derivative_id, row.suffix)
        elif row.spool_path is not None:
            source, path = SPOOL, locate(self._spool, row.spool_path)
        else:
            return None
        if not path.is_file():
            return None
        if source == SPOOL:
            return source, path
        # Opened, not named: a store in a folder would make it one file under two names.
        return source, lambda: path.open("rb")
