"""The site's log: entries a second from the outbox to their place in the index, durable.

``ledger.entries_per_s`` is what ``keep`` does with a backlog, in batches of a thousand: entries hashed,
tiles and checkpoint written and synced, each entry's place noted in the index (SQLite).
``ledger.single_ms`` is the whole of one entry that comes alone, as most do.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.storage.evidence.entries import AuditCommitment
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.spool.files import SystemFiles

SINGLES = 50
BATCH = 1_000


def measure_ledger(entries: int) -> dict[str, float]:
    """Log ``entries`` from a backlog, then some one by one."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(data=Path(folder))
        database = open_database(settings.database_url)
        upgrade(database)
        ledger = Ledger(database, settings, SystemClock(), SystemFiles())
        try:
            ledger.log_some()  # begins the shard
            _wait_in_line(database, 0, entries)
            begun = time.perf_counter()
            logged = 0
            while done := ledger.log_some():
                logged += done
            taken = time.perf_counter() - begun
            singles = [_single(database, ledger, entries + n) for n in range(SINGLES)]
        finally:
            ledger.close()
            database.close()
    return {"ledger.entries_per_s": logged / taken, "ledger.single_ms": median(singles) * 1e3}


def _wait_in_line(database: Database, first: int, count: int) -> None:
    for start in range(first, first + count, BATCH):
        with database.write() as orm:
            for number in range(start, min(start + BATCH, first + count)):
                commitment = AuditCommitment(number.to_bytes(32, "big").hex())
                put_in_outbox(orm, f"audit:{number}", commitment, number, {"salt": "00" * 16})


def _single(database: Database, ledger: Ledger, number: int) -> float:
    _wait_in_line(database, number, 1)
    begun = time.perf_counter()
    ledger.log_some()
    return time.perf_counter() - begun
