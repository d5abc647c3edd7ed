"""One running system for all tests of the pages, and a Chromium for those of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.browser import running_chromium
from support.system import RunningSystem, running_system

from bidwitness.demo.cast import CAMERAS

RECORDED_S = 12


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


@pytest.fixture(scope="session")
def sealed(system: RunningSystem) -> str:
    """A short session of one room that is over; the auditor may replay and copy its picture."""
    room = next(iter(system.stage.rooms))
    session_id = system.book(room)
    system.wait_state(session_id, "recording")
    grant = {"media": ["picture"], "actions": ["replay", "copy"], "reason": "test"}
    system.client.grant({"username": "auditor", "session_id": session_id, **grant})
    system.record_on(RECORDED_S)
    system.client.post(f"sessions/{session_id}/end", {"outcome": "completed"})
    system.wait_state(session_id, "sealed", 90)
    return session_id


@pytest.fixture(scope="session")
def cameras(system: RunningSystem) -> int:
    """How many cameras its room has."""
    room = next(iter(system.stage.rooms))
    return len([camera for camera in CAMERAS if camera.room == room])
