"""The player's own unit tests, written beside it in TypeScript."""

import shutil
import subprocess
from pathlib import Path

from support.needs import absent

WEB = Path(__file__).parents[2] / "web"


def test_the_players_unit_tests_pass() -> None:
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules").is_dir():
        absent("The pages' tools (make web)")
        return
    done = subprocess.run(
        [npm, "run", "--silent", "test"],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
