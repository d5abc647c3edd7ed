"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import typer

from bidwitness.config import load_settings

app = typer.Typer()


@app.command()
def record() -> None:
    """Pull every wanted stream into the spool until stopped."""
    from bidwitness.recorder.record import run_record

    run_record(load_settings())


@app.command()
def live() -> None:
    """Serve live streams to the API until stopped."""
    from bidwitness.recorder.live import run_live

    run_live(load_settings())
