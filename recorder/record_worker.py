"""``python -m bidwitness.recorder.record_worker [HANDLE]``: pulls up to 16 streams. Started by
``record``; HANDLE is the open file of its crash note.

It is no command of the CLI, and imports neither that nor a database: what 16 cameras share is small,
and after a crash it is back in half the time.
"""

import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from bidwitness.addresses import CameraAddress
from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import BidWitnessError
from bidwitness.log import configure, redact
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.crash_note import CRASHED, CrashNote
from bidwitness.recorder.packets import OpenSource
from bidwitness.recorder.source import RtspOpener
from bidwitness.recorder.tap import LiveTap
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.worker_process import run_worker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.recorder.writer_pool import WriterPool
from bidwitness.secrets import SecretBox
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.wanted import WantedStream, camera_address

log = logging.getLogger(__name__)

CLOCK_CHECK_S = 1.0
# glibc's malloc.h: heaps of their own for threads would keep half as much memory again a camera.
_ARENA_MAX, _ARENAS = -8, 2
# What probing a stream has left behind is 4 MB a camera; giving it back takes a millisecond or two.
TRIM_EVERY = 10


def main() -> None:
    """Run the process; an error made for people ends it in one line and its exit code."""
    _set_heap("mallopt", _ARENA_MAX, _ARENAS)
    try:
        settings = load_settings()
        configure(settings.log_level)
        handle = int(sys.argv[1]) if len(sys.argv) > 1 else None
        run_record_worker(settings, CrashNote(handle))
    except BidWitnessError as error:
        sys.stderr.write(f"error: {redact(error.detail)}\n")
        sys.exit(error.exit_code)


def _set_heap(function: str, *values: int) -> None:
    """Call one of glibc's functions of the heap; another C library has other heaps."""
    known = getattr(ctypes.CDLL(None), function, None)
    if known is not None:
        known(*values)


def run_record_worker(
    settings: Settings, note: CrashNote, make_opener: Callable[..., OpenSource] = RtspOpener
) -> None:
    """Obey standard input until it ends; every segment is closed before this returns."""
    threading.excepthook = _crash(note)
    note.begin()
    clock = SystemClock()
    secrets = SecretBox(settings.secret_key_file)
    writer = _writer_of(settings, clock)
    tap = LiveTap(settings.run_dir, clock)
    anchor = ClockAnchor(clock)
    stopping = threading.Event()

    def look_after() -> None:
        for second in count(1):
            if stopping.wait(CLOCK_CHECK_S):
                return
            step = anchor.check()
            if step is not None:
                log.error("the system clock was set", extra={"facts": {"by_us": step}})
            if second % TRIM_EVERY == 0:
                _set_heap("malloc_trim", 0)

    def dial(wanted: WantedStream) -> CameraAddress:
        return camera_address(wanted, secrets)

    desk = Desk(
        open_source=make_opener(clock, allow_loopback=settings.allow_loopback_cameras),
        dial=dial,
        writer=writer,
        volume=settings.spool,
        tap=tap,
        clock=clock,
        anchor=anchor,
        segment_us=settings.segment_seconds * 1_000_000,
    )
    writer.start()
    tap.start()
    threading.Thread(target=look_after, name="clock", daemon=True).start()
    try:
        run_worker(lambda wanted: StreamWorker(wanted, desk), note)
    finally:
        stopping.set()
        tap.stop()
        writer.stop()


def _writer_of(settings: Settings, clock: Clock) -> VolumeWriter | WriterPool:
    """Give the writer of the spool, or one for each of the volumes beside it."""

    def on(volume: Path) -> VolumeWriter:
        return VolumeWriter(
            *(volume, SystemFiles(), clock),
            site=settings.site,
            recorder=settings.recorder,
            spool=settings.spool,
        )

    volumes = settings.volume_folders
    last = on(settings.spool)
    return WriterPool([on(volume) for volume in volumes], last, clock) if volumes else last


def _crash(note: CrashNote) -> Callable[[threading.ExceptHookArgs], None]:
    """Have the whole process end, so that the supervisor starts it anew within a second."""

    def crash(args: threading.ExceptHookArgs) -> None:
        value = args.exc_value
        log.critical("a recording thread crashed", exc_info=value)
        logging.shutdown()
        note.raised(args.thread.name if args.thread is not None else "-")
        os._exit(CRASHED)

    return crash


if __name__ == "__main__":
    main()
