"""One running system for all tests of the pages, and a Chromium for those of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.browser import running_chromium
from support.system import RunningSystem, running_system


# Not for longer than a module: as long as it is open a loop runs in the thread of the tests, and
# nothing that signs a document could run in it.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("web")) as running:
        yield running
