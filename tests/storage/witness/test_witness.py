"""A witness cosigns one history of a log, whatever is asked and whenever it is killed."""

import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.clock import START_US, FakeClock
from support.crash import Crash, Disk, RecordingFiles
from support.log_forks import ORIGIN, Forks, leaves
from support.witnesses import opened_witness

from bidwitness.errors import ConfigError, Conflict, DamageFound
from bidwitness.storage.evidence.merkle import consistency_path, root
from bidwitness.storage.evidence.note import COSIGNATURE, read_checkpoint, read_key, read_note
from bidwitness.storage.ledger.keys import Signer
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.witness.protocol import MAX_PROOF, SIZE_TYPE, origin_hash, write_request
from bidwitness.storage.witness.witness import KEY_FILE, LOGS, MEMORY, Witness, make_witness


@pytest.fixture
def witness(tmp_path: Path, clock: FakeClock, forks: Forks) -> Witness:
    return opened_witness(tmp_path / "w1", clock, forks.signer.key)


def cosigned(witness: Witness, forks: Forks, old: int, size: int) -> int:
    """Have a checkpoint cosigned; give the time of the cosignature."""
    answer = witness.add_checkpoint(forks.request(old, size))
    assert answer.status == 200, answer.body
    text = forks.checkpoint(size).text
    at = read_note(f"{text}\n".encode() + answer.body).verified_by(witness.key)
    assert at is not None
    return at


def test_it_cosigns_a_log_that_grows(witness: Witness, forks: Forks, clock: FakeClock) -> None:
    assert cosigned(witness, forks, 0, 5) == START_US // 1_000_000
    clock.advance(7_000_000)
    assert cosigned(witness, forks, 5, 300) == START_US // 1_000_000 + 7
    # The same again is no contradiction.
    cosigned(witness, forks, 300, 300)
    last = witness.last(origin_hash(ORIGIN))
    assert last is not None
    note = read_note(last)
    assert read_checkpoint(note).size == 300
    assert note.verified_by(witness.key) is not None
    assert note.verified_by(forks.signer.key) is not None


def test_an_empty_log_may_be_cosigned_first(witness: Witness, forks: Forks) -> None:
    cosigned(witness, forks, 0, 0)
    cosigned(witness, forks, 0, 3)


def test_a_stale_size_is_answered_with_the_present_one(witness: Witness, forks: Forks) -> None:
    cosigned(witness, forks, 0, 5)
    for old, size in ((0, 7), (3, 7), (6, 7), (0, 3)):
        answer = witness.add_checkpoint(forks.request(old, size))
        assert (answer.status, answer.body, answer.media_type) == (409, b"5\n", SIZE_TYPE)


def test_a_second_history_is_refused_and_kept_as_proof(witness: Witness, forks: Forks) -> None:
    """Split view: whoever holds the log's key shows this witness another log."""
    cosigned(witness, forks, 0, 5)
    assert witness.add_checkpoint(forks.request(5, 5, fork_at=2, proof=[])).status == 422
    for proof in ([], leaves(3), None):
        assert witness.add_checkpoint(forks.request(5, 9, fork_at=2, proof=proof)).status == 422
    assert witness.add_checkpoint(forks.request(0, 5, fork_at=2)).status == 409
    memory = witness._opened()[1]
    held, kept = memory.held(ORIGIN), memory.conflicts(ORIGIN)
    assert held is not None
    assert held[0].root == root(leaves(5))
    # Two heads of one size, both signed by the log: nobody needs to believe the witness.
    assert len(kept) == 1
    other = read_note(kept[0])
    assert other.verified_by(forks.signer.key) is not None
    assert read_checkpoint(other).size == held[0].size
    assert read_checkpoint(other).root != held[0].root
    cosigned(witness, forks, 5, 9)


