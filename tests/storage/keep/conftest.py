"""What the suites of `keep` share: a store in memory, a clock, and footage in a spool."""

from pathlib import Path

import pytest
from support.clock import FakeClock
from support.memory_store import MemoryStore
from support.places import HOUR, START, Shelf

from bidwitness.storage.index.database import Database


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + HOUR)


@pytest.fixture
def shelf(index: Database, tmp_path: Path) -> Shelf:
    return Shelf(index, tmp_path / "spool")
