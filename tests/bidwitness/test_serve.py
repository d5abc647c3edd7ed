"""The supervisor starts again what dies, with patience, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.serve import Supervisor, restart_delay

FOREVER = (sys.executable, "-c", "import signal; signal.pause()")
STUBBORN = (
    sys.executable,
    "-c",
    (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
        "while True: signal.pause()"
    ),
)


def supervisor(tmp_path: Path, **commands: tuple[str, ...]) -> Supervisor:
    return Supervisor(
        commands, environment=dict(os.environ), logs=tmp_path / "logs", clock=SystemClock()
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_back_off_grows_to_ten_seconds() -> None:
    assert [restart_delay(n) for n in range(7)] == [0, 1, 1, 2, 5, 10, 10]


def test_what_is_killed_comes_back_and_stop_ends_all(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, a=FOREVER, b=FOREVER)
    watched.start()
    first = watched.pids()
    assert set(first) == {"a", "b"}
    os.kill(first["a"], 9)

    def back() -> bool:
        watched.look()
        return watched.pids().get("a", first["a"]) != first["a"]

    wait_until(back, 10, "the killed process to come back")
    assert watched.pids()["b"] == first["b"]
    last = watched.pids()
    watched.stop()
    assert watched.pids() == {}
    assert not any(alive(pid) for pid in last.values())


def test_a_deaf_process_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bidwitness.serve.STOP_GRACE_S", 0.2)
    watched = supervisor(tmp_path, deaf=STUBBORN)
    watched.start()
    log = tmp_path / "logs" / "deaf.log"
    wait_until(lambda: "deaf" in log.read_text(), 10, "the process to be deaf")
    pid = watched.pids()["deaf"]
    watched.stop()
    assert not alive(pid)


PARENT = """
import os, sys, time
from pathlib import Path
from bidwitness.clock import SystemClock
from bidwitness.serve import Supervisor
child = (sys.executable, "-c", "from bidwitness.lifeline import end_with_parent; "
         "import signal; end_with_parent(); signal.pause()")
watched = Supervisor({"a": child}, environment=dict(os.environ), logs=None, clock=SystemClock())
watched.start()
print(watched.pids()["a"], flush=True)
time.sleep(60)
"""


def test_children_end_with_a_supervisor_that_was_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not alive(child), 10, "the orphan to end")