@pytest.mark.parametrize("change", ["drop", "add", "flip", "swap"])
def test_a_wrong_proof_is_refused(witness: Witness, forks: Forks, change: str) -> None:
    cosigned(witness, forks, 0, 6)
    proof = consistency_path(leaves(13), 6)
    changed = {
        "drop": proof[:-1],
        "add": [*proof, proof[0]],
        "flip": [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]],
        "swap": proof[::-1],
    }[change]
    assert witness.add_checkpoint(forks.request(6, 13, proof=changed)).status == 422
    cosigned(witness, forks, 6, 13)


def test_a_log_that_is_not_in_the_list(witness: Witness, tmp_path: Path, forks: Forks) -> None:
    assert cosigned(witness, forks, 0, 5)
    stranger = Forks(Signer("other/log/2026", Ed25519PrivateKey.generate()))
    assert witness.add_checkpoint(stranger.request(0, 5)).status == 404
    (tmp_path / "w1" / LOGS).write_text(f"log {stranger.signer.key}\n# and no other\n")
    assert witness.add_checkpoint(stranger.request(0, 5)).status == 200
    assert witness.add_checkpoint(forks.request(5, 6)).status == 404
    # A slip of the pen leaves the list as it was.
    (tmp_path / "w1" / LOGS).write_text("log what\n")
    assert witness.add_checkpoint(stranger.request(5, 6)).status == 200


def test_a_log_signed_with_another_key(witness: Witness, forks: Forks) -> None:
    thief = Forks(Signer(ORIGIN, Ed25519PrivateKey.generate()))
    assert witness.add_checkpoint(thief.request(0, 5)).status == 403
    forged = forks.request(0, 5).replace(b"\n5\n", b"\n6\n")
    assert witness.add_checkpoint(forged).status == 403
    cosigned(witness, forks, 0, 5)


def test_what_is_no_request(witness: Witness, forks: Forks) -> None:
    good = forks.request(0, 5)
    long = write_request(1, [b"\0" * 32] * (MAX_PROOF + 1), forks.checkpoint(5))
    bad = [
        b"",
        b"old 0",
        b"old 00\n\n" + good.partition(b"\n\n")[2],
        b"old -1\n\n" + good.partition(b"\n\n")[2],
        b"new 0\n\n" + good.partition(b"\n\n")[2],
        b"old 0\nAAAA\n\n" + good.partition(b"\n\n")[2],
        good[:-20],
        bytes(range(256)) * 8,
        good + b"\0" * 70_000,
        long,
        forks.request(6, 5),
    ]
    assert [witness.add_checkpoint(body).status for body in bad] == [400] * len(bad)
    cosigned(witness, forks, 0, 5)


@pytest.mark.parametrize("crash", Crash)
def test_no_crash_makes_it_cosign_two_histories(
    tmp_path: Path, clock: FakeClock, forks: Forks, crash: Crash
) -> None:
    """After every step of remembering: what was answered is held, and a fork is refused."""
    base = tmp_path / "w"
    make_witness(base, "w.example", SystemFiles())
    (base / LOGS).write_text(f"log {forks.signer.key}\n")
    files = RecordingFiles()
    witness = opened_witness(base, clock, files=files)
    for old, size in ((0, 5), (5, 9)):
        assert witness.add_checkpoint(forks.request(old, size)).status == 200
        files.promise(size)
    witness.close()
    disk = Disk()
    for number in range(len(files.steps) + 1):
        left = tmp_path / f"left-{crash.name}-{number}"
        shutil.copytree(base, left, ignore=lambda _, names: [n for n in names if len(n) == 64])
        disk.leave(crash, base, left)
        again = opened_witness(left, clock)
        last = again.last(origin_hash(ORIGIN))
        size = read_checkpoint(read_note(last)).size if last else 0
        assert size in (0, 5, 9)
        assert size >= disk.promised_us
        if size:
            assert again.add_checkpoint(forks.request(size, 12, fork_at=size - 1)).status == 422
        assert again.add_checkpoint(forks.request(size, 12)).status == 200
        again.close()
        if number < len(files.steps):
            disk.do(files.steps[number])
    assert disk.promised_us == 9


