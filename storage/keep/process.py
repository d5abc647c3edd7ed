"""``bidwitness keep``: the site's one keeper, from taking its lock to letting go of it."""

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import Unavailable
from bidwitness.storage.alarming.notify import Notifier
from bidwitness.storage.alarming.watch import StreamWatch
from bidwitness.storage.break_glass import ReviewWatch
from bidwitness.storage.disposals import Disposer
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database, open_index, upgrade
from bidwitness.storage.index.policies import seed_policies
from bidwitness.storage.keep.disk import SPOOL, DiskWatch
from bidwitness.storage.keep.duties import Duties, Duty
from bidwitness.storage.keep.eviction import Evictor
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.journals import JournalKeeper
from bidwitness.storage.keep.lock import KeepLock
from bidwitness.storage.keep.lock_rounds import LockKeeper
from bidwitness.storage.keep.locking import LockPlanner
from bidwitness.storage.keep.loops import ShortLoops
from bidwitness.storage.keep.mending import Mender
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.keep.reports import ReportKeeper
from bidwitness.storage.keep.scrub import Scrub
from bidwitness.storage.keep.store_gate import StoreGate
from bidwitness.storage.keep.surplus import SurplusWalk
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.stamping import Stamper
from bidwitness.storage.ledger.witnessing import Witnesses
from bidwitness.storage.sessions import clockwork
from bidwitness.storage.sessions.planned import PlanMonitor
from bidwitness.storage.sessions.seal import Sealer
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.volumes import volume_name
from bidwitness.storage.store import LockingStore, Retrying, open_store
from bidwitness.storage.store.file import FileStore
from bidwitness.storage.trail.keeper import TrailKeeper

log = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
RETRY_S = 1.0


def duties_of(
    settings: Settings, database: Database, store: LockingStore, clock: Clock
) -> list[Duty]:
    """Give what `keep` does, and how often."""
    spool, files, threads = settings.spool, SystemFiles(), settings.upload_threads
    # At the first need of it: the clockwork does not wait for a store.
    ready = StoreGate(database, store, clock, accept=settings.accept_unlocked_store)
    planner = LockPlanner(settings, ready.able)
    upload = Uploader(
        *(database, store, spool, clock, ready),
        threads=threads,
        planner=planner,
        bytes_per_s=settings.upload_mb_per_second * 1_000_000,
    )
    records = RecordsWriter(database, store, clock, ready, planner)
    locks = LockKeeper(database, store, clock, planner, threads=threads)
    keep_us = settings.spool_keep_hours * HOUR_US
    evict = Evictor(database, store, spool, files, clock, keep_us=keep_us)
    collect = Collector(database, store, spool, files, clock)
    reports = ReportKeeper(database, store, clock, settings, ready, planner)
    surplus = SurplusWalk(database, store, clock, rate=settings.store_walk_rate)
    mender = Mender(database, store, spool, settings.reports)
    scrub = Scrub(
        *(database, store, mender, clock),
        rate=settings.store_walk_rate,
        bytes_per_s=settings.scrub_mb_per_second * 1_000_000,
    )
    loops = ShortLoops(database, clock, settings)
    journals = JournalKeeper(database, spool, files, clock)
    seal = Sealer(database, clock, settings, Footage(spool, store))
    streams = StreamWatch(database, clock)
    notify = Notifier(database, clock, settings)
    witnesses = Witnesses(database, settings, clock, files)
    stamper = Stamper(database, settings, clock, files)
    ledger = Ledger(database, settings, clock, files, witnesses.confirm)
    trail = TrailKeeper(database, settings, clock)
    disks = DiskWatch(database, clock, _volumes(settings))
    return [
        Duty("clockwork", 1.0, _quietly(lambda: clockwork.tick(database, clock, settings))),
        Duty("streams", 1.0, _quietly(streams.watch)),
        Duty("notify", 1.0, notify.notify, eager=True),
        Duty("reviews", 60.0, _quietly(ReviewWatch(database, clock).watch)),
        Duty("disposals", 10.0, Disposer(database, clock).dispose_some, eager=True),
        Duty("plans", 300.0, _quietly(PlanMonitor(database, clock).watch)),
        Duty("seal", 1.0, _quietly(seal.seal_due)),
        Duty("ledger", 1.0, ledger.log_some, eager=True),
        Duty("witnesses", 5.0, witnesses.ask_all),
        Duty("stamps", 10.0, stamper.stamp_due),
        Duty("audit", 1.0, trail.walk_some),
        Duty("upload", 1.0, upload.upload_some, eager=True),
        Duty("locktest", 1.0, _quietly(ready.watch)),
        Duty("locks", 5.0, locks.keep_some, eager=True),
        Duty("records", 10.0, records.write_due),
        Duty("reports", 10.0, reports.store_some),
        Duty("surplus", 1.0, surplus.walk_some),
        Duty("presence", 1.0, scrub.look_some),
        Duty("scrub", 1.0, scrub.read_some),
        Duty("loops", 10.0, loops.mark),
        Duty("evict", 10.0, evict.evict_some, eager=True),
        Duty("collect", 5.0, collect.collect_some, eager=True),
        Duty("journals", 3600.0, journals.remove_old),
        Duty("disk", 10.0, _quietly(disks.watch)),
    ]


def _quietly(act: Callable[[], object]) -> Callable[[], int]:
    def did_nothing_countable() -> int:
        act()
        return 0

    return did_nothing_countable


def _volumes(settings: Settings) -> dict[str, Path]:
    volumes = {SPOOL: settings.spool}
    volumes |= {f"{SPOOL}-{volume_name(v)}": v for v in settings.volume_folders}
    store = open_store(settings)
    if isinstance(store, FileStore):
        volumes["store"] = store.root
    return volumes


def run_keep(settings: Settings) -> None:
    """Keep until SIGTERM or Ctrl-C. Waits while another `keep` runs or the database is away."""
    stopping = threading.Event()
    running: list[Duties] = []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        for duties in running:
            duties.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    clock = SystemClock()
    database = open_index(settings)
    lock = KeepLock(database, settings.data / "keep.lock")
    try:
        if _ready(settings, database, lock, clock, stopping):
            store = Retrying(open_store(settings), clock)
            duties = Duties(duties_of(settings, database, store, clock), lock.confirm)
            running.append(duties)
            if not stopping.is_set():
                duties.run()
    finally:
        lock.release()
        database.close()


def _ready(
    settings: Settings,
    database: Database,
    lock: KeepLock,
    clock: Clock,
    stopping: threading.Event,
) -> bool:
    """Wait for the lock and the tables; say whether they came before the end."""
    said: str | None = None
    while not stopping.is_set():
        why = "another keep runs; waiting for it to end"
        try:
            if lock.acquire():
                upgrade(database)
                with database.write() as orm:
                    seed_policies(orm, settings, clock.utc_us())
                return True
        except Unavailable as error:
            why = error.detail
        if why != said:
            log.warning("cannot begin yet", extra={"facts": {"why": why}})
            said = why
        stopping.wait(RETRY_S)
    return False
