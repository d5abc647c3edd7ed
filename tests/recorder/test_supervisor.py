"""The supervisor: who pulls what, what happens without an index, and after a worker's death."""

import errno
import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.errors import DamageFound, IndexUnavailable
from bidwitness.recorder.assignment import assign
from bidwitness.recorder.status import StreamState, decode_states, encode_states
from bidwitness.recorder.supervisor import UNSTARTED, RecorderSupervisor
from bidwitness.recorder.wanted_copy import decode_wanted, encode_wanted, load_wanted, save_wanted
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import GapCause, Health, StreamRole

US = 1_000_000

STREAM = WantedStream(
    stream_id="s1",
    camera_id="c1",
    camera="前门",
    room_id="r1",
    room="评标室一",
    role=StreamRole.MAIN,
    address="rtsp://10.0.0.5/main",
    username="u",
    secret=b"\x00sealed\xff",
    record_sound=True,
    cuts=(5, 9),
    classified=((7, 8), (20, 30)),
    in_session=True,
)
# A worker that says its pid for each stream it is told of, until its input ends.
ECHO = (
    sys.executable,
    "-c",
    """
import json, os, sys
for line in sys.stdin:
    told = json.loads(line)["streams"]
    print(json.dumps([{"stream_id": s["stream_id"], "state": "ok", "cause": None,
                       "since_us": os.getpid()} for s in told]), flush=True)
""",
)

ids = st.lists(st.text("abcdefgh", min_size=1, max_size=3), unique=True, max_size=40)


@given(ids, ids, st.integers(1, 5))
def test_each_stream_has_one_worker_and_none_too_many(
    before: list[str], after: list[str], limit: int
) -> None:
    first = assign(before, {}, limit)
    second = assign(after, first, limit)
    for wanted, result in ((before, first), (after, second)):
        assert sorted(s for streams in result.values() for s in streams) == sorted(wanted)
        assert all(0 < len(streams) <= limit for streams in result.values())
    where = {s: worker for worker, streams in first.items() for s in streams}
    moved = [s for w, streams in second.items() for s in streams if where.get(s, w) != w]
    assert moved == []


def test_the_wanted_state_survives_the_disk(tmp_path: Path) -> None:
    copy = tmp_path / "recorder" / "wanted.json"
    assert load_wanted(copy) is None
    save_wanted(copy, [STREAM])
    assert load_wanted(copy) == (STREAM,)
    assert copy.stat().st_mode & 0o077 == 0
    assert "\n" not in encode_wanted([STREAM])


@given(st.one_of(st.text(), st.binary().map(repr), st.just('{"v":1,"streams":[{}]}')))
def test_a_broken_copy_is_damage(text: str) -> None:
    with pytest.raises(DamageFound):
        decode_wanted(text)


def test_states_travel_as_a_line() -> None:
    states = [StreamState("s1", Health.OFFLINE, GapCause.NETWORK, 5, message="连接\n断开")]
    line = encode_states(states)
    assert "\n" not in line
    assert decode_states(line) == states
    with pytest.raises(DamageFound):
        decode_states('[{"stream_id": "x"}]')


class Index:
    """A provider whose answer, or silence, the test decides."""

    def __init__(self, *streams: WantedStream) -> None:
        self.streams = streams
        self.away = False

    def __call__(self) -> tuple[WantedStream, ...]:
        if self.away:
            raise IndexUnavailable("away")
        return self.streams


def a_supervisor(index: Index, tmp_path: Path) -> RecorderSupervisor:
    return RecorderSupervisor(index, ECHO, tmp_path / "wanted.json", SystemClock())


def pid_of(supervisor: RecorderSupervisor, stream: str) -> int | None:
    """The worker that holds a stream; each look keeps the supervisor working."""
    supervisor.look()
    return next((s.since_us for s in supervisor.states() if s.stream_id == stream), None)


