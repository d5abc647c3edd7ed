"""Work handed to another thread: in order, bounded, and its errors come back."""

import threading
from functools import partial

import pytest

from bidwitness.storage.evidence.targets import WAITING, Lane


def test_work_is_done_in_order() -> None:
    lane, done = Lane(), list[int]()
    for number in range(3 * WAITING):
        lane.give(partial(done.append, number))
    lane.drain()
    lane.stop()
    assert done == list(range(3 * WAITING))


def test_only_so_much_waits() -> None:
    lane, may_go, given = Lane(), threading.Event(), list[int]()

    def wait() -> None:
        may_go.wait()

    def giver() -> None:
        for number in range(WAITING + 3):
            lane.give(wait)
            given.append(number)

    thread = threading.Thread(target=giver)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert len(given) == WAITING
    assert lane.busy()
    may_go.set()
    thread.join()
    lane.drain()
    assert not lane.busy()
    lane.stop()


def test_an_error_comes_back() -> None:
    def fails() -> None:
        raise OSError("the disk is full")

    lane = Lane()
    lane.give(fails)
    with pytest.raises(OSError, match="disk is full"):
        lane.drain()
    lane.stop()
