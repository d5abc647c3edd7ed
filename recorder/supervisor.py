"""The recorder's supervisor: which streams are wanted, and worker processes that pull them.

Twice a second it compares the index's wanted state with what runs. Without the index it goes on
with the last state it knew, from disk after a restart. The index is asked in a thread of its own:
its silence delays no worker.
"""

import logging
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from bidwitness.clock import Clock
from bidwitness.errors import DamageFound, IndexUnavailable
from bidwitness.recorder.assignment import assign
from bidwitness.recorder.crash_note import CRASHED, culprit, read_note
from bidwitness.recorder.isolation import Isolation
from bidwitness.recorder.status import StreamState, decode_states
from bidwitness.recorder.wanted_copy import encode_wanted, load_wanted, save_wanted
from bidwitness.serve import HEALTHY_US, restart_delay
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import GapCause, Health

log = logging.getLogger(__name__)

RECONCILE_S = 0.5
STOP_S = 20.0
# How long the index may take to say what is wanted before the copy on disk is used.
FIRST_ANSWER_S = 3.0

ALONE = (
    "This stream has brought its recording process down twice. It has a process of its own now; "
    "the camera's firmware or settings should be looked at."
)
UNSTARTED = (
    "The recorder has no process for this stream: the machine is out of memory, processes or file "
    "handles. It tries again."
)

Provider = Callable[[], Sequence[WantedStream]]


