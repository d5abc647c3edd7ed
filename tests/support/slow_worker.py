"""`bidwitness work` that also knows a job which waits for a file: run by tests as a module."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from bidwitness.retention.commands import app
from bidwitness.storage.jobs import JobRun, job_kind


@job_kind("wait")
def wait(run: JobRun) -> Mapping[str, object]:
    """Say who runs it, then wait for ``go`` in its folder."""
    folder = Path(str(run.payload["folder"]))
    (folder / f"pid-{os.getpid()}").touch()
    while not (folder / "go").exists():
        run.check()
        time.sleep(0.05)
    return {"pid": os.getpid()}


if __name__ == "__main__":
    app(["work"])
