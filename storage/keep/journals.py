"""Journals of days whose records are in the store: the spool needs them no more.

A minute of G.711 makes a line of some kilobytes; years of them would fill the volume. The newest
journals of a stream always stay: its chain goes on from there, and a recorder that starts looks
into them.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select

from bidwitness.clock import Clock
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import RecordObject, Stream
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import day_dir, journal_path

DAY_US = 86_400_000_000
KEEP_DAYS = 7
KEEP_NEWEST = 3


def may_go(days: Sequence[str], today_us: int) -> list[str]:
    """Give the days whose journals are old enough: not the newest three, none of the last week."""
    oldest_kept = utc_day(today_us - KEEP_DAYS * DAY_US)
    return [day for day in sorted(days)[:-KEEP_NEWEST] if day < oldest_kept]


class JournalKeeper:
    """Removes journals of one volume that are old and wholly in the store."""

    def __init__(self, database: Database, spool: Path, files: Files, clock: Clock) -> None:
        self._database = database
        self._spool = spool
        self._files = files
        self._clock = clock

    def remove_old(self) -> int:
        """Give how many journals went."""
        with self._database.read() as orm:
            streams = list(orm.scalars(select(Stream.id).order_by(Stream.id)))
        now = self._clock.utc_us()
        return sum(
            self._remove(stream, day)
            for stream in streams
            for day in may_go(journal_days(self._spool, stream), now)
        )

    def _remove(self, stream: str, day: str) -> bool:
        path = journal_path(self._spool, stream, day)
        query = select(func.max(RecordObject.last_seq)).where(
            RecordObject.stream_id == stream, RecordObject.day == int(day)
        )
        with self._database.read() as orm:
            stored = orm.scalar(query)
        try:
            last = max((entry.read().place.seq for entry in read_journal(path)), default=-1)
        except DamageFound:
            return False  # whoever looks into it needs it
        if stored is None or stored < last:
            return False
        self._files.unlink(path)
        folder = day_dir(self._spool, stream, day)
        self._files.sync_dir(folder)
        with suppress(OSError):  # not empty: copies that are to be kept for longer
            folder.rmdir()
        return True
