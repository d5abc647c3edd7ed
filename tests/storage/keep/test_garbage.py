"""Bytes go only by a garbage row, never when claimed or held, and whole whatever is interrupted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import MINUTE, START, Shelf, a_claim, a_hold, a_session, a_stream

from bidwitness.errors import StoreError
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Claim, FragmentTable, Garbage, Segment
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import ClaimClass, SessionState


def collector(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> Collector:
    return Collector(shelf.index, store, shelf.spool, SystemFiles(), clock)


def stored(shelf: Shelf, store: MemoryStore, clock: FakeClock, stream: str) -> Segment:
    segment = shelf.segment(stream)
    Uploader(shelf.index, store, shelf.spool, clock, store.prepare).upload_some()
    return row(shelf.index, segment)


def row(index: Database, segment: Segment) -> Segment:
    with index.read() as orm:
        found = orm.get(Segment, segment.id)
        assert found is not None
        return found


def throw_away(index: Database, segment: Segment) -> int:
    """What the sweep does."""
    with index.write() as orm:
        found = orm.get(Segment, segment.id)
        assert found is not None
        found.removed_us = 5
        garbage = Garbage(
            segment_id=found.id,
            recorder=found.recorder,
            spool_path=found.spool_path,
            store_key=found.store_key,
            store_version=found.store_version,
            reason="its loop is over",
            at_us=5,
        )
        orm.add(garbage)
        orm.flush()
        return garbage.id


def count(index: Database, what: type[Garbage] | type[FragmentTable] | type[AuditEntry]) -> int:
    with index.read() as orm:
        return orm.scalar(select(func.count()).select_from(what)) or 0


def assert_gone(shelf: Shelf, store: MemoryStore, segment: Segment) -> None:
    assert not store.objects
    assert not (shelf.spool / str(segment.spool_path)).exists()
    after = row(shelf.index, segment)
    assert (after.spool_path, after.store_key, after.store_version) == (None, None, None)
    assert after.removed_us == 5
    assert count(shelf.index, Garbage) == count(shelf.index, FragmentTable) == 0


def assert_kept(shelf: Shelf, store: MemoryStore, segment: Segment) -> None:
    after = row(shelf.index, segment)
    assert after.removed_us is None
    assert (after.store_key, after.store_version) in store.objects
    assert (shelf.spool / str(after.spool_path)).exists()
    assert count(shelf.index, Garbage) == 0


def test_everything_goes_and_the_row_last(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = stored(shelf, store, clock, a_stream(shelf.index))
    throw_away(shelf.index, segment)
    assert collector(shelf, store, clock).collect_some() == 1
    assert_gone(shelf, store, segment)
    assert collector(shelf, store, clock).collect_some() == 0


def test_footage_that_was_never_stored_goes_too(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    throw_away(shelf.index, segment)
    assert collector(shelf, store, clock).collect_some() == 1
    assert_gone(shelf, store, segment)


@pytest.mark.parametrize("protection", ["own", "linked", "session hold", "stream hold"])
def test_what_was_claimed_or_held_meanwhile_is_taken_back(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, protection: str
) -> None:
    stream = a_stream(shelf.index)
    segment = stored(shelf, store, clock, stream)
    throw_away(shelf.index, segment)
    session = a_session(shelf.index, state=SessionState.ENDED)
    start = START + MINUTE - 1
    if protection == "stream hold":
        a_hold(shelf.index, stream=stream, from_us=start)
    else:
        klass = ClaimClass.OWN if protection == "own" else ClaimClass.LINKED
        claim = a_claim(shelf.index, session, stream, start, None, klass=klass)
        if protection == "session hold":
            a_hold(shelf.index, session=session)
            withdraw(shelf.index, claim)
    assert collector(shelf, store, clock).collect_some() == 1
    assert_kept(shelf, store, segment)
    with shelf.index.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry)).all()
    assert (entry.action, entry.allowed) == ("garbage.refuse", False)


def withdraw(index: Database, claim: str) -> None:
    with index.write() as orm:
        found = orm.get(Claim, claim)
        assert found is not None
        found.withdrawn_us = 7


def test_a_claim_that_only_touches_it_protects_nothing(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    segment = stored(shelf, store, clock, stream)
    session = a_session(shelf.index)
    a_claim(shelf.index, session, stream, START + MINUTE, None)
    a_claim(shelf.index, session, stream, START - MINUTE, START)
    withdraw(shelf.index, a_claim(shelf.index, session, stream, START, START + 5))
    a_hold(shelf.index, stream=stream, to_us=START)
    throw_away(shelf.index, segment)
    collector(shelf, store, clock).collect_some()
    assert_gone(shelf, store, segment)


def test_after_the_point_of_no_return_a_claim_comes_too_late(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    segment = stored(shelf, store, clock, stream)
    throw_away(shelf.index, segment)
    store.down = True
    with pytest.raises(StoreError):
        collector(shelf, store, clock).collect_some()
    a_claim(shelf.index, a_session(shelf.index), stream, START, None)
    store.down = False
    collector(shelf, store, clock).collect_some()
    assert_gone(shelf, store, segment)


def test_a_row_that_names_kept_footage_is_refused(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segment = stored(shelf, store, clock, a_stream(shelf.index))
    throw_away(shelf.index, segment)
    with shelf.index.write() as orm:
        found = orm.get(Segment, segment.id)
        assert found is not None
        found.removed_us = None
    collector(shelf, store, clock).collect_some()
    assert_kept(shelf, store, segment)


def test_a_version_that_nobody_refers_to_goes_though_its_segment_is_claimed(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    segment = stored(shelf, store, clock, stream)
    a_claim(shelf.index, a_session(shelf.index), stream, START, None)
    assert segment.store_key is not None
    store.objects[segment.store_key, "ab" * 32] = b"orphan"
    with shelf.index.write() as orm:
        orm.add(
            Garbage(
                segment_id=segment.id,
                store_key=segment.store_key,
                store_version="ab" * 32,
                reason="orphan",
                at_us=1,
            )
        )
    collector(shelf, store, clock).collect_some()
    assert (segment.store_key, "ab" * 32) not in store.objects
    assert_kept(shelf, store, segment)


class Killed(BaseException):
    """The process ends here."""


class Countdown:
    """Kills before the effect with this number."""

    def __init__(self, effects: int) -> None:
        self.left = effects

    def __call__(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


class MortalStore(MemoryStore):
    def __init__(self, inner: MemoryStore, step: Callable[[], None]) -> None:
        super().__init__()
        self.objects = inner.objects
        self._step = step

    def delete_version(self, key: str, version: str) -> None:
        self._step()
        super().delete_version(key, version)


class MortalFiles(SystemFiles):
    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)

    def sync_dir(self, path: Path) -> None:
        self._step()
        super().sync_dir(path)


class MortalCollector(Collector):
    step: Callable[[], None]

    def _start(self, item: object) -> bool:
        self.step()
        return super()._start(item)  # type: ignore[arg-type]  # only passed on

    def _drop(self, item: object) -> None:
        self.step()
        super()._drop(item)  # type: ignore[arg-type]  # only passed on


def test_a_kill_before_any_step_is_made_good_by_the_next_pass(
    sqlite_index: Database, tmp_path: Path, clock: FakeClock
) -> None:
    killed = 0
    for effects in range(20):
        shelf = Shelf(sqlite_index, tmp_path / f"spool{effects}")
        store = MemoryStore()
        segment = stored(shelf, store, clock, a_stream(sqlite_index))
        throw_away(sqlite_index, segment)
        step = Countdown(effects)
        mortal = MortalCollector(
            sqlite_index, MortalStore(store, step), shelf.spool, MortalFiles(step), clock
        )
        mortal.step = step
        try:
            mortal.collect_some()
        except Killed:
            killed += 1
            assert count(sqlite_index, Garbage) == 1
        collector(shelf, store, clock).collect_some()
        assert_gone(shelf, store, segment)
    assert killed == 5  # start, version, unlink, folder, row


def test_one_that_cannot_be_removed_raises_an_alarm_and_the_others_go_on(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    stream = a_stream(shelf.index)
    first = stored(shelf, store, clock, stream)
    garbage = throw_away(shelf.index, first)
    path = shelf.spool / str(first.spool_path)
    path.unlink()
    path.mkdir()
    second = shelf.segment(stream, START + MINUTE)
    throw_away(shelf.index, second)
    assert collector(shelf, store, clock).collect_some() == 1
    assert not (shelf.spool / str(second.spool_path)).exists()
    with shelf.index.read() as orm:
        assert open_alarm(orm, "removal_failed", f"garbage:{garbage}") is not None
    path.rmdir()
    assert collector(shelf, store, clock).collect_some() == 1
    with shelf.index.read() as orm:
        assert open_alarm(orm, "removal_failed", f"garbage:{garbage}") is None
