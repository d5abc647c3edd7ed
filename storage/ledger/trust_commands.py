"""``bidwitness trust`` and its commands: what the site hands out, apart from any package."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.ledger.commands import trust

app = typer.Typer()

File = Annotated[Path, typer.Argument(help="A file of published trust material.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; else it is printed.")]
Version = Annotated[int | None, typer.Option(min=1, help="Which version; else the newest.")]


@app.callback(invoke_without_command=True)
def run(
    ctx: typer.Context,
    out: Out = None,
    next_year: Annotated[
        bool,
        typer.Option("--next-year", help="With the key of the coming year's log, made now."),
    ] = False,
) -> None:
    """Write the trust material of this site as it is now; `publish` makes a version of it."""
    if ctx.invoked_subcommand is None:
        trust(out, next_year)


@app.command("publish")
def publish(
    reason: Annotated[
        str, typer.Option(help="Why something is trusted no more; it stands there for ever.")
    ] = "",
    retire: Annotated[
        list[str] | None,
        typer.Option(help="Trust no more what has this fingerprint; may be repeated."),
    ] = None,
    out: Out = None,
) -> None:
    """Sign what is trusted now as a new version, if anything has changed since the last one."""
    from bidwitness.storage.index.audit import Who
    from bidwitness.storage.index.database import open_index
    from bidwitness.storage.ledger.publishing import Publisher, published_bytes
    from bidwitness.storage.spool.files import SystemFiles

    settings = load_settings()
    database = open_index(settings)
    try:
        publisher = Publisher(database, settings, SystemClock(), SystemFiles())
        made = publisher.publish(Who(getpass.getuser()), reason=reason, retire=retire or ())
    finally:
        database.close()
    typer.echo(
        f"Trust material of {made.site}, version {made.version}, {made.day}, "
        f"SHA-256 {made.digest}, key {made.centre}",
        err=True,
    )
    _write(out, published_bytes(settings, made.version))


@app.command("show")
def show(version: Version = None, out: Out = None) -> None:
    """Write a published version with the countersignatures that it has by now."""
    from bidwitness.storage.ledger.publishing import published_bytes

    settings = load_settings()
    _write(out, published_bytes(settings, _which(version)))


@app.command("page")
def page(version: Version = None, out: Out = None) -> None:
    """Write a published version as a page to print, sign, and hand out (HTML, Chinese first)."""
    from bidwitness.storage.ledger.publishing import published
    from bidwitness.storage.ledger.trust_page import trust_page

    settings = load_settings()
    _write(out, trust_page(published(settings, _which(version))).encode())


@app.command("add")
def add(file: File) -> None:
    """Take in the countersignature of a file that a witness has sent back."""
    from bidwitness.storage.index.audit import Who
    from bidwitness.storage.index.database import open_index
    from bidwitness.storage.ledger.publishing import Publisher
    from bidwitness.storage.spool.files import SystemFiles

    settings = load_settings()
    database = open_index(settings)
    try:
        publisher = Publisher(database, settings, SystemClock(), SystemFiles())
        made, fresh = publisher.add(Who(getpass.getuser()), file.read_bytes())
    finally:
        database.close()
    missing = sorted(set(made.policy.witnesses) - set(made.countersigned))
    typer.echo(
        f"Version {made.version}: new {', '.join(fresh) or 'none'}; "
        f"still missing {', '.join(missing) or 'none'}"
    )


@app.command("check")
def check(
    file: File,
    before: Annotated[
        Path | None, typer.Option(help="An earlier version, that this one must go on from.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The key, or its fingerprint, that must have signed it.")
    ] = None,
) -> None:
    """Check published trust material by itself, needing nothing of the site: exit 0 or 65."""
    from bidwitness.storage.evidence.material import check_extends, read_material
    from bidwitness.storage.evidence.policy import BadPolicy

    try:
        material = read_material(file.read_bytes())
        if key is not None and not material.is_vouched_by(key):
            raise BadPolicy("the trust material is not signed by the key that was given")
        if before is not None:
            check_extends(read_material(before.read_bytes()), material)
    except BadPolicy as error:
        raise DamageFound(f"{file.name}: {error}.") from None
    signed = ", ".join(sorted(material.countersigned)) or "nobody"
    typer.echo(
        f"{material.site} version {material.version} of {material.day}, SHA-256 {material.digest}, "
        f"countersigned by {signed}"
    )


def _which(version: int | None) -> int:
    from bidwitness.storage.ledger.publishing import newest

    if version is not None:
        return version
    last = newest(load_settings())
    if last is None:
        raise NotFound("No version was published yet: `bidwitness trust publish`.")
    return last.version


def _write(out: Path | None, data: bytes) -> None:
    if out is None:
        typer.echo(data, nl=False)
    else:
        out.write_bytes(data)
