"""``bidwitness trust`` and ``bidwitness new-log-shard``."""

from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings


def trust(
    out: Annotated[Path | None, typer.Option(help="The file to write; else it is printed.")] = None,
    next_year: Annotated[
        bool,
        typer.Option("--next-year", help="With the key of the coming year's log, made now."),
    ] = False,
) -> None:
    """Write the trust material of this site: hand it out apart from any package."""
    from bidwitness.storage.index.database import open_database
    from bidwitness.storage.ledger.trust import announce_next_year, write_policy

    settings = load_settings()
    database = open_database(settings.database_url)
    try:
        policy = write_policy(database, settings)
        if next_year:
            policy += announce_next_year(database, settings, SystemClock())
    finally:
        database.close()
    if out is None:
        typer.echo(policy.decode(), nl=False)
    else:
        out.write_bytes(policy)


def new_log_shard(
    reason: Annotated[str, typer.Option(help="What happened; it stands in the log for ever.")],
) -> None:
    """Give up a log that cannot go on, so that `keep` begins a new one. Stop `keep` first."""
    from bidwitness.storage.index.database import open_database
    from bidwitness.storage.ledger.giving_up import give_up

    settings = load_settings()
    database = open_database(settings.database_url)
    try:
        shard, again = give_up(database, settings, SystemClock(), reason)
    finally:
        database.close()
    typer.echo(f"The log {shard} is given up; {again} entries will be logged again in a new one.")
