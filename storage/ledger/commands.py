"""The commands of the log: ``trust`` (as it stands), ``log-key``, ``new-log-shard`` and ``confirm-log``."""

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
    from bidwitness.storage.index.database import open_index
    from bidwitness.storage.ledger.trust import announce_next_year, write_policy

    settings = load_settings()
    database = open_index(settings)
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
    from bidwitness.storage.index.database import open_index
    from bidwitness.storage.ledger.giving_up import give_up

    settings = load_settings()
    database = open_index(settings)
    try:
        shard, again = give_up(database, settings, SystemClock(), reason)
    finally:
        database.close()
    typer.echo(f"The log {shard} is given up; {again} entries will be logged again in a new one.")


def confirm_log(
    reason: Annotated[str, typer.Option(help="How you know; it stands in the audit for ever.")],
    without_witnesses: Annotated[
        bool,
        typer.Option("--without-witnesses", help="Also if a witness does not answer."),
    ] = False,
) -> None:
    """After a restore: vouch that the log in DATA/log is the newest, so that it goes on. Stop `keep` first."""
    from bidwitness.storage.index.database import open_index
    from bidwitness.storage.ledger.confirming import confirm_log as confirm
    from bidwitness.storage.ledger.witnessing import Witnesses
    from bidwitness.storage.spool.files import SystemFiles

    settings, clock, files = load_settings(), SystemClock(), SystemFiles()
    database = open_index(settings)
    try:
        survey = Witnesses(database, settings, clock, files).survey
        done = confirm(
            database, settings, clock, files, reason, survey, unwitnessed=without_witnesses
        )
    finally:
        database.close()
    typer.echo(f"The log {done.shard} goes on from its {done.size} entries; start `keep`.")
    for name, why in done.witnesses.items():
        typer.echo(f"witness {name}: {why or 'has cosigned them'}")
    if not done.witnesses:
        typer.echo("No witness is asked here: that nothing newer was signed rests on your word.")
    if done.epochs:
        typer.echo(f"{done.epochs} epochs that the backup did not have came back from the log.")
    if done.others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.others.items()))
        typer.echo(
            f"The log holds entries of which the index has lost what they are about: {kinds}."
        )


def log_key(
    pkcs11: Annotated[
        str, typer.Option(help="pkcs11:token=NAME?module-path=MODULE&pin-source=FILE")
    ],
    shard: Annotated[str | None, typer.Option(help="Of which year's log; else the coming.")] = None,
) -> None:
    """Make the key of a year's log in a token (PKCS#11), before that log begins."""
    from bidwitness.storage.evidence.records import utc_day
    from bidwitness.storage.ledger.keys import key_path
    from bidwitness.storage.ledger.shard import origin_of
    from bidwitness.storage.ledger.token_keys import make_token_key, read_address

    settings = load_settings()
    year = shard or str(int(utc_day(SystemClock().utc_us())[:4]) + 1)
    name = origin_of(settings.site, year)
    key = make_token_key(key_path(settings, year), name, read_address(pkcs11, name))
    typer.echo(f"{key}")
