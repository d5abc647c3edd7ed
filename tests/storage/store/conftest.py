"""What the suites of all stores share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.memory_store import MemoryStore

from bidwitness.ids import new_id
from bidwitness.storage.store import LockingStore, open_store
from bidwitness.storage.store.file import FileStore


@pytest.fixture(params=["memory", "file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LockingStore]:
    """Each store in turn: in memory, in a folder, and a real S3 server."""
    made: LockingStore
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "file":
        made = FileStore(tmp_path / "store")
    else:
        made = open_store(request.getfixturevalue("seaweed").settings("contract"))
    made.prepare()
    yield made


@pytest.fixture
def key() -> str:
    """A key that no other test uses: the S3 server is shared."""
    return f"footage/{new_id()}/20261122/1700000000-000.mp4"
