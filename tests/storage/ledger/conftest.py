"""A site with an index and a log."""

from pathlib import Path

import pytest
from support.ledger_site import Site

from bidwitness.config import load_settings
from bidwitness.storage.index.database import Database


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path) -> Site:
    return Site(sqlite_index, load_settings(data=tmp_path / "data"))
