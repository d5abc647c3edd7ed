"""``bidwitness backup`` and ``bidwitness restore``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import DamageFound

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help="A file whose first line is the passphrase of the keys; yours alone to read."
    ),
]


def backup(
    into: Annotated[Path, typer.Argument(help="The folder to add a new backup to.")],
    passphrase_file: PassphraseFile = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave the keys out of it.")
    ] = False,
) -> None:
    """Save index, log and, sealed, the keys into a new folder, while everything runs on."""
    from bidwitness.storage.backup.making import make_backup
    from bidwitness.storage.backup.sealing import find_passphrase
    from bidwitness.storage.index.database import open_index

    settings = load_settings()
    passphrase = None if without_keys else find_passphrase(settings, passphrase_file)
    database = open_index(settings)
    try:
        made = make_backup(database, settings, SystemClock(), into, passphrase, typer.echo)
    finally:
        database.close()
    typer.echo(f"{made.folder}: {made.manifest.bytes:,} bytes")
    if made.not_whole:
        raise DamageFound(
            f"The backup is made, but {'; '.join(made.not_whole)}. Run `bidwitness check ledger`, on "
            "the machine of `keep`."
        )


def restore(
    backup: Annotated[Path, typer.Argument(help="The folder of one backup.")],
    passphrase_file: PassphraseFile = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave the keys as they are here.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only look whether it could be restored.")
    ] = False,
) -> None:
    """Bring back index, log and keys where there are none. Stop everything else first."""
    from bidwitness.storage.backup.restoring import restore_backup, verify_backup
    from bidwitness.storage.backup.sealing import find_passphrase
    from bidwitness.storage.index.database import open_index

    settings = load_settings()
    passphrase = None if without_keys else find_passphrase(settings, passphrase_file)
    found = verify_backup(backup, passphrase, typer.echo)
    made = datetime.fromtimestamp(found.manifest.made_us // 1_000_000, UTC)
    typer.echo(f"{found.manifest.site}, made {made:%Y-%m-%d %H:%M:%S} UTC: whole")
    if verify:
        return
    database = open_index(settings)
    try:
        restore_backup(database, settings, SystemClock(), found, typer.echo)
    finally:
        database.close()
    typer.echo(
        "Restored. The log stands still until you say how it goes on: `bidwitness confirm-log` if "
        "data/log is the newest there is, else `bidwitness new-log-shard`. Before that, "
        "`bidwitness rebuild` brings back the footage recorded since (docs/backup.md)."
    )
