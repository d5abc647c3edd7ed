"""What a worker process leaves behind when it dies: in which stream's thread it happened.

The supervisor gives each worker a file without a name. Each stream's thread writes who it is; at a
fatal signal Python's fault handler adds which thread it struck, even inside a library.
"""

import faulthandler
import os
import re
import threading

# How a worker ends when a thread died of what nobody foresaw: its stream must not stay silently
# unrecorded.
CRASHED = 70
_LIMIT = 1 << 18
_THREAD = re.compile(r"^stream (0x[0-9a-f]+) (\S+)$", re.MULTILINE)
_STRUCK = re.compile(r"^Current thread (0x[0-9a-f]+)", re.MULTILINE)
_RAISED = re.compile(r"^raised (\S+)$", re.MULTILINE)


class CrashNote:
    """The worker's end of it. ``handle``: an open file, or None if nobody wants to know."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    def begin(self) -> None:
        """Have fatal signals noted from now on."""
        if self._handle is not None:
            faulthandler.enable(file=self._handle, all_threads=True)

    def in_thread(self, stream: str) -> None:
        """Say that the calling thread is a stream's."""
        self._write(f"stream 0x{threading.get_ident():016x} {stream}\n")

    def raised(self, thread: str) -> None:
        """Say that a thread ends of an error that nobody foresaw."""
        self._write(f"raised {thread}\n")

    def _write(self, line: str) -> None:
        if self._handle is not None:
            os.write(self._handle, line.encode())


def read_note(handle: int) -> str:
    """Give what was written to an open note."""
    return os.pread(handle, _LIMIT, 0).decode(errors="replace")


def culprit(note: str) -> str | None:
    """Give the stream in whose thread the process died; None if the note does not say. Pure."""
    raised = _RAISED.findall(note)
    # A thread's number is given again after its end: the last who wrote it counts.
    threads = dict(_THREAD.findall(note))
    if raised:
        return raised[-1] if raised[-1] in threads.values() else None
    struck = _STRUCK.findall(note)
    return threads.get(struck[-1]) if struck else None
