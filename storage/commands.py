"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

from typing import Annotated

import typer

from bidwitness.config import load_settings
from bidwitness.storage.backup.commands import backup, restore
from bidwitness.storage.check.problems import Part
from bidwitness.storage.evidence import verify_command
from bidwitness.storage.ledger.commands import confirm_log, log_key, new_log_shard
from bidwitness.storage.ledger.trust_commands import app as trust
from bidwitness.storage.timestamp.commands import app as timestamp
from bidwitness.storage.witness.commands import app as witness

app = typer.Typer()
app.add_typer(witness, name="witness")
app.add_typer(timestamp, name="timestamp")
app.add_typer(trust, name="trust")
app.command("backup")(backup)
app.command("restore")(restore)
app.command("log-key")(log_key)
app.command("new-log-shard")(new_log_shard)
app.command("confirm-log")(confirm_log)


@app.command(
    "verify",
    help=verify_command.SUMMARY,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def verify(context: typer.Context) -> None:
    # So that it is listed beside the others: it stands alone (``bidwitness.cli``).
    raise typer.Exit(verify_command.main(context.args))


@app.command()
def keep() -> None:
    """Keep the site: sessions' clockwork and seal, upload, eviction, removal. One at a time."""
    # Here: other commands start faster without it.
    from bidwitness.storage.keep.process import run_keep

    run_keep(load_settings())


@app.command("lock-test")
def lock_test(
    seconds: Annotated[int, typer.Option(min=2, max=600, help="For how long it locks.")] = 20,
) -> None:
    """Try whether the store refuses to remove what is locked: exit 0 if it does, 78 if not."""
    from bidwitness.storage.keep.lock_test_command import run_lock_test

    run_lock_test(load_settings(), seconds)


@app.command()
def check(
    part: Annotated[Part, typer.Argument(help="What to look at again.")] = Part.ALL,
) -> None:
    """Look at everything that is kept again: exit 0 if it is whole, 65 if there is damage."""
    from bidwitness.storage.check.command import run_check

    run_check(load_settings(), part)


@app.command()
def rebuild() -> None:
    """Make the rows of footage again from spool, store and records. Stop the other processes."""
    from bidwitness.storage.check.command import run_rebuild

    run_rebuild(load_settings())
