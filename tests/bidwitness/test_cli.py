"""The command ends with one line for people and the exit code of the error."""

import os
import subprocess
import sys

import pytest


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
