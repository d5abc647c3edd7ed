"""A site whose index somebody owns who is not the site: SQL on every table, no key, no log."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from support.database import empty_database
from support.ledger_site import Site

from bidwitness.config import Settings
from bidwitness.storage.index.database import Database, open_database
from bidwitness.storage.index.signet import Signet
from bidwitness.storage.trail.findings import Finding
from bidwitness.storage.trail.logged import LoggedCommitments
from bidwitness.storage.trail.walk import Walk

LATE_US = 600_000_000


def with_signet(index: Database, settings: Settings) -> Database:
    """Give an index as the site's own processes open it."""
    return Database(index.engine, Signet(settings.signet_key_file))


def walk(site: Site) -> list[Finding]:
    """Walk once; give what is wrong."""
    now = site.clock.utc_us()
    log = LoggedCommitments(site.settings)
    found = Walk(site.index, log, site.settings.site, late_before_us=now - LATE_US).run()
    return [item for item in found if item is not None]


def by_sql(index: Database, *statements: str, **values: Any) -> None:
    """Do what the owner of the database can do: triggers are no obstacle."""
    with index.engine.connect() as connection, connection.begin():
        if index.is_sqlite:
            for what in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS audit_entries_no_{what}"))
        else:
            connection.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement), values)


@contextmanager
def copy_of(index: Database, folder: Path) -> Iterator[Database]:
    """Give a copy of a whole index, made with the database's own means."""
    index.engine.dispose()
    if index.is_sqlite:
        target = folder / "yesterday.db"
        with index.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        index.engine.dispose()
        shutil.copyfile(str(index.engine.url.database), target)
        copy = open_database(f"sqlite:///{target}", index.signet)
        yield copy
        copy.close()
        return
    url = index.engine.url
    server = url.set(database="postgres").render_as_string(hide_password=False)
    with empty_database(server, str(url.database)) as made:
        copy = open_database(made, index.signet)
        yield copy
        copy.close()
