"""The command ends with one line for people and the exit code of the error."""

import os
import subprocess
import sys

import pytest

from bidwitness.cli import ALONE


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bidwitness", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_folders_commands() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for command in ("serve", "demo", "record", "live", "keep", "api", "simulate", "verify", "work"):
        assert f" {command} " in shown.stdout, command


@pytest.mark.parametrize("command", ["api", "serve", "keep"])
def test_a_wrong_setting_ends_in_one_line_and_78(command: str) -> None:
    done = run(command, BIDWITNESS_PORT="99999")
    assert done.returncode == 78
    assert "BIDWITNESS_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_verify_needs_no_setting() -> None:
    done = run("verify", "no-such-package", BIDWITNESS_PORT="99999", BIDWITNESS_CONFIG="none")
    assert done.returncode == 2
    assert "no-such-package" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", ALONE)
def test_a_command_that_stands_alone_loads_what_it_needs(command: str) -> None:
    script = (
        "import sys; from bidwitness.cli import main\n"
        f"sys.argv = ['bidwitness', '{command}', 'no-such-package']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'sqlalchemy', 'av', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
    # And it is the command that the others would find it beside.
    assert run(command, "--help").returncode == run("--help").returncode == 0
