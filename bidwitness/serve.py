"""``bidwitness serve``: all processes of one machine, started, watched and stopped together."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.lifeline import STDIN, VARIABLE

log = logging.getLogger(__name__)

# The order they start in; they stop in reverse, so that recording stops last of the writers.
PROCESSES = ("api", "record", "live", "keep", "work", "beat")
BACK_OFF_S = (1, 1, 2, 5, 10)
HEALTHY_US = 60_000_000
STOP_GRACE_S = 20
WATCH_S = 0.2


def restart_delay(crashes: int) -> int:
    """Give the seconds to wait before start number ``crashes + 1``. Pure."""
    return BACK_OFF_S[min(crashes, len(BACK_OFF_S)) - 1] if crashes else 0


@dataclass
class Child:
    """One of our processes, and how often it has died lately."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    crashes: int = 0
    started_us: int = 0
    start_after_us: int = 0
    output: IO[bytes] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps processes running until told to stop. A crash is followed by a start with back-off."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        logs: Path | None,
        clock: Clock,
    ) -> None:
        self._children = [Child(name, command) for name, command in commands.items()]
        self._environment = {**environment, VARIABLE: STDIN}
        self._logs = logs
        self._clock = clock
        self._stopping = threading.Event()
        self._lifeline: tuple[int, int] | None = None

    def start(self) -> None:
        self._lifeline = os.pipe()
        if self._logs is not None:
            self._logs.mkdir(parents=True, exist_ok=True)
        for child in self._children:
            self._start(child)

    def watch(self) -> None:
        """Block until ``stop_soon``; start again what dies."""
        while not self._stopping.wait(WATCH_S):
            self.look()

    def look(self) -> None:
        """Start again what has died and whose wait is over."""
        now = self._clock.monotonic_us()
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                self._note_death(child, code, now)
            if child.process is None and now >= child.start_after_us:
                self._start(child)

    def stop_soon(self) -> None:
        self._stopping.set()

    def stop(self) -> None:
        """Ask each to end, last started first; kill what does not within the grace."""
        self._stopping.set()
        for child in reversed(self._children):
            if child.process is None or child.process.poll() is not None:
                continue
            child.process.send_signal(signal.SIGTERM)
            try:
                child.process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                log.warning("killed, as it did not stop", extra={"facts": {"process": child.name}})
                child.process.kill()
                child.process.wait()
        for child in self._children:
            if child.output is not None:
                child.output.close()
        if self._lifeline is not None:
            for end in self._lifeline:
                os.close(end)
            self._lifeline = None

    def pids(self) -> dict[str, int]:
        """Give the process id of each that runs."""
        return {
            c.name: c.process.pid
            for c in self._children
            if c.process is not None and c.process.poll() is None
        }

    def _start(self, child: Child) -> None:
        if self._logs is not None and child.output is None:
            child.output = (self._logs / f"{child.name}.log").open("ab")
        child.process = subprocess.Popen(
            child.command,
            env=self._environment,
            stdin=None if self._lifeline is None else self._lifeline[0],
            stdout=child.output,
            stderr=child.output,
            # Ctrl-C reaches only us: we decide the order in which the others end.
            start_new_session=True,
        )
        child.started_us = self._clock.monotonic_us()

    def _note_death(self, child: Child, code: int, now: int) -> None:
        healthy = now - child.started_us > HEALTHY_US
        child.crashes = 1 if healthy else child.crashes + 1
        delay = restart_delay(child.crashes)
        child.process = None
        child.start_after_us = now + delay * 1_000_000
        log.error(
            "a process ended; starting it again",
            extra={"facts": {"process": child.name, "code": code, "in_seconds": delay}},
        )


def our_commands() -> dict[str, Sequence[str]]:
    """Give each process of ours with the command that starts it."""
    return {name: (sys.executable, "-m", "bidwitness", name) for name in PROCESSES}


def child_environment(settings: Settings, **more: str) -> dict[str, str]:
    """Give our environment, with the data folder absolute and ``more`` on top."""
    return {**os.environ, "BIDWITNESS_DATA": str(settings.data), **more}


def serve(settings: Settings) -> None:
    """Run all processes until SIGTERM or Ctrl-C; their logs go to ``data/logs``."""
    supervisor = Supervisor(
        our_commands(),
        environment=child_environment(settings),
        logs=settings.data / "logs",
        clock=SystemClock(),
    )

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop_soon()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    # Its password is for this terminal: what `api` prints goes to a log.
    first = (sys.executable, "-m", "bidwitness", "user", "first")
    subprocess.run(first, env=child_environment(settings), check=False)
    supervisor.start()
    try:
        supervisor.watch()
    finally:
        supervisor.stop()
