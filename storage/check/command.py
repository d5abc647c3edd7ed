"""What ``bidwitness check`` and ``bidwitness rebuild`` do and print."""

from collections.abc import Iterator

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.check.audit import check_audit
from bidwitness.storage.check.index import check_index
from bidwitness.storage.check.ledger import check_ledger
from bidwitness.storage.check.problems import Part, Problem, Tally
from bidwitness.storage.check.store import check_store
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database, open_index, upgrade
from bidwitness.storage.rebuild import Rebuild
from bidwitness.storage.store import Retrying, open_store

# `keep` logs within a second; it may just be starting.
LATE_US = 600_000_000


def run_check(settings: Settings, part: Part) -> None:
    """Print each problem as it is found, then the count of each part.

    Raises ``DamageFound`` if there was any damage, ``Unavailable`` for what cannot be checked.
    """
    database = open_index(settings)
    try:
        tallies = [
            _report(name, found)
            for name, found in _checks(settings, database).items()
            if part in (name, Part.ALL)
        ]
    finally:
        database.close()
    for tally in tallies:
        tally.judge()


def _checks(settings: Settings, database: Database) -> dict[Part, Iterator[Problem | None]]:
    store = Retrying(open_store(settings), SystemClock())
    footage = Footage(settings.spool, store)
    return {
        Part.INDEX: check_index(database, settings.spool, settings.recorder),
        Part.STORE: check_store(database, store, footage, SystemClock().utc_us()),
        Part.LEDGER: check_ledger(database, settings, SystemClock().utc_us(), late_us=LATE_US),
        Part.AUDIT: check_audit(database, settings, SystemClock().utc_us(), late_us=LATE_US),
    }


def _report(name: Part, found: Iterator[Problem | None]) -> Tally:
    tally = Tally()
    for problem in tally.of(found):
        typer.echo(str(problem))
    typer.echo(f"{name}: {tally}")
    return tally


def run_rebuild(settings: Settings) -> None:
    """Rebuild, and print what was found. Raises ``DamageFound`` if some of it was damaged."""
    database = open_index(settings)
    store = Retrying(open_store(settings), SystemClock())
    try:
        upgrade(database)
        result = Rebuild(database, store, settings, SystemClock()).run()
    finally:
        database.close()
    typer.echo(str(result))
    if result.damaged:
        raise DamageFound(f"{len(result.damaged)} files are not what their records say.")
