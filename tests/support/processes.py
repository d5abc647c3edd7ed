"""Our own commands as processes, stopped by their id."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Command:
    """A running command; what it said is in ``log``."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def terminate(self, seconds: float = 20) -> int:
        """Ask it to end, as a service manager would; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9 of the process and of those it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_command(
    *arguments: str, environment: Mapping[str, str], log: Path, module: str = "bidwitness"
) -> Iterator[Command]:
    """Run ``python -m bidwitness …`` with these settings on top of ours; kill it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    command = Command(process, log)
    try:
        yield command
    finally:
        if process.poll() is None:
            command.kill()
