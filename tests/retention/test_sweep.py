"""The sweep marks what is past its loop, and nothing that is claimed or held, on both databases."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from support.clock import FakeClock
from support.database import empty_database
from support.memory_store import MemoryStore
from support.places import DAY, HOUR, MINUTE, START, Shelf, a_claim, a_hold, a_session, a_stream
from support.wait import wait_until

from bidwitness.config import Settings, load_settings
from bidwitness.intervals import Interval
from bidwitness.retention.copies import remove_expired_copies
from bidwitness.retention.sweep import Sweep, Swept
from bidwitness.storage.derivatives import THUMBNAILS
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import (
    AuditEntry,
    Claim,
    Derivative,
    Garbage,
    Job,
    RetentionPolicy,
    Segment,
)
from bidwitness.storage.index.policies import seed_policies
from bidwitness.storage.index.protection import lock_stream
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import ClaimClass, RoomKind, SessionState

LOOP = 30 * DAY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data")


@pytest.fixture
def shelf(index: Database, tmp_path: Path) -> Shelf:
    return Shelf(index, tmp_path / "spool")


def swept(index: Database, settings: Settings, now_us: int, *, everything: bool = True) -> Swept:
    return Sweep(index, FakeClock(now_us), settings, everything=everything).sweep()


def removed(index: Database) -> set[int]:
    with index.read() as orm:
        return set(orm.scalars(select(Segment.id).where(Segment.removed_us.is_not(None))))


def test_footage_goes_when_its_loop_is_over_and_not_before(
    shelf: Shelf, settings: Settings
) -> None:
    segment = shelf.segment(a_stream(shelf.index, RoomKind.PUBLIC))
    assert swept(shelf.index, settings, segment.to_us + LOOP - 1) == Swept()
    assert swept(shelf.index, settings, segment.to_us + LOOP) == Swept(1, segment.bytes)
    assert swept(shelf.index, settings, segment.to_us + LOOP) == Swept()
    assert removed(shelf.index) == {segment.id}
    with shelf.index.read() as orm:
        (garbage,) = orm.scalars(select(Garbage)).all()
        (entry,) = orm.scalars(select(AuditEntry)).all()
    assert (garbage.segment_id, garbage.spool_path) == (segment.id, segment.spool_path)
    assert "30 days" in garbage.reason
    assert (entry.action, entry.subject) == ("footage.remove", f"stream:{segment.stream_id}")


def test_thumbnails_go_with_their_footage_and_only_then(shelf: Shelf, settings: Settings) -> None:
    segment = shelf.segment(a_stream(shelf.index, RoomKind.PUBLIC))
    later = segment.to_us + LOOP + DAY
    settings.thumbnails.mkdir(parents=True)
    with shelf.index.write() as orm:
        job = enqueue(orm, THUMBNAILS, {}, by="ann", now_us=START, key="the work")
        orm.flush()
        for name, from_us in (("mine.jpg", segment.from_us), ("after.jpg", segment.to_us)):
            (settings.thumbnails / name).write_bytes(b"jpg")
            orm.add(
                Derivative(
                    kind=THUMBNAILS,
                    stream_id=segment.stream_id,
                    from_us=from_us,
                    to_us=from_us + MINUTE,
                    recipe={},
                    path=name,
                    made_us=START,
                    made_by="ann",
                    expires_us=later + DAY,
                    job_id=job.id,
                )
            )
    assert remove_expired_copies(shelf.index, FakeClock(later), settings) == 0
    swept(shelf.index, settings, later)
    assert remove_expired_copies(shelf.index, FakeClock(later), settings) == 1
    assert [path.name for path in settings.thumbnails.iterdir()] == ["after.jpg"]
    with shelf.index.read() as orm:
        # So that what is left can be made anew.
        assert orm.get_one(Job, job.id).key is None


def test_the_loop_follows_the_kind_of_room_and_the_policy(shelf: Shelf, settings: Settings) -> None:
    public = shelf.segment(a_stream(shelf.index, RoomKind.PUBLIC))
    evaluation = shelf.segment(a_stream(shelf.index, RoomKind.EVALUATION))
    with shelf.index.write() as orm:
        seed_policies(orm, settings, START)
        corridor = orm.scalars(
            select(RetentionPolicy).where(RetentionPolicy.room_kind == RoomKind.PUBLIC)
        ).one()
        corridor.loop_days = 60
    assert swept(shelf.index, settings, public.to_us + 60 * DAY - 1) == Swept()
    swept(shelf.index, settings, public.to_us + 60 * DAY)
    assert removed(shelf.index) == {public.id}
    swept(shelf.index, settings, evaluation.to_us + 90 * DAY)
    assert removed(shelf.index) == {public.id, evaluation.id}


def test_policies_are_seeded_once(index: Database, settings: Settings) -> None:
    with index.write() as orm:
        first = seed_policies(orm, settings, START)
        assert seed_policies(orm, settings, START) == 0
    assert first == len(RoomKind)  # all but the rest room, and one of years
    with index.read() as orm:
        kinds = set(orm.scalars(select(RetentionPolicy.room_kind)))
    assert kinds == set(RoomKind) - {RoomKind.REST} | {None}


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_claimed_or_held_stays(shelf: Shelf, settings: Settings, seed: int) -> None:
    """A random site; what is to go is found once more by looking at every pair."""
    chance = random.Random(seed)  # a layout, not a secret
    now = START + 40 * DAY
    streams = [a_stream(shelf.index, RoomKind.PUBLIC) for _ in range(2)]
    segments = [
        shelf.segment(stream, START + minute * MINUTE + chance.randrange(MINUTE), spooled=False)
        for stream in streams
        for minute in range(0, 60, 3)
    ]
    protected: list[tuple[str, Interval]] = []
    for _ in range(4):
        stream = chance.choice(streams)
        start = START + chance.randrange(HOUR)
        end = start + chance.randrange(1, 10 * MINUTE)
        state = chance.choice([SessionState.SEALED, SessionState.ENDED, SessionState.DISPOSED])
        session = a_session(shelf.index, state=state)
        # Linked: several may lie upon one another.
        claim = a_claim(shelf.index, session, stream, start, end, klass=ClaimClass.LINKED)
        if chance.random() < 0.3:
            withdraw(shelf.index, claim)
            if chance.random() < 0.5:
                a_hold(shelf.index, session=session)
                protected.append((stream, Interval(start, end)))
        elif state != SessionState.DISPOSED:
            protected.append((stream, Interval(start, end)))
    start = START + chance.randrange(HOUR)
    a_hold(shelf.index, stream=streams[0], from_us=start, to_us=start + MINUTE)
    protected.append((streams[0], Interval(start, start + MINUTE)))
    swept(shelf.index, settings, now)
    expected = {
        segment.id
        for segment in segments
        if not any(
            stream == segment.stream_id and span.overlaps(Interval(segment.from_us, segment.to_us))
            for stream, span in protected
        )
    }
    assert removed(shelf.index) == expected
    assert expected and len(expected) < len(segments)


def withdraw(index: Database, claim: str) -> None:
    with index.write() as orm:
        found = orm.get(Claim, claim)
        assert found is not None
        found.withdrawn_us = 7


def test_more_than_a_batch_and_two_that_begin_together(
    shelf: Shelf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bidwitness.retention.sweep.BATCH", 3)
    stream = a_stream(shelf.index, RoomKind.PUBLIC)
    ids = {shelf.segment(stream, START + minute * MINUTE, spooled=False).id for minute in range(10)}
    with shelf.index.write() as orm:
        third = orm.get(Segment, sorted(ids)[3])
        assert third is not None
        third.from_us -= MINUTE  # as the third, the last of the first batch
    swept(shelf.index, settings, START + DAY + LOOP)
    assert removed(shelf.index) == ids


def test_an_ordinary_sweep_looks_at_the_last_day_only(shelf: Shelf, settings: Settings) -> None:
    stream = a_stream(shelf.index, RoomKind.PUBLIC)
    old, new = shelf.segment(stream), shelf.segment(stream, START + 5 * DAY)
    now = new.to_us + LOOP
    swept(shelf.index, settings, now, everything=False)
    assert removed(shelf.index) == {new.id}
    swept(shelf.index, settings, now)
    assert removed(shelf.index) == {old.id, new.id}


def test_from_the_sweep_to_the_last_byte(shelf: Shelf, settings: Settings) -> None:
    stream, other = a_stream(shelf.index, RoomKind.PUBLIC), a_stream(shelf.index)
    loop, claimed = shelf.segment(stream), shelf.segment(other)
    a_claim(shelf.index, a_session(shelf.index), other, START, START + MINUTE)
    store, clock = MemoryStore(), FakeClock(START + 100 * DAY)
    Uploader(shelf.index, store, shelf.spool, clock, lambda: None).upload_some()
    swept(shelf.index, settings, clock.utc_us())
    collector = Collector(shelf.index, store, shelf.spool, SystemFiles(), clock)
    assert collector.collect_some() == 1
    assert not (shelf.spool / str(loop.spool_path)).exists()
    assert [key for key, _ in store.objects] == [f"footage/{claimed.spool_path}"]


@pytest.fixture
def pg(postgres: str) -> Iterator[Database]:
    with empty_database(postgres) as url:
        database = open_database(url)
        upgrade(database)
        yield database
        database.close()


def test_a_claim_waits_while_its_stream_is_decided_on(pg: Database) -> None:
    stream, session = a_stream(pg), a_session(pg)
    made = threading.Event()

    def claim() -> None:
        a_claim(pg, session, stream, START, None)
        made.set()

    def is_waiting() -> bool:
        with pg.engine.connect() as connection:
            query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(connection.scalar(query))

    thread = threading.Thread(target=claim)
    with pg.write() as orm:
        lock_stream(orm, stream)
        thread.start()
        wait_until(is_waiting, 20, "the claim to wait")
        assert not made.is_set()
    thread.join(20)
    assert made.is_set()
