"""Which copies may go, and that none goes which the store does not hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import DAY, HOUR, MINUTE, START, Shelf, a_stream

from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.keep.eviction import AT_LEAST_US, Copy, Evictor, Room, to_evict
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.spool.files import SystemFiles

NOW = START + DAY
PLENTY = Room(free=900, total=1000)
TIGHT = Room(free=150, total=1000)


def copy(number: int, age_us: int, *, size: int = 10, frees: bool = True) -> Copy:
    return Copy(number, f"s/{number}.mp4", size, NOW - age_us, frees)


def test_while_there_is_room_only_the_old_go() -> None:
    copies = [copy(1, 3 * HOUR), copy(2, 2 * HOUR + 1), copy(3, 2 * HOUR), copy(4, MINUTE)]
    assert to_evict(copies, NOW, 2 * HOUR, PLENTY) == copies[:2]


def test_when_room_is_wanted_the_oldest_go_until_there_is_enough() -> None:
    copies = [copy(n, HOUR - n) for n in range(20)]
    assert to_evict(copies, NOW, 2 * HOUR, TIGHT) == copies[:5]


def test_copies_that_share_their_blocks_make_no_room() -> None:
    copies = [copy(n, HOUR - n, frees=False) for n in range(20)]
    assert to_evict(copies, NOW, 2 * HOUR, TIGHT) == []


@given(
    ages=st.lists(st.integers(0, 3 * DAY), max_size=30),
    keep_us=st.integers(0, 2 * DAY),
    free=st.integers(0, 1000),
)
def test_the_last_ten_minutes_go_only_when_they_are_to_be_kept_shorter(
    ages: list[int], keep_us: int, free: int
) -> None:
    copies = [copy(n, age) for n, age in enumerate(sorted(ages, reverse=True))]
    chosen = to_evict(copies, NOW, keep_us, Room(free, 1000))
    for one in copies:
        age = NOW - one.stored_us
        if age > keep_us:
            assert one in chosen
        elif age <= AT_LEAST_US:
            assert one not in chosen


def uploaded(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> list[Segment]:
    stream = a_stream(shelf.index)
    segments = [shelf.segment(stream, START + n * MINUTE) for n in range(3)]
    Uploader(shelf.index, store, shelf.spool, clock, lambda: None).upload_some()
    return segments


def evictor(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> Evictor:
    return Evictor(shelf.index, store, shelf.spool, SystemFiles(), clock, keep_us=2 * HOUR)


def row(index: Database, segment: Segment) -> Segment:
    with index.read() as orm:
        found = orm.get(Segment, segment.id)
        assert found is not None
        return found


def test_a_copy_goes_and_its_row_says_so(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segments = uploaded(shelf, store, clock)
    evict = evictor(shelf, store, clock)
    assert evict.evict_some() == 0
    clock.advance(2 * HOUR + 1)
    assert evict.evict_some() == 3
    for segment in segments:
        assert not (shelf.spool / str(segment.spool_path)).exists()
        assert row(shelf.index, segment).spool_path is None
    assert len(store.objects) == 3
    assert evict.evict_some() == 0


def test_a_copy_that_is_gone_already_is_only_said(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    segments = uploaded(shelf, store, clock)
    clock.advance(3 * HOUR)
    (shelf.spool / str(segments[0].spool_path)).unlink()
    assert evictor(shelf, store, clock).evict_some() == 3
    assert row(shelf.index, segments[0]).spool_path is None


def test_what_is_not_stored_never_goes(shelf: Shelf, store: MemoryStore, clock: FakeClock) -> None:
    segment = shelf.segment(a_stream(shelf.index))
    clock.advance(30 * DAY)
    assert evictor(shelf, store, clock).evict_some() == 0
    assert (shelf.spool / str(segment.spool_path)).exists()


@pytest.mark.parametrize("damage", ["lost", "shortened"])
def test_the_last_copy_stays_and_is_stored_again(
    shelf: Shelf, store: MemoryStore, clock: FakeClock, damage: str
) -> None:
    segments = uploaded(shelf, store, clock)
    first = row(shelf.index, segments[0])
    place = (str(first.store_key), str(first.store_version))
    if damage == "lost":
        del store.objects[place]
    else:
        store.objects[place] = store.objects[place][:-1]
    clock.advance(3 * HOUR)
    assert evictor(shelf, store, clock).evict_some() == 2
    assert (shelf.spool / str(first.spool_path)).exists()
    with shelf.index.read() as orm:
        assert open_alarm(orm, "footage_lost", f"stream:{first.stream_id}") is not None
    assert row(shelf.index, first).stored_us is None
    if damage == "lost":
        Uploader(shelf.index, store, shelf.spool, clock, lambda: None).upload_some()
        assert place in store.objects


def test_a_spool_that_is_not_mounted_is_left_alone(
    shelf: Shelf, store: MemoryStore, clock: FakeClock
) -> None:
    uploaded(shelf, store, clock)
    clock.advance(3 * HOUR)
    shelf.spool.rename(shelf.spool.with_name("elsewhere"))
    assert evictor(shelf, store, clock).evict_some() == 0
