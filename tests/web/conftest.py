"""One running system and one Chromium for all tests of the pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.browser import running_chromium
from support.system import RunningSystem, running_system


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("web")) as running:
        yield running
