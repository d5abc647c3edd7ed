"""A log whose checkpoints are put before a witness."""

from pathlib import Path

import pytest
from support.clock import FakeClock
from support.log_forks import Forks


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks.made(tmp_path / "log.key")
