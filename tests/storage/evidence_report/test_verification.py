"""The report for people about a verification: what stands in it, whatever was found."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.evidence_session import make_package, make_session, make_stream
from support.paper import words_of

from bidwitness.intervals import Interval
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.report import Report, StreamReport
from bidwitness.storage.evidence.tracks import DIFFERS, REBUILT, TrackReport
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.evidence_report.verification import (
    MOST_PROBLEMS,
    Circumstances,
    Policy,
    make_verification_report,
    proved,
)

AT = 1_790_000_000_000_000
HOW = Circumstances(
    "王校验",
    AT,
    AT + 65_000_000,
    "BidWitness 1",
    "cd" * 32,
    Policy("trust.policy", "ab" * 32),
    recordings=True,
)


def test_it_says_what_was_found_by_whom_and_with_what(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams), keep={2: set()})
    report = verify_package(tmp_path / "bag")
    said = words_of(make_verification_report(report, HOW), tmp_path)
    manifest = (tmp_path / "bag/tagmanifest-sha256.txt").read_bytes()
    for words in (
        "证据包校验报告",
        "自洽但未获证明",
        hashlib.sha256(manifest).hexdigest(),
        "notrustmaterialfromoutsidewasgiven",
        "朝阳市公共资源交易中心",
        "王校验",
        "校验人签名",
        "trust.policy",
        "ab" * 32,
        "cd" * 32,
        "BidWitness1",
        "未披露withheld",
        "offline",
        "86.66%",
        "摆拍",
        "2026年9月21日",
    ):
        assert words in said, words
    assert make_verification_report(report, HOW) == make_verification_report(report, HOW)


def test_what_is_wrong_stands_in_it_with_its_track(tmp_path: Path) -> None:
    track = TrackReport("sound", "flac", "pcm_alaw", 7, DIFFERS, 175, 174, 1)
    picture = TrackReport("picture", "avc1.64001f", None, 7, "as_received")
    stream = StreamReport("cam-a", [Interval(0, 10)], tracks=[picture, track])
    where = "data/media/cam-a/20231115-000001-20231115T000000.000Z.mp4 sound"
    problems = [Problem("inconsistent", where, "not \x1b[31m what was received")] * (
        MOST_PROBLEMS + 1
    )
    report = Report("p.zip", exit_code=1, streams=[stream], problems=problems)
    said = words_of(make_verification_report(report, HOW), tmp_path)
    assert "不真实" in said
    assert "174/175段一致" in said
    assert f"共{MOST_PROBLEMS + 1}处" in said.replace(",", "")
    assert "不能作为真实的整体采信" in said


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_nothing_more_is_claimed_than_was_found(tmp_path: Path, code: int) -> None:
    track = TrackReport("sound", "flac", "pcm_alaw", 7, REBUILT, 175, 175)
    stream = StreamReport("cam-a", [Interval(0, 10)], tracks=[track])
    report = Report("p.zip", exit_code=code, streams=[stream])
    said = " ".join(english for _, english in proved(report, HOW))
    assert ("Every byte" in said) == (code in (0, 3))
    assert ("byte for byte" in said) == (code in (0, 3))
    assert ("are in the log" in said) == (code == 0)
    shallow = Circumstances("", AT, AT, "x", "cd" * 32, None, recordings=False)
    assert "Every byte" not in str(proved(report, shallow))
    assert "未提供" in words_of(make_verification_report(report, shallow), tmp_path)


def test_the_command_writes_it(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "p.zip", streams, make_session(streams))
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/verify.py"))
        checks = hashlib.sha256(archive.read(name)).hexdigest()
    policy = tmp_path / "site.policy"
    policy.write_text("quorum none\n")
    command = [sys.executable, "-m", "bidwitness", "verify", str(tmp_path / "p.zip"),
               "--policy", str(policy), "--operator", "Li", "--report"]  # fmt: skip
    told = subprocess.run(
        [*command, str(tmp_path / "r.pdf")], capture_output=True, timeout=120, check=False
    )
    assert (told.returncode, told.stderr) == (3, b"")
    said = words_of((tmp_path / "r.pdf").read_bytes(), tmp_path)
    assert hashlib.sha256(policy.read_bytes()).hexdigest() in said
    assert checks in said
    told = subprocess.run(
        [*command, str(tmp_path / "no/r.pdf")], capture_output=True, timeout=120, check=False
    )
    assert told.returncode == 2
    assert b"cannot be written" in told.stderr
