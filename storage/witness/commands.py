"""``bidwitness witness``: run by another organisation than the one whose logs it cosigns."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import ConfigError
from bidwitness.storage.evidence.note import COSIGNATURE
from bidwitness.storage.ledger.keys import read_signer
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.witness.memory import Memory
from bidwitness.storage.witness.witness import KEY_FILE, MEMORY, Witness, make_witness

app = typer.Typer()

Folder = Annotated[
    Path | None,
    typer.Option(help="Key, list of logs and memory; DATA/witness if it is not given."),
]


def folder_of(settings: Settings, folder: Path | None) -> Path:
    """Give the folder of a witness."""
    return folder.absolute() if folder is not None else settings.data / "witness"


@app.callback(invoke_without_command=True)
def run(
    ctx: typer.Context,
    folder: Folder = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8475,
    a_minute: Annotated[
        int, typer.Option(min=1, help="Requests a minute that an address may send.")
    ] = 300,
) -> None:
    """Cosign the checkpoints of other organisations' logs, as long as they only ever grow."""
    if ctx.invoked_subcommand is not None:
        return
    # Here: the other commands start faster without them.
    import uvicorn

    from bidwitness.storage.witness.service import create_app, server_config

    settings, clock = load_settings(), SystemClock()
    witness = Witness(folder_of(settings, folder), clock, SystemFiles())
    witness.open()
    listener = listen(host, port)
    try:
        cert, key = (str(p) if p else None for p in (settings.tls_cert, settings.tls_key))
        server = uvicorn.Server(
            server_config(create_app(witness, clock, a_minute=a_minute), cert, key)
        )
        typer.echo(f"The witness {witness.key} listens on port {listener.getsockname()[1]}")
        server.run(sockets=[listener])
    finally:
        listener.close()
        witness.close()


@app.command("new-key")
def new_key(
    name: Annotated[str, typer.Option(help="A name no other witness has, like your own domain.")],
    folder: Folder = None,
) -> None:
    """Make the key of a new witness and print its public half, for the sites it is to cosign."""
    typer.echo(make_witness(folder_of(load_settings(), folder), name, SystemFiles()))


@app.command("key")
def show_key(folder: Folder = None) -> None:
    """Print the public key of the witness."""
    typer.echo(read_signer(folder_of(load_settings(), folder) / KEY_FILE, COSIGNATURE).key)


@app.command("logs")
def show_logs(folder: Folder = None) -> None:
    """Print each log of the list, and how far it was cosigned."""
    where = folder_of(load_settings(), folder)
    key = read_signer(where / KEY_FILE, COSIGNATURE).key
    memory = Memory(where / MEMORY, key, SystemFiles())
    for origin, log in sorted(Witness(where, SystemClock(), SystemFiles()).logs().items()):
        held = memory.held(origin)
        typer.echo(f"{origin}: {held[0].size if held else 0} entries cosigned, key {log}")
        if found := memory.conflicts(origin):
            typer.echo(f"{origin}: signed {len(found)} checkpoint(s) that CONTRADICT it")


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one. Raises ``ConfigError``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on: {error.strerror}.") from None
    return listener
