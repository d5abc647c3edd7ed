"""`bidwitness witness` and `bidwitness timestamp` as others run them: processes that answer HTTP."""

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
from support.log_forks import ORIGIN, Forks
from typer.testing import CliRunner

from bidwitness.clock import SystemClock
from bidwitness.errors import ConfigError, InvalidInput
from bidwitness.storage.evidence.note import read_checkpoint, read_key, read_note
from bidwitness.storage.evidence.policy import read_policy
from bidwitness.storage.ledger.asking import Asked, Asker, Cosigned, Failed, Refused, Stale
from bidwitness.storage.ledger.authority import Authority
from bidwitness.storage.timestamp.commands import app as timestamp
from bidwitness.storage.witness.commands import app as witness
from bidwitness.storage.witness.protocol import MAX_REQUEST, PATH, SIZE_TYPE, origin_hash


def said(data: Path, *words: str) -> str:
    """Run a command in this process. Raises what it raises."""
    app = {"witness": witness, "timestamp": timestamp}[words[0]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIDWITNESS_DATA", str(data))
        done = CliRunner().invoke(app, words[1:])
    if done.exception is not None:
        raise done.exception
    return done.stdout.strip()


@contextmanager
def running(data: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a service on a free port; give its address."""
    command = [sys.executable, "-m", "bidwitness", *words, "--port", "0"]
    environment = {**os.environ, "BIDWITNESS_DATA": str(data)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"port (\d+)$", line.strip())
        assert found, line
        yield f"http://127.0.0.1:{found[1]}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def test_a_witness_over_the_network(tmp_path: Path, forks: Forks) -> None:
    vkey = said(tmp_path, "witness", "new-key", "--name", "w.example")
    assert said(tmp_path, "witness", "key") == vkey
    (tmp_path / "witness/logs").write_text(f"# ours\nlog {forks.signer.key}\n")
    asker = Asker(SystemClock())
    with running(tmp_path, "witness") as (url, process):
        asked = Asked("w", read_key(vkey), url)
        assert isinstance(asker.ask(asked, 0, [], forks.checkpoint(5)), Cosigned)
        assert asker.ask(asked, 0, [], forks.checkpoint(9)) == Stale(5)
        assert isinstance(asker.ask(asked, 5, [], forks.checkpoint(5, fork_at=1)), Refused)
        with httpx.Client(base_url=url, trust_env=False) as client:
            answer = client.post(PATH, content=forks.request(3, 9))
            assert (answer.status_code, answer.text) == (409, "5\n")
            assert answer.headers["content-type"] == SIZE_TYPE
            assert client.post(PATH, content=b"x" * (MAX_REQUEST + 1)).status_code == 413
            assert client.get("/key").text == f"{vkey}\n"
            last = client.get(f"/{origin_hash(ORIGIN)}/checkpoint")
            assert read_checkpoint(read_note(last.content)).size == 5
            for nothing in ("/", f"/{'0' * 64}/checkpoint", "/of/checkpoint", "/openapi.json"):
                assert client.get(nothing).status_code == 404
        process.kill()
        process.wait(20)
    listed = said(tmp_path, "witness", "logs")
    assert f"{ORIGIN}: 5 entries cosigned" in listed
    assert "1 checkpoint(s) that CONTRADICT it" in listed
    # After the kill it is where it was; and it answers an address only so often.
    with running(tmp_path, "witness", "--a-minute", "2") as (url, _):
        asked = Asked("w", read_key(vkey), url)
        assert isinstance(asker.ask(asked, 5, [], forks.checkpoint(5, fork_at=1)), Refused)
        assert asker.ask(asked, 0, [], forks.checkpoint(9)) == Stale(5)
        assert asker.ask(asked, 0, [], forks.checkpoint(9)) == Failed("answers 429")
    assert asker.ask(asked, 0, [], forks.checkpoint(9)) == Failed("does not answer (ConnectError)")


def test_an_authority_over_the_network(tmp_path: Path) -> None:
    line = said(tmp_path, "timestamp", "new-key", "--name", "Stamps of the city")
    assert said(tmp_path, "timestamp", "certificate") == line
    with running(tmp_path, "timestamp", "--any-clock") as (url, _):
        words = line.replace("NAME", "city").replace("URL", url)
        policy = read_policy(f"{words}\nquorum none\n".encode())
        before = SystemClock().utc_us()
        authority = Authority(SystemClock())
        _, token = authority.stamp(policy.urls["city"], b"message", policy.timestamps["city"])
        assert abs(token.at - before) < 10_000_000
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.post("/", content=b"x").status_code == 415
            refused = client.post(
                "/", content=b"x", headers={"Content-Type": "application/timestamp-query"}
            )
            assert refused.headers["content-type"] == "application/timestamp-reply"
            assert b"no time-stamp query" in refused.content


@pytest.mark.parametrize("kind", ["witness", "timestamp"])
def test_without_a_key_it_says_what_helps(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        said(tmp_path, kind)
    said(tmp_path, kind, "new-key", "--name", "once")
    with pytest.raises(ConfigError, match="already"):
        said(tmp_path, kind, "new-key", "--name", "twice")
    with pytest.raises(InvalidInput):
        said(tmp_path / "other", kind, "new-key", "--name", {"witness": "a b"}.get(kind, "x" * 65))
