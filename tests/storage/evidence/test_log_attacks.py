"""Attacks on what a package carries of the log, by both verifiers; and the honest package."""

import shutil
from dataclasses import replace
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.attacks import Records, edit_records, remanifest
from support.evidence_log import (
    FOLDER,
    ORIGIN,
    SHARD,
    Keys,
    epoch_heads,
    make_log,
    shard_files,
    sign_epoch,
)
from support.evidence_session import (
    SESSION,
)
from support.log_scene import Scene, told

from bidwitness.storage.evidence.entries import EpochEntry, LogEntry, SessionEntry, entry_bytes
from bidwitness.storage.evidence.note import (
    COSIGNATURE,
    NoteKey,
    NoteSignature,
    cosigned_message,
    read_note,
    write_note,
)
from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.report import Report
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.ledger.keys import Signer
from bidwitness.storage.ledger.shard import ShardLog
from bidwitness.storage.spool.files import SystemFiles


def test_the_honest_package_is_authentic(scene: Scene, standalone: ModuleType) -> None:
    bag = scene.bag(scene.log())
    report = told(bag, scene.policy, standalone)
    assert (report.exit_code, report.problems, report.unproven) == (0, [], [])
    assert report.logs[0]["origin"] == ORIGIN
    assert report.logs[0]["key"] == scene.keys.log.key.fingerprint
    # A policy without witnesses is said to be one.
    assert any("quorum 0" in english for _, english in report.notes)


def test_without_a_policy_it_is_unproven(scene: Scene, standalone: ModuleType) -> None:
    report = told(scene.bag(scene.log()), None, standalone)
    assert (report.exit_code, report.problems) == (3, [])


def test_without_the_media_it_is_unproven(scene: Scene) -> None:
    report = verify_package(scene.bag(scene.log()), scene.policy, media=False)
    assert (report.exit_code, report.problems) == (3, [])


def test_a_record_altered_after_it_was_logged(scene: Scene, standalone: ModuleType) -> None:
    """Whoever holds the index writes the session anew, with a chain that fits."""
    files = scene.log()
    plan = dict(scene.session.records[0]) | {"reason": "another"}
    rest, scene.session.records = scene.session.records[1:], [plan]
    for record in rest:
        prev = leaf_hash(scene.session.records[-1]).hex()
        scene.session.records.append(dict(record) | {"prev": prev})
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert f"session {SESSION}#0" in {problem.where for problem in report.problems}
    # Even without keys: the package contradicts itself.
    assert told(scene.folder / "bag", None, standalone).exit_code == 1


def test_a_session_hidden_from_the_log(scene: Scene, standalone: ModuleType) -> None:
    def hide(entries: list[LogEntry]) -> None:
        entries[:] = [e for e in entries if not isinstance(e, SessionEntry)]

    report = told(scene.bag(scene.log(change=hide)), scene.policy, standalone)
    assert report.exit_code == 3
    assert "7 record(s)" in " ".join(english for _, english in report.unproven)


def test_a_record_that_was_logged_and_is_withheld(scene: Scene, standalone: ModuleType) -> None:
    files = scene.log()
    scene.session.records.pop()
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert ("removed", f"session {SESSION}#6") in {(p.kind, p.where) for p in report.problems}


def test_an_epoch_missing(scene: Scene, standalone: ModuleType) -> None:
    def drop(entries: list[LogEntry]) -> None:
        entries[:] = [e for e in entries if not isinstance(e, EpochEntry)]

    report = told(scene.bag(scene.log(change=drop)), scene.policy, standalone)
    assert report.exit_code == 3
    assert "no epoch" in " ".join(english for _, english in report.unproven)


def test_an_epoch_signed_with_another_key(scene: Scene, standalone: ModuleType) -> None:
    other = Signer(scene.keys.recorder.key.name, Ed25519PrivateKey.generate())

    def forge(entries: list[LogEntry]) -> None:
        entries[-1] = sign_epoch(other, epoch_heads(scene.streams))

    report = told(scene.bag(scene.log(change=forge)), scene.policy, standalone)
    assert report.exit_code == 1
    assert {p.where for p in report.problems} == {"epoch rec-1#0"}


def test_an_epoch_over_another_chain(scene: Scene, standalone: ModuleType) -> None:
    """The recorder signed for what it had recorded; the records were written anew since."""

    def other(entries: list[LogEntry]) -> None:
        heads = [replace(head, root="1" * 64) for head in epoch_heads(scene.streams)]
        entries[-1] = sign_epoch(scene.keys.recorder, heads)

    report = told(scene.bag(scene.log(change=other)), scene.policy, standalone)
    assert report.exit_code == 1
    assert "not one that the epoch was signed over" in report.problems[0].detail


def test_a_forged_checkpoint(scene: Scene, standalone: ModuleType) -> None:
    """A log of one's own, under the same name, signed with one's own key."""
    thief = Keys.made(scene.folder / "thief")
    files = make_log(scene.folder / "forged", thief, scene.streams, scene.session)
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert f"{FOLDER}/checkpoint" in {p.where for p in report.problems}


