"""One running API on SQLite, and one on each database for the tests where that matters."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import RunningApi, running_api
from support.clock import FakeClock
from support.sealed_session import Sealed, sealed_session

from bidwitness.storage.index.database import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    with running_api(sqlite_index, tmp_path, clock=clock) as running:
        yield running


@pytest.fixture
def api_on_both(index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    with running_api(index, tmp_path, clock=clock) as running:
        yield running


@pytest.fixture
def sealed(api: RunningApi, clock: FakeClock) -> Sealed:
    return sealed_session(api, clock)