class Killed(BaseException):
    """What a kill is like: nothing catches it."""


@pytest.mark.parametrize("step", ["create", "append", "sync", "rename", "sync_dir"])
def test_a_kill_before_it_has_remembered_answers_nothing(
    tmp_path: Path, clock: FakeClock, forks: Forks, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SystemFiles()
    witness = opened_witness(tmp_path / "w1", clock, forks.signer.key, files=files)
    cosigned(witness, forks, 0, 5)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(files, step, die)
        witness.add_checkpoint(forks.request(5, 9))
    witness.close()
    again = opened_witness(tmp_path / "w1", clock)
    # Renamed and not yet brought to the disk: it counts as remembered, though nobody was told.
    done = step == "sync_dir"
    fork = again.add_checkpoint(forks.request(9 if done else 5, 9, fork_at=3, proof=[]))
    assert fork.status == 422
    assert cosigned(again, forks, 9 if done else 5, 9)


def test_a_full_disk_cosigns_nothing(
    tmp_path: Path, clock: FakeClock, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SystemFiles()
    witness = opened_witness(tmp_path / "w1", clock, forks.signer.key, files=files)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(files, "append", full)
        witness.add_checkpoint(forks.request(0, 5))
    cosigned(witness, forks, 0, 5)


def test_of_two_requests_at_once_only_one_is_cosigned(witness: Witness, forks: Forks) -> None:
    cosigned(witness, forks, 0, 5)
    bodies = [forks.request(5, size) for size in range(6, 14)]
    with ThreadPoolExecutor(8) as pool:
        found = sorted(answer.status for answer in pool.map(witness.add_checkpoint, bodies))
    assert found == [200, *[409] * 7]


def test_a_memory_that_is_gone_or_of_another_key(
    tmp_path: Path, clock: FakeClock, forks: Forks
) -> None:
    folder = tmp_path / "w1"
    first = opened_witness(folder, clock, forks.signer.key)
    cosigned(first, forks, 0, 5)
    with pytest.raises(Conflict, match="Another process"):
        opened_witness(folder, clock)
    first.close()
    make_witness(tmp_path / "w2", "w2.example", SystemFiles())
    shutil.copytree(folder / MEMORY, tmp_path / "memory")
    shutil.rmtree(folder / MEMORY)
    with pytest.raises(ConfigError, match="is gone"):
        opened_witness(folder, clock)
    shutil.copytree(tmp_path / "w2" / MEMORY, folder / MEMORY)
    with pytest.raises(ConfigError, match="of another key"):
        opened_witness(folder, clock)
    with pytest.raises(ConfigError, match="already"):
        make_witness(folder, "w1.example", SystemFiles())
    shutil.rmtree(folder / MEMORY)
    (tmp_path / "memory").rename(folder / MEMORY)
    cosigned(opened_witness(folder, clock), forks, 5, 6)


def test_a_damaged_memory_cosigns_nothing(witness: Witness, tmp_path: Path, forks: Forks) -> None:
    cosigned(witness, forks, 0, 5)
    path = tmp_path / "w1" / MEMORY / origin_hash(ORIGIN)
    whole = path.read_bytes()
    for data in (b"", whole[:50], whole.replace(b"\n5\n", b"\n4\n")):
        path.write_bytes(data)
        with pytest.raises(DamageFound, match="damaged"):
            witness.add_checkpoint(forks.request(4, 9))
    path.write_bytes(whole)
    cosigned(witness, forks, 5, 9)


def test_its_key_is_its_owners_alone(tmp_path: Path, clock: FakeClock) -> None:
    key = make_witness(tmp_path / "w1", "w1.example", SystemFiles())
    path = tmp_path / "w1" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(str(key)).kind == COSIGNATURE
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        opened_witness(tmp_path / "w1", clock)
