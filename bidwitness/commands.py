"""The commands of the kernel, and those of every folder gathered beside them."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bidwitness import __version__, log
from bidwitness.config import load_settings

GROUP = "bidwitness.commands"

app = typer.Typer(
    name="bidwitness",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _root() -> None:
    """Records, keeps and replays the rooms of a public-resource-trading centre, by session."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def serve() -> None:
    """Run everything of one machine: api, record, live, keep, work, beat."""
    from bidwitness.serve import serve as run

    run(load_settings())


@app.command()
def demo(
    seconds: Annotated[
        int | None, typer.Option(min=5, help="Run unattended: record so long, prove it, end.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("demo-data"),
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="8470; unattended, a free one.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the session's package there, as a zip.")
    ] = None,
) -> None:
    """Show everything with virtual cameras: two rooms, five cameras, one session."""
    from bidwitness.demo.run import run_demo

    console = Console()
    if not run_demo(seconds=seconds, data=data, port=port, export=export, console=console):
        raise typer.Exit(1)


def _gather() -> None:
    """Add the commands of every folder: each offers a typer app by entry point."""
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        app.registered_commands.extend(point.load().registered_commands)
        app.registered_groups.extend(point.load().registered_groups)


def run_command() -> None:
    """Run the command that was asked for. Raises ``ConfigError`` if a setting is wrong."""
    log.configure(load_settings().log_level)
    _gather()
    app()
