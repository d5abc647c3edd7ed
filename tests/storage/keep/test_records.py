"""Records become objects beside the media: in order, each once, when a day is over or a seal wants it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.clock import FakeClock
from support.kept import chained
from support.memory_store import MemoryStore, sha256_of
from support.places import DAY, HOUR, START, a_session, a_stream

from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Record, RecordObject, Session, SessionRecord
from bidwitness.storage.keep.records import (
    GRACE_US,
    MAX_LINES,
    RecordsWriter,
    Stretch,
    stretches_due,
)

TODAY = 20231114  # START
MIDNIGHT = START - START % DAY


@given(
    written=st.integers(-1, 5),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    wanted=st.dictionaries(st.integers(0, 3), st.integers(0, 8)),
    ended=st.integers(0, 4),
)
def test_stretches_follow_on_without_hole_or_overlap(
    written: int, sizes: list[int], wanted: dict[int, int], ended: int
) -> None:
    present = {20231110 + n: size - 1 for n, size in enumerate(sizes)}
    wanted = {20231110 + n: last for n, last in wanted.items()}
    now = MIDNIGHT + (ended - 4) * DAY + GRACE_US + 1
    start = (20231110, min(written, sizes[0] - 1))
    at = start
    for stretch in stretches_due("s", start, present, wanted, now):
        if stretch.day == at[0]:
            assert stretch.first == at[1] + 1
        else:
            assert stretch.day > at[0] and stretch.first == 0
            assert at[1] == present[at[0]], "a day was left before its end"
        assert stretch.first <= stretch.last <= present[stretch.day]
        at = (stretch.day, stretch.last)
    for day, last in present.items():
        if day < max(present):
            assert at >= (day, last), "a day that is over was not written"


def test_a_running_day_is_written_only_as_far_as_a_seal_points() -> None:
    now = MIDNIGHT + 12 * HOUR
    assert list(stretches_due("s", (0, -1), {TODAY: 9}, {}, now)) == []
    assert list(stretches_due("s", (0, -1), {TODAY: 9}, {TODAY: 4}, now)) == [
        Stretch("s", TODAY, 0, 4)
    ]
    assert list(stretches_due("s", (TODAY, 4), {TODAY: 9}, {TODAY: 4}, now)) == []
    assert list(stretches_due("s", (TODAY, 4), {TODAY: 9}, {}, MIDNIGHT + DAY + GRACE_US + 1)) == [
        Stretch("s", TODAY, 5, 9)
    ]


def test_long_days_come_in_parts() -> None:
    found = list(stretches_due("s", (0, -1), {TODAY: 2 * MAX_LINES}, {}, START + 9 * DAY))
    assert [(s.first, s.last) for s in found] == [
        (0, MAX_LINES - 1),
        (MAX_LINES, 2 * MAX_LINES - 1),
        (2 * MAX_LINES, 2 * MAX_LINES),
    ]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def objects(index: Database) -> list[RecordObject]:
    with index.read() as orm:
        return list(orm.scalars(select(RecordObject).order_by(RecordObject.first_seq)))


def test_a_day_that_is_over_is_written_once(index: Database, store: MemoryStore) -> None:
    stream = a_stream(index)
    rows = chained(index, stream, 5)
    clock = FakeClock(START + HOUR)
    writer = RecordsWriter(index, store, clock, lambda: None)
    assert writer.write_due() == 0
    clock.set_utc(MIDNIGHT + DAY + GRACE_US + 1)
    assert writer.write_due() == 1
    assert writer.write_due() == 0
    (made,) = objects(index)
    data = store.read(made.store_key, made.store_version)
    assert data.decode().splitlines() == [row.body for row in rows]
    assert made.sha256 == sha256_of(data) and made.bytes == len(data)
    assert made.store_key == f"footage/{stream}/{TODAY}/records-000000-000004.ndjson"
    assert json.loads(data.splitlines()[0])["t"] == "segment"


def test_a_put_without_its_row_is_found_again(index: Database, store: MemoryStore) -> None:
    chained(index, a_stream(index), 3)
    clock = FakeClock(START + 2 * DAY)
    RecordsWriter(index, store, clock, lambda: None).write_due()
    with index.write() as orm:
        for made in orm.scalars(select(RecordObject)):
            orm.delete(made)
    assert RecordsWriter(index, store, clock, lambda: None).write_due() == 1
    assert len(store.objects) == 1


def test_a_hole_waits_for_its_rows(index: Database, store: MemoryStore) -> None:
    stream = a_stream(index)
    chained(index, stream, 4)
    with index.write() as orm:
        hole = orm.scalars(select(Record).where(Record.seq == 2)).one()
        day, leaf, body = hole.day, hole.leaf, hole.body
        orm.delete(hole)
    writer = RecordsWriter(index, store, FakeClock(START + 2 * DAY), lambda: None)
    assert writer.write_due() == 0
    with index.write() as orm:
        orm.add(Record(stream_id=stream, day=day, seq=2, kind="segment", leaf=leaf, body=body))
    assert writer.write_due() == 1


def test_a_seal_has_its_records_written_at_once(index: Database, store: MemoryStore) -> None:
    stream = a_stream(index)
    rows = chained(index, stream, 6)
    session = a_session(index)
    close = {
        "v": 1, "t": "close",
        "site": "site-1", "session": session, "seq": 0, "prev": "0" * 64, "at": START,
        "started": START, "ended": START + HOUR, "outcome": "completed", "claims": [],
        "heads": [{"stream": stream, "day": str(TODAY), "first": 1, "last": 3,
                   "head": rows[3].leaf.hex()}],
        "due": [], "coverage": [],
    }  # fmt: skip
    with index.write() as orm:
        found = orm.get(Session, session)
        assert found is not None
        found.sealed_us = START + HOUR
        orm.add(
            SessionRecord(
                session_id=session,
                seq=0,
                kind="close",
                leaf=b"0" * 32,
                body=canonical(close).decode(),
                at_us=START,
            )
        )
    writer = RecordsWriter(index, store, FakeClock(START + HOUR), lambda: None)
    assert writer.write_due() == 1
    (made,) = objects(index)
    assert (made.first_seq, made.last_seq) == (0, 3)
    # The rest of the day follows on.
    late = RecordsWriter(index, store, FakeClock(START + 2 * DAY), lambda: None)
    assert late.write_due() == 1
    assert [(o.first_seq, o.last_seq) for o in objects(index)] == [(0, 3), (4, 5)]


def test_nothing_is_written_while_the_store_cannot_be_prepared(
    sqlite_index: Database, store: MemoryStore, tmp_path: Path
) -> None:
    chained(sqlite_index, a_stream(sqlite_index), 1)
    store.down = True
    writer = RecordsWriter(sqlite_index, store, FakeClock(START + 2 * DAY), store.prepare)
    with pytest.raises(Exception, match="switched off"):
        writer.write_due()
    store.down = False
    assert writer.write_due() == 1
