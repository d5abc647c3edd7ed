"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.config import load_settings
from bidwitness.simulator.spec import CameraSpec, Codec, Sound, read_specs, spec_from

app = typer.Typer()


@app.command()
def simulate(
    cameras: Annotated[int, typer.Option(min=1, max=500, help="How many cameras.")] = 5,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="RTSP port; 0 takes a free one.")] = 8554,
    status_port: Annotated[int, typer.Option(help="HTTP port of status and faults.")] = 0,
    discovery: Annotated[bool, typer.Option(help="Answer WS-Discovery probes.")] = False,
    user: Annotated[str, typer.Option(help="User that cameras ask for; empty: none.")] = "",
    password: Annotated[str, typer.Option(help="Password of that user.")] = "",
    cache: Annotated[Path | None, typer.Option(help="Folder of encoded loops.")] = None,
    codec: Annotated[Codec, typer.Option(help="Picture.")] = Codec.H264,
    sound: Annotated[Sound, typer.Option(help="Sound.")] = Sound.ALAW,
    gop: Annotated[int, typer.Option(help="Seconds between key frames.")] = 1,
    spec: Annotated[Path | None, typer.Option(help="JSON list of cameras.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM with certificate and key: speak TLS (rtsps).")
    ] = None,
    while_stdin: Annotated[bool, typer.Option(help="End when standard input closes.")] = False,
) -> None:
    """Serve virtual cameras over RTSP until stopped; prints one line of JSON when ready."""
    # Media libraries are loaded by the commands that use them: every process reads this file.
    from bidwitness.simulator.discovery import PORT
    from bidwitness.simulator.running import run_until_stopped
    from bidwitness.simulator.server import Addresses, Simulator

    common = {"user": user, "password": password, "codec": codec, "sound": sound}
    defaults = spec_from({**common, "gop_seconds": gop}, CameraSpec("cam-0"))
    if spec:
        specs = read_specs(spec, defaults)
    else:
        specs = [spec_from({"name": f"cam-{i}"}, defaults) for i in range(1, cameras + 1)]
    folder = cache or load_settings().loops_folder
    addresses = Addresses(host, port, status_port, PORT if discovery else None, certificate)
    simulator = Simulator(specs, folder, addresses)
    asyncio.run(run_until_stopped(simulator, while_stdin=while_stdin))


@app.command("frame-numbers")
def print_frame_numbers(file: Path) -> None:
    """Print as JSON which frames of a virtual camera a recorded file holds."""
    from bidwitness.simulator.frame_numbers import frame_numbers

    typer.echo(json.dumps(dataclasses.asdict(frame_numbers(file))))
