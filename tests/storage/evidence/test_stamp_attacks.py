"""Attacks on the time stamps of a package, and what they show of times that were made up."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import remanifest
from support.authorities import opened_authority, policy_line, stamped
from support.clock import FakeClock
from support.evidence_log import FOLDER, ORIGIN, SHARD
from support.evidence_session import CLAIM
from support.log_scene import Scene, told

from bidwitness.storage.evidence.merkle import consistency_ranges
from bidwitness.storage.evidence.note import Checkpoint
from bidwitness.storage.evidence.policy import read_policy
from bidwitness.storage.evidence.report import Report, report_text
from bidwitness.storage.evidence.stamps import CONSISTENCY, ConsistencyFacts
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.ledger.tokens import check_token
from bidwitness.storage.timestamp.authority import TimeAuthority

SECOND = 1_000_000
HOUR = 3600 * SECOND
CLOSED = CLAIM.end + SECOND
# The two entries that begin the shard, seven of the session, an epoch, and one of another session.
SIZE = 11
STAMP = f"{FOLDER}/stamps/{SIZE:016d}"


@dataclass
class Stamped:
    """A package with stamps, and a policy that trusts their authority."""

    scene: Scene
    authority: TimeAuthority
    clock: FakeClock
    policy: Path
    log: dict[str, bytes]

    def stamp(self, at_us: int, size: int = SIZE) -> dict[str, bytes]:
        """The files of a checkpoint that was stamped at a time."""
        self.clock.set_utc(at_us)
        tiles = Tiles(self.scene.folder / "log" / SHARD, SIZE)
        head = Checkpoint(ORIGIN, size, tiles.range_root(0, size))
        message = self.scene.keys.log.note(head.text())
        folder = f"{FOLDER}/stamps/{size:016d}"
        return {
            f"{folder}/checkpoint": message,
            f"{folder}/tsa.tsr": stamped(self.authority, message),
        }

    def paths(self, *sizes: int) -> dict[str, bytes]:
        """That they are of one history."""
        tiles = Tiles(self.scene.folder / "log" / SHARD, SIZE)
        lines = []
        for size in sizes:
            ranges = consistency_ranges(size, SIZE) if size < SIZE else []
            path = tuple(tiles.range_root(low, high).hex() for low, high in ranges)
            lines.append(ConsistencyFacts(size, path).line() + b"\n")
        return {f"{FOLDER}/{CONSISTENCY}": b"".join(lines)}

    def bag(self, *stamps: dict[str, bytes], sizes: Sequence[int] = (SIZE,)) -> Path:
        files = dict(self.log)
        for more in (*stamps, self.paths(*sizes)):
            files |= more
        return self.scene.bag(files)

    def told(self, bag: Path, standalone: ModuleType) -> Report:
        """With the signatures of tokens checked; without, both verifiers say the same."""
        told(bag, self.policy, standalone)
        return verify_package(bag, self.policy, check_token=check_token)


@pytest.fixture
def here(scene: Scene, tmp_path: Path) -> Stamped:
    clock = FakeClock(CLOSED)
    authority, certificate = opened_authority(tmp_path / "tsa", clock)
    policy = tmp_path / "stamps-policy"
    policy.write_bytes(scene.keys.policy() + policy_line("tsa", certificate))
    return Stamped(scene, authority, clock, policy, scene.log())


def test_a_stamped_session_is_authentic(here: Stamped, standalone: ModuleType) -> None:
    early = here.stamp(CLAIM.start - 10 * SECOND, size=3)
    bag = here.bag(early, here.stamp(CLOSED + 20 * SECOND), sizes=(3, SIZE))
    report = here.told(bag, standalone)
    assert (report.exit_code, report.problems, report.unproven) == (0, [], [])
    assert [stamp["size"] for stamp in report.stamps] == [3, SIZE]
    assert "可信时间戳 Time stamp tsa: " in report_text(report)
    assert not any("certificates" in english for _, english in report.not_checked)
    # The stand-alone verifier says what it has not looked at.
    alone = standalone.verify_package(bag, here.policy)
    assert alone.exit_code == 0
    assert any("certificates" in english for _, english in alone.not_checked)


def test_stamps_taken_out(here: Stamped, standalone: ModuleType) -> None:
    bag = here.bag(here.stamp(CLOSED))
    shutil.rmtree(bag / FOLDER / "stamps")
    remanifest(bag)
    report = here.told(bag, standalone)
    assert (report.exit_code, report.problems) == (3, [])
    assert "no trusted time stamp covers" in report.unproven[0][1]
    # Who asks for none is not told of any.
    assert told(bag, here.scene.policy, standalone).exit_code == 0


def test_a_session_made_up_later(here: Stamped, standalone: ModuleType) -> None:
    """Back-dated: keys of site and recorder are at hand, the past is not."""
    report = here.told(here.bag(here.stamp(CLOSED + 400 * 24 * HOUR)), standalone)
    assert report.exit_code == 3
    assert "more than a day after" in report.unproven[0][1]


def test_a_session_that_was_there_before_its_own_time(
    here: Stamped, standalone: ModuleType
) -> None:
    """Post-dated."""
    report = here.told(here.bag(here.stamp(CLOSED - HOUR)), standalone)
    assert report.exit_code == 1
    assert {problem.kind for problem in report.problems} == {"inconsistent"}
    assert "and was there by" in report.problems[0].detail


def test_a_stamp_over_something_else(here: Stamped, standalone: ModuleType) -> None:
    files = here.stamp(CLOSED)
    files[f"{STAMP}/tsa.tsr"] = stamped(here.authority, b"something else")
    report = here.told(here.bag(files), standalone)
    assert report.exit_code == 1
    assert report.problems[0].detail == "is not of the checkpoint beside it"


def test_a_stamp_of_ones_own(here: Stamped, standalone: ModuleType, tmp_path: Path) -> None:
    """An authority of the same name, set back to the time that is wanted."""
    (tmp_path / "mine").mkdir()
    mine, _ = opened_authority(tmp_path / "mine/tsa", here.clock)
    files = here.stamp(CLOSED)
    files[f"{STAMP}/tsa.tsr"] = stamped(mine, files[f"{STAMP}/checkpoint"])
    bag = here.bag(files)
    report = here.told(bag, standalone)
    assert report.exit_code == 1
    assert "not a trusted authority's" in report.problems[0].detail
    # Under another name it is nobody's that is trusted.
    (bag / STAMP / "tsa.tsr").rename(bag / STAMP / "mine.tsr")
    remanifest(bag)
    report = here.told(bag, standalone)
    assert (report.exit_code, report.problems, report.stamps) == (3, [], [])


def test_a_stamped_checkpoint_of_another_history(here: Stamped, standalone: ModuleType) -> None:
    message = here.scene.keys.log.note(Checkpoint(ORIGIN, SIZE, b"\1" * 32).text())
    files = {
        f"{STAMP}/checkpoint": message,
        f"{STAMP}/tsa.tsr": stamped(here.authority, message),
    }
    report = here.told(here.bag(files), standalone)
    assert report.exit_code == 1
    assert "not of the history" in report.problems[0].detail


def test_a_stamped_checkpoint_that_the_log_has_not_signed(
    here: Stamped, standalone: ModuleType
) -> None:
    files = here.stamp(CLOSED)
    message = files[f"{STAMP}/checkpoint"].replace(b"\n11\n", b"\n12\n")
    files |= {f"{STAMP}/checkpoint": message, f"{STAMP}/tsa.tsr": stamped(here.authority, message)}
    report = here.told(here.bag(files), standalone)
    assert report.exit_code == 1
    assert f"{STAMP}/checkpoint" in {problem.where for problem in report.problems}


@pytest.mark.parametrize("how", ["empty", "noise", "torn", "behind"])
@pytest.mark.parametrize("name", ["stamps/0000000000000011/tsa.tsr", CONSISTENCY])
def test_hostile_files(here: Stamped, standalone: ModuleType, how: str, name: str) -> None:
    files = {**here.stamp(CLOSED), **here.paths(SIZE)}
    whole = files[f"{FOLDER}/{name}"]
    bad = {
        "empty": b"",
        "noise": bytes(range(256)) * 3,
        "torn": whole[: len(whole) // 2],
        "behind": whole + b"\0",
    }
    bag = here.bag(files)
    (bag / FOLDER / name).write_bytes(bad[how])
    remanifest(bag)
    report = here.told(bag, standalone)
    assert report.exit_code in (0, 1)
    assert report.exit_code == 1 or name == CONSISTENCY


def test_the_policy_reads_chains(here: Stamped) -> None:
    policy = read_policy(b"timestamp a QUFB,QkJC http://a.example\nquorum none\n")
    assert policy.timestamps == {"a": (b"AAA", b"BBB")}
    assert policy.urls == {"a": "http://a.example"}
