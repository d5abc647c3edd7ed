"""The bytes come from the spool, else from the store, else the reason is said."""

from pathlib import Path

import pytest
from support.memory_store import MemoryStore
from support.places import START, Shelf, a_stream

from bidwitness.errors import DamageFound, NotFound, StoreError
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment

BODY = bytes(range(256)) * 20_000


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def footage(spool: Path, store: MemoryStore) -> Footage:
    return Footage(spool, store)


@pytest.fixture
def segment(sqlite_index: Database, spool: Path) -> Segment:
    return Shelf(sqlite_index, spool).segment(a_stream(sqlite_index), START, body=BODY)


def file_of(spool: Path, segment: Segment) -> Path:
    assert segment.spool_path is not None
    return spool / segment.spool_path


def stored(store: MemoryStore, spool: Path, segment: Segment) -> Segment:
    kept = store.put("footage/a.mp4", file_of(spool, segment), segment.sha256)
    segment.store_key, segment.store_version = kept.key, kept.version
    return segment


def test_from_the_spool(footage: Footage, segment: Segment) -> None:
    assert footage.read(segment, 3, 10) == BODY[3:13]
    assert footage.read(segment, 3, 0) == b""
    assert b"".join(footage.open_stream(segment)) == BODY
    footage.verify(segment)


def test_from_the_store_once_the_spool_copy_has_gone(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    file_of(spool, segment).unlink()
    assert footage.read(segment, 3, 10) == BODY[3:13]
    assert b"".join(footage.open_stream(segment)) == BODY
    segment.spool_path = None
    assert footage.read(segment, 0, 5) == BODY[:5]
    footage.verify(segment)
    footage.verify_stored(segment)


def test_a_copy_that_goes_while_it_is_read_makes_no_difference(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    pieces = footage.open_stream(segment)
    got = next(pieces)
    file_of(spool, segment).unlink()
    assert got + b"".join(pieces) == BODY


def test_a_torn_spool_file_is_read_from_the_store(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    file_of(spool, segment).write_bytes(BODY[:100])
    assert footage.read(segment, 50, 100) == BODY[50:150]
    assert b"".join(footage.open_stream(segment)) == BODY


def test_a_torn_spool_file_without_a_stored_copy_is_damage(
    footage: Footage, spool: Path, segment: Segment
) -> None:
    file_of(spool, segment).write_bytes(BODY[:100])
    with pytest.raises(DamageFound, match="not stored yet"):
        footage.read(segment, 50, 100)
    with pytest.raises(DamageFound):
        list(footage.open_stream(segment))


def test_neither_here_nor_there_names_the_recorder(
    footage: Footage, spool: Path, segment: Segment
) -> None:
    file_of(spool, segment).unlink()
    with pytest.raises(NotFound, match="recorder-1"):
        footage.read(segment, 0, 1)
    with pytest.raises(NotFound):
        footage.verify_stored(segment)


def test_removed_footage_is_not_found_even_if_bytes_linger(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    segment.removed_us = 1
    for act in (lambda: footage.read(segment, 0, 1), lambda: list(footage.open_stream(segment))):
        with pytest.raises(NotFound, match="removed"):
            act()


def test_a_store_that_lost_changed_or_shortened_it_is_damage(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    file_of(spool, segment).unlink()
    store.rot("footage/a.mp4")
    with pytest.raises(DamageFound, match="not those that were recorded"):
        footage.verify_stored(segment)
    ((key, version),) = store.objects
    store.objects[key, version] = BODY[:-1]
    for act in (
        lambda: footage.read(segment, len(BODY) - 2, 2),
        lambda: list(footage.open_stream(segment)),
    ):
        with pytest.raises(DamageFound, match="as long"):
            act()
    store.objects.clear()
    with pytest.raises(DamageFound, match="no longer holds"):
        footage.read(segment, 0, 1)
    with pytest.raises(DamageFound, match="no longer holds"):
        list(footage.open_stream(segment))


def test_a_store_that_is_down_is_no_damage(
    footage: Footage, store: MemoryStore, spool: Path, segment: Segment
) -> None:
    stored(store, spool, segment)
    file_of(spool, segment).unlink()
    store.down = True
    with pytest.raises(StoreError):
        footage.read(segment, 0, 1)
