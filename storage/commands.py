"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import typer

from bidwitness.storage.evidence.verify_command import verify

app = typer.Typer()
app.command("verify")(verify)
