"""A worker process: threads that each pull one stream, told what to do on standard input.

Input is a line of the wanted state whenever it changes; output is a line of states each second.
The end of the input means that the supervisor is gone: segments are closed and the process ends,
so that no camera is ever pulled twice.
"""

import logging
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TextIO

from bidwitness.errors import DamageFound
from bidwitness.recorder.crash_note import CrashNote
from bidwitness.recorder.status import StreamState, encode_states
from bidwitness.recorder.wanted_copy import decode_wanted
from bidwitness.storage.wanted import WantedStream

log = logging.getLogger(__name__)

REPORT_S = 1.0
JOIN_S = 15.0
# Cameras and switches dislike a hundred connections in the same instant.
STAGGER_S = 0.04


class StreamRunner(Protocol):
    """Pulls and writes one stream. Made and told from one thread, run in another."""

    def run(self) -> None:
        """Pull until ``stop``; closes what is open before it returns. Never raises."""

    def stop(self, *, not_wanted: bool = False) -> None:
        """End soon; ``not_wanted``: because the stream is no longer to be pulled."""

    def change(self, wanted: WantedStream) -> None:
        """Take new cuts, or dial anew if the address or login is another."""

    def state(self) -> StreamState: ...


MakeRunner = Callable[[WantedStream], StreamRunner]


class WorkerProcess:
    """Keeps one runner a wanted stream."""

    def __init__(self, make: MakeRunner, note: CrashNote | None = None) -> None:
        self._make = make
        self._note = note or CrashNote(None)
        self._runners: dict[str, StreamRunner] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()

    def run(self, commands: TextIO, reports: TextIO) -> None:
        """Obey ``commands`` until their end; report each second on ``reports``."""
        reporter = threading.Thread(target=self._report, args=(reports,), name="report")
        reporter.start()
        try:
            for line in commands:
                self._obey(line)
        finally:
            self._stopping.set()
            self._drop(list(self._runners), not_wanted=False)
            reporter.join()

    def _obey(self, line: str) -> None:
        try:
            self.reconcile(decode_wanted(line))
        except DamageFound as error:
            log.error("a command was not understood", extra={"facts": {"error": error.detail}})

    def reconcile(self, wanted: Sequence[WantedStream]) -> None:
        """Start what is new, change what stays, stop what is gone."""
        by_id: Mapping[str, WantedStream] = {stream.stream_id: stream for stream in wanted}
        gone = [stream_id for stream_id in self._runners if stream_id not in by_id]
        self._drop(gone, not_wanted=True)
        for stream_id, stream in by_id.items():
            runner = self._runners.get(stream_id)
            if runner is not None:
                runner.change(stream)
                continue
            runner = self._make(stream)
            thread = threading.Thread(
                target=self._run, args=(runner, stream_id), name=stream_id, daemon=True
            )
            self._runners[stream_id], self._threads[stream_id] = runner, thread
            thread.start()
            self._stopping.wait(STAGGER_S)

    def _run(self, runner: StreamRunner, stream_id: str) -> None:
        self._note.in_thread(stream_id)
        runner.run()

    def _drop(self, stream_ids: Sequence[str], *, not_wanted: bool) -> None:
        for stream_id in stream_ids:
            self._runners[stream_id].stop(not_wanted=not_wanted)
        for stream_id in stream_ids:
            self._threads.pop(stream_id).join(JOIN_S)
            del self._runners[stream_id]

    def _report(self, reports: TextIO) -> None:
        while not self._stopping.wait(REPORT_S):
            states = [runner.state() for runner in list(self._runners.values())]
            try:
                reports.write(encode_states(states) + "\n")
                reports.flush()
            except (BrokenPipeError, ValueError):
                return


def run_worker(make: MakeRunner, note: CrashNote | None = None) -> None:
    """Be a worker process on standard input and output."""
    WorkerProcess(make, note).run(sys.stdin, sys.stdout)
