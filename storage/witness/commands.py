"""``bidwitness witness``: run by another organisation than the one whose logs it cosigns."""

from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.storage.evidence.note import COSIGNATURE
from bidwitness.storage.ledger.keys import read_signer
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.witness.memory import Memory
from bidwitness.storage.witness.witness import (
    KEY_FILE,
    MEMORY,
    NO_KEY,
    Witness,
    make_witness,
)

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
    from bidwitness.storage.witness.service import create_app
    from bidwitness.storage.witness.serving import listen, run_service

    settings, clock = load_settings(), SystemClock()
    witness = Witness(folder_of(settings, folder), clock, SystemFiles())
    witness.open()
    try:
        listener = listen(host, port)
        typer.echo(f"The witness {witness.key} listens on port {listener.getsockname()[1]}")
        cert, key = settings.tls_cert, settings.tls_key
        run_service(create_app(witness, clock, a_minute), listener, cert, key)
    finally:
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
    typer.echo(read_signer(folder_of(load_settings(), folder) / KEY_FILE, COSIGNATURE, NO_KEY).key)


@app.command("logs")
def show_logs(folder: Folder = None) -> None:
    """Print each log of the list, and how far it was cosigned."""
    where = folder_of(load_settings(), folder)
    key = read_signer(where / KEY_FILE, COSIGNATURE, NO_KEY).key
    memory = Memory(where / MEMORY, key, SystemFiles())
    for origin, log in sorted(Witness(where, SystemClock(), SystemFiles()).logs().items()):
        held = memory.held(origin)
        typer.echo(f"{origin}: {held[0].size if held else 0} entries cosigned, key {log}")
        if found := memory.conflicts(origin):
            typer.echo(f"{origin}: signed {len(found)} checkpoint(s) that CONTRADICT it")


@app.command("countersign")
def countersign(
    file: Annotated[Path, typer.Argument(help="A site's published trust material.")],
    digest: Annotated[
        str,
        typer.Option(help="The digest on the paper that was read; without it nothing is signed."),
    ] = "",
    reader: Annotated[str, typer.Option(help="Who of this organisation has read it.")] = "",
    centre: Annotated[
        str | None,
        typer.Option(help="The centre's key or fingerprint, told by another way; the first time."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to send back; else it is printed.")
    ] = None,
    folder: Folder = None,
) -> None:
    """Countersign a version of a site's trust material that a person has read."""
    from bidwitness.storage.witness.countersigning import Countersigner

    where = folder_of(load_settings(), folder)
    signer, data = Countersigner(where, SystemClock(), SystemFiles()), file.read_bytes()
    reading = signer.read(data, centre)
    material = reading.material
    typer.echo(f"{material.site} version {material.version}, {material.day}", err=True)
    for change in reading.changes:
        typer.echo(change.line(), err=True)
    if not digest:
        typer.echo("Read it on paper, then give its digest and who has read it.", err=True)
        raise typer.Exit(64)
    signed = signer.countersign(data, digest, reader, centre)
    if out is None:
        typer.echo(signed, nl=False)
    else:
        out.write_bytes(signed)
