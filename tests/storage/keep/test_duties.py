"""Duties go on through outages, stop when told, and are ended by a mistake of ours."""

import threading

import pytest
from support.wait import wait_until

from bidwitness.errors import Conflict, IndexUnavailable
from bidwitness.storage.keep import duties
from bidwitness.storage.keep.duties import LONGEST_WAIT_S, Duties, Duty, back_off_s


def test_waits_grow_to_a_limit() -> None:
    assert [back_off_s(n) for n in (1, 2, 3)] == [1, 2, 4]
    assert back_off_s(9) == back_off_s(900) == LONGEST_WAIT_S


def running(work: Duties) -> threading.Thread:
    thread = threading.Thread(target=work.run)
    thread.start()
    return thread


def test_an_outage_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "LONGEST_WAIT_S", 0.01)
    fails, done = [3], threading.Event()

    def act() -> int:
        if fails[0]:
            fails[0] -= 1
            raise IndexUnavailable("the database restarts")
        done.set()
        return 0

    work = Duties([Duty("d", 0.01, act)], lambda: None)
    thread = running(work)
    assert done.wait(20)
    work.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_an_eager_duty_does_not_wait_while_there_is_work() -> None:
    left, done = [100], threading.Event()

    def act() -> int:
        if left[0]:
            left[0] -= 1
            return 1
        done.set()
        return 0

    work = Duties([Duty("d", 3600, act, eager=True)], lambda: None)
    thread = running(work)
    assert done.wait(20)
    work.stop()
    thread.join(20)


@pytest.mark.parametrize("error", [KeyError("a mistake"), Conflict("another keep took over")])
def test_anything_else_ends_all(error: Exception) -> None:
    calls: list[str] = []

    def act() -> int:
        raise error

    def other() -> int:
        calls.append("other")
        return 0

    work = Duties([Duty("bad", 1, act), Duty("good", 3600, other)], lambda: None)
    with pytest.raises(type(error)):
        work.run()


def test_nothing_is_done_without_the_lock() -> None:
    calls: list[int] = []
    asked = threading.Event()

    def confirm() -> None:
        asked.set()
        raise IndexUnavailable("cannot tell")

    def act() -> int:
        calls.append(1)
        return 0

    work = Duties([Duty("d", 0.01, act)], confirm)
    thread = running(work)
    wait_until(asked.is_set, 20, "the lock to be asked for")
    work.stop()
    thread.join(20)
    assert calls == []
