"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings

app = typer.Typer()


@app.command()
def clip(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("clips"),
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written.")] = False,
) -> None:
    """Write one playable file for each camera of a session; times begin at 0."""
    from bidwitness.player.session_clips import write_session_clips
    from bidwitness.storage.footage import open_footage
    from bidwitness.storage.index.audit import Who
    from bidwitness.storage.index.database import open_index

    settings, clock = load_settings(), SystemClock()
    database = open_index(settings)
    try:
        clips = write_session_clips(
            database, clock, open_footage(settings, clock), Who("command line"), session, out
        )
    finally:
        database.close()
    found = [
        {
            "camera": item.camera,
            "room": item.room,
            "path": str(item.report.path),
            "frames": item.report.frames,
            "seconds": item.report.seconds,
            "gaps": item.report.gaps,
            "bytes": item.report.bytes,
            "sha256": item.report.sha256,
        }
        for item in clips
    ]
    if as_json:
        typer.echo(json.dumps({"cameras": found}, ensure_ascii=False))
        return
    for line in found:
        typer.echo(f"{line['path']}: {line['frames']} pictures, {line['seconds']:.2f} s")
