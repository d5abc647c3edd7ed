"""A site on each database, as its own processes open it."""

from pathlib import Path

import pytest
from support.ledger_site import Site
from support.trail import with_signet

from bidwitness.config import load_settings
from bidwitness.storage.index.database import Database


@pytest.fixture
def site(index: Database, tmp_path: Path) -> Site:
    settings = load_settings(data=tmp_path / "data")
    return Site(with_signet(index, settings), settings)
