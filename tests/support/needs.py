"""What to do when a part that a test needs is not on this machine."""

import os

import pytest


def absent(what: str) -> None:
    """Skip on a laptop; fail where everything must be tested (``BIDWITNESS_TEST_ALL=1``)."""
    if os.environ.get("BIDWITNESS_TEST_ALL") == "1":
        pytest.fail(f"{what} is missing, and BIDWITNESS_TEST_ALL=1 wants every test")
    pytest.skip(f"{what} is missing")