class WorkerHandle:
    """One worker process and the pipe to it. ``on_end`` is called when it has ended."""

    def __init__(
        self,
        command: Sequence[str],
        on_states: Callable[[list[StreamState]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._command = command
        self._on_states = on_states
        self._on_end = on_end
        self._process: subprocess.Popen[str] | None = None
        self._note: IO[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._sent = ""
        self.crashes = 0
        # How often in a row the machine had no process for it.
        self.refused = 0
        self.started_us = 0
        self.start_after_us = 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether it has ended by itself and ``note_death`` was not told yet."""
        return self._process is not None and self._process.poll() is not None

    def start(self, now_us: int) -> bool:
        """Start it, and say whether there is a process: a machine may be out of what it takes."""
        try:
            self._start()
        except (OSError, RuntimeError) as error:
            # A thread that cannot be had is a RuntimeError. Nothing half begun may stay.
            self._abandon()
            self.refused += 1
            delay = restart_delay(self.refused)
            self.start_after_us = now_us + delay * 1_000_000
            facts = {"error": str(error), "in_seconds": delay}
            log.error("a recording worker cannot be started; trying again", extra={"facts": facts})
            return False
        self.refused = 0
        self.started_us = now_us
        return True

    def _start(self) -> None:
        note = self._note = TemporaryFile(buffering=0)  # noqa: SIM115  # it lives as long as the process
        process = self._process = subprocess.Popen(
            [*self._command, str(note.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(note.fileno(),),
            text=True,
        )
        self._sent = ""
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        self._reader = reader

    def _abandon(self) -> None:
        """Take back a start that failed half way."""
        self._reader = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close_pipes()
            self._process = None
        if self._note is not None:
            self._note.close()
            self._note = None

    def send(self, streams: Sequence[WantedStream]) -> None:
        """Tell the worker what it is to pull, if that has changed."""
        line = encode_wanted(streams)
        if line == self._sent or self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            self._sent = line
        except BrokenPipeError:
            self._sent = ""

    def note_death(self, now_us: int) -> tuple[bool, str | None]:
        """Reap the dead worker. Say whether it crashed, and of which stream, if that is known."""
        assert self._process is not None and self._note is not None
        code = self._process.wait()
        self._close_pipes()
        stream = culprit(read_note(self._note.fileno()))
        self._note.close()
        self.crashes = 1 if now_us - self.started_us > HEALTHY_US else self.crashes + 1
        # The first time at once: its cameras wait.
        delay = restart_delay(self.crashes - 1)
        self.start_after_us = now_us + delay * 1_000_000
        facts = {"pid": self._process.pid, "code": code, "stream": stream, "in_seconds": delay}
        log.error("a recording worker died; starting it again", extra={"facts": facts})
        self._process = None
        return code < 0 or code == CRASHED, stream

    def absolve(self) -> None:
        """Who brought it down is not among its streams any more."""
        self.crashes = self.start_after_us = 0

    def stop(self) -> None:
        """End its input, which makes it close its segments; kill it if it does not."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                log.info("a worker had already ended")
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_pipes()
        self._process = None
        if self._note is not None:
            self._note.close()

    def _close_pipes(self) -> None:
        assert self._process is not None
        if self._reader is not None:
            self._reader.join(1)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._on_states(decode_states(line))
            except DamageFound as error:
                log.error("a worker's line", extra={"facts": {"error": error.detail}})
        # Its output ends a moment before it can be reaped.
        process.wait()
        self._on_end()


class RecorderSupervisor:
    """Holds the wanted state and the workers. ``run`` returns after ``stop_soon``."""

    def __init__(
        self, provider: Provider, command: Sequence[str], copy: Path, clock: Clock
    ) -> None:
        self._provider = provider
        self._command = command
        self._copy = copy
        self._clock = clock
        self._wanted: tuple[WantedStream, ...] | None = None
        self._workers: dict[int, WorkerHandle] = {}
        self._assigned: dict[int, tuple[str, ...]] = {}
        self._states: dict[str, StreamState] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._index_away = False
        self._learned = threading.Event()
        self._isolation = Isolation()
        # Set when there is something to look at before the usual time.
        self._wake = threading.Event()

    def run(self) -> None:
        learner = threading.Thread(target=self._keep_learning, name="learn")
        learner.start()
        try:
            if not self._learned.wait(FIRST_ANSWER_S):
                self._wanted = self._from_disk()
            while not self._stopping.is_set():
                self._wake.wait(RECONCILE_S)
                self._wake.clear()
                if not self._stopping.is_set():
                    self.look()
        finally:
            self._stopping.set()
            for worker in self._workers.values():
                worker.stop()
            learner.join()

    def stop_soon(self) -> None:
        self._stopping.set()
        self._wake.set()

    def states(self) -> list[StreamState]:
        """Give the last state of each wanted stream."""
        wanted = {stream.stream_id for stream in self._wanted or ()}
        with self._lock:
            states = [state for state in self._states.values() if state.stream_id in wanted]
        alone = self._isolation.is_alone
        return [replace(s, message=s.message or ALONE) if alone(s.stream_id) else s for s in states]

    def look(self) -> None:
        """Keep the workers alive and tell each its part of what is wanted."""
        wanted = self._wanted or ()
        by_id: Mapping[str, WantedStream] = {stream.stream_id: stream for stream in wanted}
        now = self._clock.monotonic_us()
        self._bury(now)
        pens = self._isolation.pens(now)
        self._assigned = assign([*by_id], self._assigned, pens=pens)
        for number in [n for n in self._workers if n not in self._assigned]:
            self._workers.pop(number).stop()
        for number, streams in self._assigned.items():
            worker = self._workers.get(number)
            if worker is None:
                worker = self._workers[number] = WorkerHandle(
                    self._command, self._take_states, self._wake.set
                )
            if not worker.alive:
                if now < worker.start_after_us:
                    continue
                if not worker.start(now):
                    self._say_unstarted(streams)
                    continue
            worker.send([by_id[stream] for stream in streams])

    def _say_unstarted(self, streams: Sequence[str]) -> None:
        """What the last worker said of them is not true any more."""
        now = self._clock.utc_us()
        states = []
        for stream in streams:
            before = self._states.get(stream)
            if before is not None and before.message == UNSTARTED:
                continue
            last = before.last_us if before is not None else None
            down = StreamState(stream, Health.OFFLINE, GapCause.RECORDER_DOWN, now, last)
            states.append(replace(down, message=UNSTARTED))
        self._take_states(states)

    def _bury(self, now: int) -> None:
        """See who died, and of whom."""
        for number, worker in self._workers.items():
            if not worker.died:
                continue
            crashed, stream = worker.note_death(now)
            streams = self._assigned.get(number, ())
            if not crashed or not streams:
                continue
            before = self._isolation.pens(now)
            self._isolation.crashed(streams, stream, now)
            moved = {s: p for s, p in self._isolation.pens(now).items() if before.get(s) != p}
            if moved and len(streams) > 1:
                facts = {"streams": sorted(moved)}
                log.error("streams are kept apart after crashes", extra={"facts": facts})
                worker.absolve()

    def _keep_learning(self) -> None:
        while not self._stopping.is_set():
            self.learn()
            self._learned.set()
            self._stopping.wait(RECONCILE_S)
        self._learned.set()

    def learn(self) -> None:
        """Ask what is wanted; if nobody answers, stay with the last answer, from disk if need be."""
        try:
            fresh = tuple(self._provider())
        except (IndexUnavailable, OSError) as error:
            # Out of file handles the index is as far away as it is when it is gone.
            if not self._index_away:
                log.error(
                    "the index is away; recording goes on as last wanted",
                    extra={"facts": {"error": str(error)}},
                )
            self._index_away = True
            if self._wanted is None:
                self._wanted = self._from_disk()
            return
        self._index_away = False
        if fresh != self._wanted:
            self._wanted = fresh
            save_wanted(self._copy, fresh)

    def _from_disk(self) -> tuple[WantedStream, ...]:
        try:
            return load_wanted(self._copy) or ()
        except (DamageFound, OSError) as error:
            log.error("no wanted state", extra={"facts": {"error": str(error)}})
            return ()

    def _take_states(self, states: list[StreamState]) -> None:
        with self._lock:
            self._states.update({state.stream_id: state for state in states})
