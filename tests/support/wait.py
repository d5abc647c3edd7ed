"""Wait for a result, never for a time."""

import time
from collections.abc import Callable

POLL_S = 0.05


def wait_until(ready: Callable[[], bool], timeout: float, what: str) -> None:
    """Return as soon as ``ready()``; fail naming ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(POLL_S)
