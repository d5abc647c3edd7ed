"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import typer

from bidwitness.config import load_settings
from bidwitness.storage.evidence.verify_command import verify

app = typer.Typer()
app.command("verify")(verify)


@app.command()
def keep() -> None:
    """Keep the site: sessions' clockwork and seal, upload, eviction, removal. One at a time."""
    # Here: other commands start faster without it.
    from bidwitness.storage.keep.process import run_keep

    run_keep(load_settings())
