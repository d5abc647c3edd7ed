"""Journals go only when they are old, not the newest, and wholly in the store."""

from pathlib import Path

import pytest
from support.clock import FakeClock
from support.evidence_facts import segment_facts
from support.memory_store import MemoryStore
from support.places import DAY, START, a_stream

from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.records import (
    first_place,
    leaf_hash,
    next_place,
    segment_record,
)
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Record
from bidwitness.storage.keep.journals import JournalKeeper, may_go
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.journal import encode_line, last_entries
from bidwitness.storage.spool.layout import journal_path


def test_the_newest_and_the_last_week_stay() -> None:
    days = ["20231101", "20231106", "20231107", "20231108", "20231109", "20231110"]
    assert may_go(days, START) == ["20231101", "20231106"]
    assert may_go(days[:4], START) == ["20231101"]
    assert may_go(days[:3], START) == []
    assert may_go([], START) == []


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def recorded(index: Database, spool: Path, days: int) -> str:
    """One record a day, in the journals and in the index."""
    stream = a_stream(index)
    place = first_place("site-1", "recorder-1", stream, START)
    with index.write() as orm:
        for number in range(days):
            record = segment_record(segment_facts(place, number * 1440))
            path = journal_path(spool, stream, place.day)
            path.parent.mkdir(parents=True)
            path.write_bytes(encode_line(record, {}))
            orm.add(
                Record(
                    stream_id=stream,
                    day=int(place.day),
                    seq=place.seq,
                    kind="segment",
                    leaf=leaf_hash(record),
                    body=canonical(record).decode(),
                )
            )
            place = next_place(record, START + (number + 1) * DAY, "recorder-1")
    return stream


def left(spool: Path, stream: str) -> list[str]:
    return sorted(path.parent.name for path in (spool / stream).glob("*/journal.ndjson"))


def test_they_go_once_their_records_are_in_the_store(index: Database, spool: Path) -> None:
    stream = recorded(index, spool, 6)
    clock = FakeClock(START + 30 * DAY)
    keeper = JournalKeeper(index, spool, SystemFiles(), clock)
    assert keeper.remove_old() == 0
    RecordsWriter(index, MemoryStore(), clock, lambda: None).write_due()
    (spool / stream / "20231115" / "still-here.mp4").touch()
    assert keeper.remove_old() == 3
    assert left(spool, stream) == ["20231117", "20231118", "20231119"]
    assert not (spool / stream / "20231114").exists()
    assert (spool / stream / "20231115" / "still-here.mp4").exists()
    assert last_entries(spool, stream) != []


def test_one_that_holds_more_than_the_store_or_is_broken_stays(
    sqlite_index: Database, spool: Path
) -> None:
    stream = recorded(sqlite_index, spool, 5)
    clock = FakeClock(START + 30 * DAY)
    RecordsWriter(sqlite_index, MemoryStore(), clock, lambda: None).write_due()
    first = journal_path(spool, stream, "20231114")
    line = first.read_bytes()
    place = next_place(
        segment_record(segment_facts(first_place("site-1", "recorder-1", stream, START))),
        START,
        "recorder-1",
    )
    first.write_bytes(line + encode_line(segment_record(segment_facts(place, 1)), {}))
    journal_path(spool, stream, "20231115").write_bytes(b"{broken\n")
    assert JournalKeeper(sqlite_index, spool, SystemFiles(), clock).remove_old() == 0
