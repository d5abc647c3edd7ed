"""``bidwitness timestamp``: a time-stamping authority of one's own, for a closed network."""

import base64
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import InvalidInput
from bidwitness.storage.spool.files import SystemFiles

app = typer.Typer()

Folder = Annotated[
    Path | None,
    typer.Option(help="Key, certificate and last number; DATA/timestamp if it is not given."),
]
MAX_NAME = 64


def folder_of(settings: Settings, folder: Path | None) -> Path:
    """Give the folder of an authority."""
    return folder.absolute() if folder is not None else settings.data / "timestamp"


@app.callback(invoke_without_command=True)
def run(
    ctx: typer.Context,
    folder: Folder = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8476,
    a_minute: Annotated[
        int, typer.Option(min=1, help="Requests a minute that an address may send.")
    ] = 300,
    any_clock: Annotated[
        bool,
        typer.Option("--any-clock", help="Stamp even if nothing keeps this machine's clock right."),
    ] = False,
) -> None:
    """Give time stamps (RFC 3161) to who asks, by the clock of this machine."""
    if ctx.invoked_subcommand is not None:
        return
    # Here: the other commands start faster without them.
    from bidwitness.storage.timestamp.authority import TimeAuthority, clock_is_synchronised
    from bidwitness.storage.timestamp.service import create_app
    from bidwitness.storage.witness.serving import listen, run_service

    settings, clock = load_settings(), SystemClock()
    sound = (lambda: True) if any_clock else clock_is_synchronised
    authority = TimeAuthority(folder_of(settings, folder), clock, SystemFiles(), sound)
    authority.open()
    try:
        listener = listen(host, port)
        typer.echo(f"Time stamps are given on port {listener.getsockname()[1]}")
        cert, key = settings.tls_cert, settings.tls_key
        run_service(create_app(authority, clock, a_minute), listener, cert, key)
    finally:
        authority.close()


@app.command("new-key")
def new_key(
    name: Annotated[str, typer.Option(help="The authority's name, in its certificate.")],
    years: Annotated[int, typer.Option(min=1, max=50, help="How long it is valid.")] = 20,
    folder: Folder = None,
) -> None:
    """Make key and certificate, and print the line for the sites' BIDWITNESS_WITNESSES."""
    from bidwitness.storage.timestamp.authority import make_authority

    if not 0 < len(name) <= MAX_NAME:
        raise InvalidInput(f"The name has 1 to {MAX_NAME} characters.")
    where = folder_of(load_settings(), folder)
    seal = make_authority(where, name, years, SystemClock(), SystemFiles())
    typer.echo(_line(seal.der))


@app.command("certificate")
def show_certificate(folder: Folder = None) -> None:
    """Print the line for the sites' BIDWITNESS_WITNESSES again."""
    from bidwitness.storage.timestamp.authority import read_seal

    typer.echo(_line(read_seal(folder_of(load_settings(), folder)).der))


def _line(certificate: bytes) -> str:
    return f"timestamp NAME {base64.b64encode(certificate).decode()} URL"
