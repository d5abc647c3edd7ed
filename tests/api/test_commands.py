"""``bidwitness api`` and ``bidwitness user`` as processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.database import free_port

from bidwitness.api.binding import check_binding, check_certificate, listen
from bidwitness.config import load_settings
from bidwitness.errors import ConfigError

TOLD = re.compile(r"user admin, password (\S+)")


def environment(data: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BIDWITNESS_")}
    return {**kept, "BIDWITNESS_DATA": str(data), **more}


def bidwitness(
    data: Path, *words: str, text: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bidwitness", *words],
        env=environment(data, **more),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(data: Path) -> Iterator[tuple[str, str | None]]:
    """Run ``bidwitness api`` on a free port; give its address and the password it told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bidwitness", "api", "--port", "0"],
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = None
        for line in process.stdout:
            found = TOLD.search(line)
            told = found[1] if found else told
            if "listens at" in line:
                yield line.split()[-1], told
                break
        else:
            raise AssertionError(process.communicate()[1])
    finally:
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1]
    assert process.returncode in (0, -signal.SIGTERM), errors
    assert told is None or told not in errors


def test_the_first_administrator_is_told_once_and_can_begin(tmp_path: Path) -> None:
    with running(tmp_path) as (base, password):
        assert password is not None
        with httpx.Client(base_url=base, headers={"Origin": base}, trust_env=False) as client:
            body = {"username": "admin", "password": password}
            assert client.post("/api/v1/auth/login", json=body).json()["must_change_password"]
            new = {"old": password, "new": "Correct-horse-9"}
            assert client.post("/api/v1/auth/password", json=new).status_code == 204
            body = {"name": "r", "kind": "duty"}
            assert client.post("/api/v1/rooms", json=body).status_code == 201
    with running(tmp_path) as (base, password):
        assert password is None


def test_users_are_added_by_command(tmp_path: Path) -> None:
    done = bidwitness(tmp_path, "user", "add", "eve", "--role", "supervisor")
    assert done.returncode == 0 and re.fullmatch(r"eve: \S{23}\n", done.stdout), done.stderr
    kept = ("user", "add", "li", "--role", "auditor", "--password-stdin", "--keep")
    assert bidwitness(tmp_path, *kept, text="Correct-horse-9\n").returncode == 0
    taken = bidwitness(tmp_path, *kept, text="Correct-horse-9\n")
    assert taken.returncode == 75 and "already" in taken.stderr
    weak = bidwitness(
        tmp_path, "user", "add", "x1", "--role", "auditor", "--password-stdin", text="a"
    )
    assert weak.returncode == 64 and "12" in weak.stderr
    first = bidwitness(tmp_path, "user", "first")
    assert (first.returncode, first.stdout) == (0, "")
    reset = bidwitness(tmp_path, "user", "password", "li")
    assert reset.returncode == 0 and reset.stdout.startswith("li: ")
    locked_out = bidwitness(tmp_path, "user", "password", "li", "--drop-factors")
    assert locked_out.returncode == 0 and locked_out.stdout.startswith("li: ")


def test_what_it_refuses_to_listen_on_is_one_clear_message(tmp_path: Path) -> None:
    open_ = bidwitness(tmp_path, "api", "--host", "0.0.0.0")
    assert open_.returncode == 78 and "--behind-proxy" in open_.stderr
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        done = bidwitness(tmp_path, "api", "--port", port)
    assert done.returncode == 78 and f"Port {port}" in done.stderr and "--port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_index_that_is_none_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"no database at all" * 300)
    done = bidwitness(tmp_path, "api", "--port", "0")
    assert done.returncode == 69 and "index" in done.stderr
    away = f"postgresql+psycopg://nobody:s3cret@127.0.0.1:{free_port()}/x"
    done = bidwitness(tmp_path, "api", "--port", "0", BIDWITNESS_DATABASE=away)
    assert done.returncode == 69 and "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("given", "fine"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "192.0.2.1"}, False),
        ({"host": "0.0.0.0", "behind_proxy": True}, True),
        ({"tls_cert": "cert.pem"}, False),
        ({"tls_cert": "gone.pem", "tls_key": "gone.pem"}, False),
    ],
)
def test_the_rule_of_listening(tmp_path: Path, given: dict[str, object], fine: bool) -> None:
    settings = load_settings(data=tmp_path, **given)
    if fine:
        check_binding(settings)
    else:
        with pytest.raises(ConfigError, match="BIDWITNESS_"):
            check_binding(settings)


def test_a_certificate_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    files = {"tls_cert": tmp_path / "c.pem", "tls_key": tmp_path / "c.pem"}
    with pytest.raises(ConfigError, match="cannot be used"):
        check_certificate(load_settings(data=tmp_path, **files))


@pytest.mark.parametrize("host", ["203.0.113.1", "no host"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(ConfigError, match=host):
        listen(host, 0)
