"""Runs a simulator until a signal, or until whoever started it is gone."""

import asyncio
import json
import signal
import sys

import typer

from bidwitness.simulator.server import Simulator


class _UntilClosed(asyncio.Protocol):
    """Notices that whoever started this process is gone, however that one ended."""

    def __init__(self, stopped: asyncio.Event) -> None:
        self._stopped = stopped

    def connection_lost(self, exc: Exception | None) -> None:
        self._stopped.set()


async def run_until_stopped(simulator: Simulator, *, while_stdin: bool) -> None:
    """Serve; print one line of JSON when ready. ``while_stdin``: end when standard input closes."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    if while_stdin:
        await loop.connect_read_pipe(lambda: _UntilClosed(stopped), sys.stdin)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    starting = asyncio.create_task(simulator.start())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    await starting
    typer.echo(json.dumps(simulator.status(), ensure_ascii=False))
    await stopping
    await simulator.stop()
