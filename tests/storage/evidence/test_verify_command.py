"""``bidwitness verify``: exit codes and output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.evidence_session import make_package, make_session, make_stream


def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bidwitness", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    streams = [make_stream("cam-a")]
    path = tmp_path_factory.mktemp("packages") / "p.zip"
    return make_package(path, streams, make_session(streams)).path


def test_a_consistent_package_is_unproven(package: Path, tmp_path: Path) -> None:
    told = verify(str(package))
    assert (told.returncode, told.stderr) == (3, "")
    assert "自洽但未获证明" in told.stdout
    policy = tmp_path / "policy"
    policy.write_text("quorum none\n")
    told = verify(str(package), "--policy", str(policy), "--json")
    # The package carries nothing of a log that the policy could speak of.
    assert told.returncode == 3
    report = json.loads(told.stdout)
    assert (report["verdict"], report["problems"], report["session"]) == (
        "unproven",
        [],
        "session-1",
    )


def test_a_policy_that_cannot_be_read(package: Path, tmp_path: Path) -> None:
    assert verify(str(package), "--policy", str(tmp_path / "none")).returncode == 2
    (tmp_path / "bad").write_text("log example.org\nquorum none\n")
    told = verify(str(package), "--policy", str(tmp_path / "bad"))
    assert told.returncode == 2
    assert "line 1 of the policy" in told.stdout


def test_false_and_unreadable(package: Path, tmp_path: Path) -> None:
    data = bytearray(package.read_bytes())
    place = data.find(b"mdat") + 50
    data[place] ^= 1
    forged = tmp_path / "forged.zip"
    forged.write_bytes(data)
    told = verify(str(forged))
    assert told.returncode == 1
    assert "不真实" in told.stdout
    forged.write_bytes(package.read_bytes()[:-100])
    assert verify(str(forged)).returncode == 2


def test_the_structure_alone_says_what_it_did_not_read(package: Path, tmp_path: Path) -> None:
    data = bytearray(package.read_bytes())
    data[data.find(b"mdat") + 50] ^= 1
    forged = tmp_path / "forged.zip"
    forged.write_bytes(data)
    told = verify(str(forged), "--structure", "--json")
    assert told.returncode == 3
    assert "the bytes of the recordings" in " ".join(json.loads(told.stdout)["not_checked"])
    assert verify(str(forged)).returncode == 1
    # A change of a record is seen without reading a recording.
    data = bytearray(package.read_bytes())
    data[data.find(b'"run_seq":') + 10] ^= 1
    forged.write_bytes(data)
    assert verify(str(forged), "--structure").returncode == 1
