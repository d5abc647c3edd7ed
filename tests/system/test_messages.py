"""What goes wrong at a start ends in one clear line and the right exit code, never in a trace."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bidwitness", *words],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Give the one line of the error."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


@pytest.mark.parametrize(
    ("command", "setting"), [("api", "BIDWITNESS_PORT"), ("live", "BIDWITNESS_LIVE_PORT")]
)
def test_a_port_that_is_taken(command: str, setting: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = run(command, BIDWITNESS_DATA=str(tmp_path / "data"), **{setting: port})
    assert done.returncode == 78
    assert port in one_line(done)
    assert setting in one_line(done)


@pytest.mark.parametrize("command", ["api", "record", "keep", "work", "beat"])
def test_a_data_folder_that_cannot_be_made(command: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run(command, BIDWITNESS_DATA=str(file / "data"))
    assert done.returncode == 78
    assert str(file) in one_line(done)


@pytest.mark.parametrize(
    "words", [("api",), ("check", "index"), ("user", "add", "someone", "--role", "auditor")]
)
def test_an_index_that_is_none(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(os.urandom(20_000))
    done = run(*words, BIDWITNESS_DATA=str(tmp_path))
    assert done.returncode == 69
    assert "bidwitness rebuild" in one_line(done)
    # Nothing was made of it: the file can still be examined.
    assert (tmp_path / "index.db").stat().st_size == 20_000


def test_beyond_loopback_only_with_tls_or_behind_a_proxy(tmp_path: Path) -> None:
    done = run("api", BIDWITNESS_DATA=str(tmp_path), BIDWITNESS_HOST="0.0.0.0")
    assert done.returncode == 78
    assert "TLS" in one_line(done)


def test_a_package_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "package.zip"
    file.write_bytes(b"PK\x03\x04 and then nothing")
    assert run("verify", str(file)).returncode == 2
    assert run("verify", str(tmp_path / "nowhere.zip")).returncode == 2