def stop(supervisor: RecorderSupervisor) -> None:
    supervisor.stop_soon()
    supervisor.run()


def test_a_killed_worker_comes_back_with_its_streams(tmp_path: Path) -> None:
    supervisor = a_supervisor(Index(STREAM), tmp_path)
    supervisor.learn()
    wait_until(lambda: pid_of(supervisor, "s1") is not None, 10, "a worker")
    first = pid_of(supervisor, "s1")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid_of(supervisor, "s1") not in (None, first), 15, "another worker")
    stop(supervisor)


def test_without_an_index_the_last_state_goes_on_even_after_a_restart(tmp_path: Path) -> None:
    index = Index(STREAM)
    first = a_supervisor(index, tmp_path)
    first.learn()
    index.away = True
    first.learn()
    wait_until(lambda: pid_of(first, "s1") is not None, 10, "the stream to go on")
    stop(first)
    second = a_supervisor(index, tmp_path)
    second.learn()
    wait_until(lambda: pid_of(second, "s1") is not None, 10, "the stream to go on after a restart")
    index.away, index.streams = False, (replace(STREAM, stream_id="s2"),)
    second.learn()
    wait_until(lambda: pid_of(second, "s2") is not None, 10, "the new stream")
    assert pid_of(second, "s1") is None
    stop(second)


class HandlesGone:
    """Takes the test process's file handles away while it is entered."""

    def __enter__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


def test_without_file_handles_a_worker_waits_and_comes_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    supervisor = RecorderSupervisor(Index(STREAM), ECHO, tmp_path / "wanted.json", clock)
    supervisor.learn()
    refused = []
    for _ in range(40):
        caplog.clear()
        with HandlesGone():
            supervisor.look()
        refused.append("cannot be started" in caplog.text)
        clock.advance(US // 2)
    # At once, then after 1, 1, 2, 5 and 10 s.
    assert [number / 2 for number, said in enumerate(refused) if said] == [0, 1, 2, 4, 9, 19]
    (state,) = supervisor.states()
    assert (state.state, state.cause) == (Health.OFFLINE, GapCause.RECORDER_DOWN)
    assert state.message == UNSTARTED and state.since_us < clock.utc_us() - 15 * US
    clock.advance(10 * US)
    wait_until(lambda: pid_of(supervisor, "s1") is not None, 10, "a worker")
    wait_until(lambda: is_well(supervisor), 10, "the worker's own word")
    stop(supervisor)


def open_handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def is_well(supervisor: RecorderSupervisor) -> bool:
    supervisor.look()
    return [state.state for state in supervisor.states()] == [Health.OK]


def test_a_worker_that_gets_no_thread_to_hear_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    supervisor = RecorderSupervisor(Index(STREAM), ECHO, tmp_path / "wanted.json", clock)
    supervisor.learn()
    before = open_handles()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        supervisor.look()
    assert open_handles() == before
    clock.advance(US)
    wait_until(lambda: is_well(supervisor), 10, "the worker")
    stop(supervisor)


def test_an_index_that_cannot_be_opened_for_want_of_handles_ends_nothing(tmp_path: Path) -> None:
    index = Index(STREAM)
    supervisor = a_supervisor(index, tmp_path)
    supervisor.learn()

    def no_handles() -> tuple[WantedStream, ...]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    starved = RecorderSupervisor(no_handles, ECHO, tmp_path / "wanted.json", SystemClock())
    starved.learn()
    wait_until(lambda: pid_of(starved, "s1") is not None, 10, "the stream as last wanted")
    stop(starved)


def test_workers_end_when_the_supervisor_does(tmp_path: Path) -> None:
    supervisor = a_supervisor(Index(STREAM), tmp_path)
    supervisor.learn()
    wait_until(lambda: pid_of(supervisor, "s1") is not None, 10, "a worker")
    pid = pid_of(supervisor, "s1")
    assert pid is not None
    stop(supervisor)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
