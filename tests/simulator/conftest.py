"""One simulator for all tests of this folder that only look."""

from collections.abc import Iterator

import pytest
from support.simulator import RunningSimulator, running_simulator, small_camera


@pytest.fixture(scope="session")
def cameras() -> Iterator[RunningSimulator]:
    """Cameras of every kind, none with a fault."""
    specs = [
        small_camera("plain"),
        small_camera("locked", user="operator", password="secret"),
        small_camera("old", title="plain", user="operator", password="secret", auth="basic"),
        small_camera("aac", sound="aac", b_frames=2),
        small_camera("h265", codec="h265", sound="ulaw"),
        small_camera("mute", sound="none", gop_seconds=10, join="now", report_delay=2),
        small_camera("wrapping", wrap_seconds=12, user="operator", password="secret"),
    ]
    with running_simulator(specs) as running:
        yield running