@pytest.mark.parametrize("part", ["size", "root", "signature"])
def test_a_checkpoint_changed(scene: Scene, standalone: ModuleType, part: str) -> None:
    files = scene.log()
    name = f"{FOLDER}/checkpoint"
    lines = files[name].decode().split("\n")
    number = {"size": 1, "root": 2, "signature": 4}[part]
    at = len(lines[number]) // 2 if part != "size" else 0
    letter = "7" if lines[number][at] != "7" else "5"
    lines[number] = lines[number][:at] + letter + lines[number][at + 1 :]
    files[name] = "\n".join(lines).encode()
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert name in {p.where for p in report.problems}


def test_a_log_the_policy_does_not_know(scene: Scene, standalone: ModuleType) -> None:
    policy = scene.folder / "empty"
    policy.write_text("quorum none\n")
    report = told(scene.bag(scene.log()), policy, standalone)
    assert (report.exit_code, report.problems) == (3, [])


def test_a_truncated_log(scene: Scene, standalone: ModuleType) -> None:
    """An older checkpoint, honestly signed, cannot show what was logged after it."""
    folder = scene.folder / "short"
    log = ShardLog(folder / SHARD, scene.keys.log, SystemFiles())
    log.open()
    log.append([entry_bytes(SessionEntry("0" * 64, 0, "0" * 64))] * 3)
    short = shard_files(folder, log, [])
    files = {**scene.log(), f"{FOLDER}/checkpoint": short[f"{FOLDER}/checkpoint"]}
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert "is not in the log" in report.problems[0].detail


def test_a_forked_log(scene: Scene, standalone: ModuleType) -> None:
    """Two logs of one key: proofs of the one do not fit a checkpoint of the other."""

    def other(entries: list[LogEntry]) -> None:
        entries.insert(2, SessionEntry("1" * 64, 0, "1" * 64))

    fork = scene.log("fork", other)
    files = {**scene.log(), f"{FOLDER}/checkpoint": fork[f"{FOLDER}/checkpoint"]}
    assert told(scene.bag(files), scene.policy, standalone).exit_code == 1


def test_a_quorum_of_witnesses(scene: Scene, standalone: ModuleType) -> None:
    keys = [Ed25519PrivateKey.generate() for _ in range(3)]
    witnesses = [
        NoteKey(f"w{n}.example", COSIGNATURE, key.public_key().public_bytes_raw())
        for n, key in enumerate(keys)
    ]
    lines = "".join(f"witness w{n} {key}\n" for n, key in enumerate(witnesses))
    policy = scene.folder / "quorum"
    policy.write_bytes(scene.keys.policy(f"{lines}group all-of-us 2 w0 w1 w2\nquorum all-of-us\n"))
    files = scene.log()
    bag = scene.bag(files)
    report = told(bag, policy, standalone)
    assert (report.exit_code, report.problems) == (3, [])

    note = read_note(files[f"{FOLDER}/checkpoint"])

    def cosigned(numbers: list[int], at: int) -> Report:
        more = [
            NoteSignature(
                witnesses[n].name,
                witnesses[n].id,
                at.to_bytes(8, "big") + keys[n].sign(cosigned_message(1_700_000_000, note.text)),
            )
            for n in numbers
        ]
        (bag / FOLDER / "checkpoint").write_bytes(write_note(note.text, [*note.signatures, *more]))
        remanifest(bag)
        return told(bag, policy, standalone)

    assert cosigned([1], 1_700_000_000).exit_code == 3
    assert cosigned([0, 2], 1_700_000_000).exit_code == 0
    # A cosignature whose time was changed is a wrong one, and that is told.
    assert cosigned([0, 2], 1_700_000_001).exit_code == 1


@pytest.mark.parametrize("name", ["entries.ndjson", "checkpoint"])
@pytest.mark.parametrize("how", ["empty", "noise", "torn"])
def test_hostile_files(scene: Scene, standalone: ModuleType, name: str, how: str) -> None:
    files = scene.log()
    whole = files[f"{FOLDER}/{name}"]
    bad = {"empty": b"", "noise": bytes(range(256)) * 3, "torn": whole[: len(whole) // 2]}
    files[f"{FOLDER}/{name}"] = bad[how]
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code in (1, 3)


def test_an_entry_moved_to_another_index(scene: Scene, standalone: ModuleType) -> None:
    bag = scene.bag(scene.log())

    def move(records: Records) -> None:
        records[0]["index"] += 1

    edit_records(bag / FOLDER / "entries.ndjson", move)
    remanifest(bag)
    assert told(bag, scene.policy, standalone).exit_code == 1


def test_a_package_with_everything_of_the_log_taken_out(
    scene: Scene, standalone: ModuleType
) -> None:
    bag = scene.bag(scene.log())
    shutil.rmtree(bag / "data" / "log")
    remanifest(bag)
    report = told(bag, scene.policy, standalone)
    assert (report.exit_code, report.problems) == (3, [])
