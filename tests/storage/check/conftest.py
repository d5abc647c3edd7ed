"""A small site that really recorded: two streams, stored, with records beside the media."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.footage import Reel
from support.places import DAY, RECORDER, START, a_stream

from bidwitness.config import Settings, load_settings
from bidwitness.storage.check.index import check_index
from bidwitness.storage.check.problems import Problem
from bidwitness.storage.check.store import check_store
from bidwitness.storage.commit import Committer
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.store.file import FileStore

NOW = START + 3 * DAY


@dataclass
class SmallSite:
    """Everything under one data folder."""

    index: Database
    settings: Settings
    store: FileStore
    streams: list[str]

    @property
    def spool(self) -> Path:
        return self.settings.spool

    def record(self) -> None:
        """Two segments and, after a hole in the run, one more, of each stream."""
        for stream in self.streams:
            reel = Reel(self.index, self.spool, stream, START)
            for _ in range(2):
                reel.write(2)
                reel.close(commit=False)
            reel.skip(1)
            reel.write(1)
            reel.close(commit=False)
        Committer(self.index, self.spool).commit()

    def keep(self, *, records: bool = True) -> None:
        clock = FakeClock(NOW)
        Uploader(self.index, self.store, self.spool, clock, self.store.prepare).upload_some()
        if records:
            RecordsWriter(self.index, self.store, clock, self.store.prepare).write_due()

    def segments(self, index: Database | None = None) -> list[Segment]:
        with (index or self.index).read() as orm:
            return list(orm.scalars(select(Segment).order_by(Segment.stream_id, Segment.from_us)))

    def check_index(self, index: Database | None = None) -> list[Problem]:
        found = check_index(index or self.index, self.spool, RECORDER)
        return [problem for problem in found if problem is not None]

    def check_store(self, index: Database | None = None) -> list[Problem]:
        database = index or self.index
        found = check_store(database, self.store, Footage(self.spool, self.store), NOW)
        return [problem for problem in found if problem is not None]

    def file_in_store(self, number: int = 0) -> Path:
        key = Path(str(self.segments()[number].store_key))
        (found,) = (self.store.root / key.parent).glob(f"{key.stem}.*")
        return found


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path) -> SmallSite:
    settings = load_settings(data=tmp_path / "data", recorder=RECORDER)
    store = FileStore(settings.data / "store")
    made = SmallSite(sqlite_index, settings, store, [a_stream(sqlite_index) for _ in range(2)])
    made.record()
    return made
