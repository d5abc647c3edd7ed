"""``bidwitness record-worker``: the process that pulls up to 16 streams. Started by ``record``."""

import logging
import os
import threading

from bidwitness.addresses import CameraAddress
from bidwitness.clock import SystemClock
from bidwitness.config import Settings
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.source import RtspOpener
from bidwitness.recorder.tap import LiveTap
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.worker_process import run_worker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.secrets import SecretBox
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.wanted import WantedStream, camera_address

log = logging.getLogger(__name__)

# A thread that died of what nobody foresaw must not leave its stream silently unrecorded.
CRASHED = 70
CLOCK_CHECK_S = 1.0


def run_record_worker(settings: Settings) -> None:
    """Obey standard input until it ends; every segment is closed before this returns."""
    threading.excepthook = _crash
    clock = SystemClock()
    secrets = SecretBox(settings.secret_key_file)
    writer = VolumeWriter(
        settings.spool, SystemFiles(), clock, site=settings.site, recorder=settings.recorder
    )
    tap = LiveTap(settings.run_dir, clock)
    anchor = ClockAnchor(clock)
    stopping = threading.Event()

    def watch_clock() -> None:
        while not stopping.wait(CLOCK_CHECK_S):
            step = anchor.check()
            if step is not None:
                log.error("the system clock was set", extra={"facts": {"by_us": step}})

    def dial(wanted: WantedStream) -> CameraAddress:
        return camera_address(wanted, secrets)

    desk = Desk(
        open_source=RtspOpener(clock, allow_loopback=settings.allow_loopback_cameras),
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
    threading.Thread(target=watch_clock, name="clock", daemon=True).start()
    try:
        run_worker(lambda wanted: StreamWorker(wanted, desk))
    finally:
        stopping.set()
        tap.stop()
        writer.stop()


def _crash(args: threading.ExceptHookArgs) -> None:
    """End the whole process, so that the supervisor starts it anew within a second."""
    value = args.exc_value
    log.critical("a recording thread crashed", exc_info=value)
    logging.shutdown()
    os._exit(CRASHED)
