"""``bidwitness record``: the supervisor, and beside it the commits of what was recorded."""

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError, Conflict, DamageFound, IndexUnavailable
from bidwitness.recorder.epochs import EpochMaker
from bidwitness.recorder.status import StreamState, save_status_file
from bidwitness.recorder.status_rows import ClockSteps, save_status_rows
from bidwitness.recorder.supervisor import RecorderSupervisor
from bidwitness.storage.commit import Committer
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database, open_index, upgrade
from bidwitness.storage.spool.volumes import add_volumes
from bidwitness.storage.wanted import WantedStream
from bidwitness.storage.wanted_index import wanted_streams

log = logging.getLogger(__name__)

UNSIGNED = "no_epochs"
COMMIT_S = 0.5
AWAY_S = 2.0
WORKER_COMMAND = (sys.executable, "-m", "bidwitness.recorder.record_worker")


class Bookkeeper:
    """Commits journals and states in a thread; waits for the index as long as it takes."""

    def __init__(
        self, settings: Settings, database: Database, supervisor: RecorderSupervisor, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._supervisor = supervisor
        self._clock = clock
        self._committer = Committer(database, settings.spool)
        self._epochs = EpochMaker(settings, database, clock)
        # Why no epoch is signed; empty while it is not known whether one is.
        self._unsigned: str | None = ""
        self._unsaved: str | None = None
        self._clock_steps = ClockSteps(clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commit")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit once more what the workers closed at their end, then return."""
        self._stopping.set()
        self._thread.join()
        self._once()

    def _run(self) -> None:
        pause = COMMIT_S
        while not self._stopping.wait(pause):
            pause = COMMIT_S if self._once() else AWAY_S

    def _once(self) -> bool:
        """Give whether the index answered."""
        now = self._clock.utc_us()
        states = self._supervisor.states()
        self._clock_steps.look()
        self._save_status(states, now)
        try:
            # How things are now comes before what was: a long catching-up hides no stall.
            with self._database.write() as orm:
                save_status_rows(orm, self._settings.recorder, states, now)
                self._clock_steps.save(orm, self._settings.recorder)
            self._clock_steps.saved()
            self._committer.commit()
            self._sign()
        except (IndexUnavailable, OSError) as error:
            # Out of file handles or room for the index: the journals wait, whatever it is.
            log.warning("not committed yet", extra={"facts": {"error": str(error)}})
            return False
        return True

    def _save_status(self, states: Sequence[StreamState], now_us: int) -> None:
        """Replace the status file; a full disk must not end the commits."""
        try:
            save_status_file(self._settings.run_dir, states, now_us)
        except OSError as error:
            if str(error) != self._unsaved:
                self._unsaved = str(error)
                log.error("the status is not saved", extra={"facts": {"error": str(error)}})
        else:
            self._unsaved = None

    def _sign(self) -> None:
        """Sign an epoch if one is due. Recording must not end for want of a signature."""
        why: str | None = None
        try:
            self._epochs.make_due()
        except (ConfigError, Conflict, DamageFound, OSError) as error:
            why = str(error)
        if why == self._unsigned:
            return  # said once, not twice a second
        subject, now = f"recorder:{self._settings.recorder}", self._clock.utc_us()
        with self._database.write() as orm:
            if why is None:
                clear_alarm(orm, UNSIGNED, subject, now)
            else:
                log.error("no epoch is signed", extra={"facts": {"error": why}})
                raise_alarm(orm, UNSIGNED, subject, now, cause=why)
        self._unsigned = why


def run_record(settings: Settings) -> None:
    """Record until SIGTERM or Ctrl-C; every segment is closed before this returns."""
    clock = SystemClock()
    add_volumes(settings.spool, settings.volume_folders)
    database = open_index(settings)
    migrated = threading.Event()

    def wanted() -> Sequence[WantedStream]:
        if not migrated.is_set():
            upgrade(database)
            migrated.set()
        with database.read() as orm:
            return wanted_streams(orm, clock.utc_us())

    supervisor = RecorderSupervisor(
        wanted, WORKER_COMMAND, settings.data / "recorder" / "wanted.json", clock
    )
    bookkeeper = Bookkeeper(settings, database, supervisor, clock)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop_soon()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    bookkeeper.start()
    try:
        supervisor.run()
    finally:
        bookkeeper.stop()
        database.close()
