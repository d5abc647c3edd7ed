"""Who brings a worker process down is found and kept apart; the neighbours stop paying for it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.desk import Left
from support.recording import assert_plays, stored_frames, wanted_stream
from support.simulator import running_simulator, small_camera
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.recorder.assignment import assign
from bidwitness.recorder.crash_note import culprit
from bidwitness.recorder.isolation import APART_US, HOUR_US, Isolation
from bidwitness.recorder.supervisor import ALONE, RecorderSupervisor
from bidwitness.storage.spool.volumes import add_volumes
from bidwitness.storage.wanted import WantedStream

SECOND = 1_000_000
# The simulator's usual key frames are a second apart.
GOP_US = SECOND
GOOD = ("left", "middle", "right")


def test_the_second_crash_of_a_stream_sets_it_apart_and_the_others_stay_together() -> None:
    known = Isolation()
    known.crashed(["a", "b", "c"], "b", 0)
    assert known.pens(0) == {}
    known.crashed(["a", "b", "c"], "b", HOUR_US - 1)
    placed = assign(["a", "b", "c", "d"], {0: ["a", "b", "c"]}, pens=known.pens(HOUR_US))
    assert placed == {0: ("a", "c", "d"), 1: ("b",)}
    assert known.is_alone("b") and not known.is_alone("a")


def test_two_crashes_far_apart_are_no_habit_and_a_quiet_day_ends_it() -> None:
    known = Isolation()
    for at in (0, 2 * HOUR_US):
        known.crashed(["a", "b"], "b", at)
    assert known.pens(2 * HOUR_US) == {}
    known.crashed(["a", "b"], "b", 2 * HOUR_US + 1)
    assert known.is_alone("b")
    # Its own process goes on crashing: it stays apart.
    known.crashed(["b"], None, 20 * HOUR_US)
    assert known.pens(20 * HOUR_US + APART_US) == {"b": "alone:b"}
    assert known.pens(20 * HOUR_US + APART_US + 1) == {}


@given(st.integers(1, 16), st.data())
def test_whom_no_note_names_is_found_by_halving(count: int, data: st.DataObject) -> None:
    streams = [f"s{number}" for number in range(count)]
    guilty = data.draw(st.sampled_from(streams))
    known = Isolation()
    placed = assign(streams, {})
    crashes = 0
    while True:
        (worker,) = [w for w, held in placed.items() if guilty in held]
        if crashes > 1 and len(placed[worker]) == 1:
            break
        known.crashed(placed[worker], None, crashes * SECOND)
        crashes += 1
        placed = assign(streams, placed, pens=known.pens(crashes * SECOND))
        assert sorted(s for held in placed.values() for s in held) == sorted(streams)
    # The second crash halves the first time; then each halves what is left.
    assert crashes <= 2 + max(0, (count - 1).bit_length() - 1)


pens = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("xyz"))


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), pens, pens, st.integers(1, 4))
def test_no_worker_holds_two_pens(
    wanted: list[str], before: dict[str, str], after: dict[str, str], limit: int
) -> None:
    first = assign(wanted, {}, limit, before)
    second = assign(wanted, first, limit, after)
    for placed, pens_then in ((first, before), (second, after)):
        assert sorted(s for held in placed.values() for s in held) == sorted(wanted)
        for held in placed.values():
            assert 0 < len(held) <= limit
            assert len({pens_then.get(stream, "") for stream in held}) == 1


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("import signal; signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)", "s1"),
        ("import ctypes; ctypes.string_at(0)", "s1"),
        ("os.abort()", "s1"),
        ("note.raised('s1'); os._exit(70)", "s1"),
        ("note.raised('volume-writer'); os._exit(70)", None),
        ("os.kill(os.getpid(), 9)", None),
    ],
)
def test_a_note_names_the_thread_that_was_struck(tmp_path: Path, code: str, named: str) -> None:
    program = f"""
import os, sys, threading
from bidwitness.recorder.crash_note import CrashNote
note = CrashNote(int(sys.argv[1]))
note.begin()
waiting = threading.Event()
def innocent():
    note.in_thread("s0"); waiting.wait()
def guilty():
    note.in_thread("s1")
    {code}
threading.Thread(target=innocent, daemon=True).start()
threading.Thread(target=guilty).start()
"""
    with (tmp_path / "note").open("w+b") as file:
        done = subprocess.run(
            [sys.executable, "-c", program, str(file.fileno())],
            pass_fds=[file.fileno()],
            check=False,
            timeout=30,
        )
        assert done.returncode != 0
        file.seek(0)
        assert culprit(file.read().decode()) == named


def test_a_number_that_was_given_again_is_its_last_threads() -> None:
    note = "stream 0x01 a\nstream 0x02 b\nstream 0x01 c\nCurrent thread 0x01 (most recent"
    assert culprit(note) == "c"
    assert culprit("stream 0x01 a\n") is None


@contextmanager
def running_supervisor(data: Path, wanted: list[WantedStream]) -> Iterator[RecorderSupervisor]:
    command = (sys.executable, "-m", "support.poisoned_worker")
    supervisor = RecorderSupervisor(lambda: wanted, command, data / "w.json", SystemClock())
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop_soon()
        thread.join(30)
        assert not thread.is_alive()


def _slack_us() -> int:
    """How much longer than usual (0.7 s) this machine takes just now to start such a process."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import support.poisoned_worker"], check=True)
    return max(0, round((time.monotonic() - began - 0.7) * 2 * SECOND))


def test_after_the_second_sigsegv_the_neighbours_lose_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, tests = tmp_path / "spool", Path(__file__).parents[1]
    monkeypatch.setenv("BIDWITNESS_DATA", str(tmp_path))
    monkeypatch.setenv("BIDWITNESS_ALLOW_LOOPBACK_CAMERAS", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    )
    # Two volumes: what a crash leaves is looked for on both.
    volumes = [tmp_path / "disk1", tmp_path / "disk2"]
    for volume in volumes:
        volume.mkdir()
    add_volumes(spool, volumes)
    monkeypatch.setenv("BIDWITNESS_VOLUMES", ",".join(map(str, volumes)))
    cameras = [small_camera(name, title="room", sound="none") for name in (*GOOD, "poison")]
    with running_simulator(cameras) as simulator:
        wanted = [wanted_stream(f"{c.name}_main", simulator.url(c.name)) for c in cameras]
        with running_supervisor(tmp_path, wanted) as supervisor:

            def says() -> dict[str, str | None]:
                return {state.stream_id: state.message for state in supervisor.states()}

            wait_until(lambda: says().get("poison_main") == ALONE, 40, "the offender to be alone")
            # It dies on in its own process.
            wait_until(
                lambda: len({s.run for s in Left(spool, "poison_main").segments}) >= 4,
                60,
                "the offender to die in its own process",
            )
            slack_us = _slack_us()
    for name in GOOD:
        left = Left(spool, f"{name}_main")
        assert_plays(left)
        assert {gap.cause for gap in left.gaps} == {"recorder_down"}
        # Twice they paid, and no more.
        assert len(left.gaps) == 2, left.gaps
        for gap in left.gaps:
            assert gap.end - gap.start <= 2 * SECOND + GOP_US + slack_us, gap
        assert len(stored_frames(left)) > 25
        assert {path.parents[2] for path in left.paths} < set(volumes)
    assert not list(spool.rglob("*.mp4"))
