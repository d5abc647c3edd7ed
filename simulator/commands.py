"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import typer

app = typer.Typer()
