"""The writer of a shard: what it signed stands, whatever crash comes when."""

from pathlib import Path

import pytest
from support.crash import Crash, Disk, RecordingFiles

from bidwitness.errors import Conflict, DamageFound
from bidwitness.storage.evidence.note import Checkpoint, read_checkpoint, read_note
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.ledger.shard import ShardLog, WriterLock
from bidwitness.storage.spool.files import SystemFiles

NAME = "site-1/log/2026"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return open_signer(tmp_path / "log.key", NAME, create=True)


def opened(folder: Path, signer: Signer) -> ShardLog:
    log = ShardLog(folder, signer, SystemFiles())
    log.open()
    return log


def entries(name: str, count: int) -> list[bytes]:
    return [f"{name} {n}".encode() for n in range(count)]


def seen(disk: Disk, folder: Path) -> Checkpoint | None:
    """What others could have read at this moment."""
    inode = disk.live.get(folder / "checkpoint")
    return read_checkpoint(read_note(inode.data)) if inode is not None else None


@pytest.mark.parametrize("crash", Crash)
def test_no_crash_makes_it_contradict_itself(tmp_path: Path, signer: Signer, crash: Crash) -> None:
    base = tmp_path / "log"
    base.mkdir()
    folder = base / "2026"
    files = RecordingFiles()
    log = ShardLog(folder, signer, files)
    log.open()
    heads = [log.head]
    for count in (3, 254):
        log.append(entries(f"batch of {count}", count))
        heads.append(log.head)
    disk = Disk(live_dirs={base}, durable_dirs={base})
    promised: Checkpoint | None = None
    for number in range(len(files.steps) + 1):
        left = tmp_path / f"left-{crash.name}-{number}"
        left.mkdir()
        disk.leave(crash, base, left)
        again = opened(left / "2026", signer)
        # It is one of those that were signed, and none that somebody saw is taken back.
        assert again.head in heads
        if promised is not None:
            assert again.head.size >= promised.size
        again.append([b"after the crash"])
        if promised is not None:
            assert again.tiles.range_root(0, promised.size) == promised.root
        assert opened(left / "2026", signer).head == again.head
        if number < len(files.steps):
            disk.do(files.steps[number])
            promised = seen(disk, folder) or promised
    assert promised == heads[-1]


@pytest.mark.parametrize("crash", Crash)
def test_what_was_promised_can_be_signed_after_any_crash(
    tmp_path: Path, signer: Signer, crash: Crash
) -> None:
    base = tmp_path / "log"
    base.mkdir()
    files, promised = RecordingFiles(), list[tuple[int, Checkpoint]]()
    log = ShardLog(
        base / "2026", signer, files, lambda _, after: promised.append((len(files.steps), after))
    )
    log.open()
    for count in (3, 254, 1):
        log.append(entries(f"batch of {count}", count))
    disk, done = Disk(live_dirs={base}, durable_dirs={base}), 0
    for number in range(len(files.steps) + 1):
        known = [after for at, after in promised if at <= number]
        if known:
            left = tmp_path / f"left-{crash.name}-{number}"
            left.mkdir()
            disk.leave(crash, base, left)
            again = opened(left / "2026", signer)
            if again.head != known[-1]:
                assert again.keep_promise(known[-1])
                done += 1
            assert opened(left / "2026", signer).head == again.head == known[-1]
        if number < len(files.steps):
            disk.do(files.steps[number])
    assert done >= len(promised)


def test_a_promise_is_not_kept_by_a_log_that_lacks_it(tmp_path: Path, signer: Signer) -> None:
    def refuse(_before: Checkpoint, _after: Checkpoint) -> None:
        raise Conflict("Somebody else was first.")

    opened(tmp_path / "2026", signer).append(entries("a", 5))
    log = ShardLog(tmp_path / "2026", signer, SystemFiles(), refuse)
    log.open()
    with pytest.raises(Conflict):
        log.append(entries("b", 5))
    assert opened(tmp_path / "2026", signer).head == log.head
    # Its tiles are there, but they are not what was promised.
    assert not log.keep_promise(Checkpoint(NAME, 10, bytes(32)))
    assert not log.keep_promise(Checkpoint(NAME, 11, bytes(32)))
    assert not log.keep_promise(Checkpoint(NAME, 3, log.tiles.range_root(0, 3)))
    assert opened(tmp_path / "2026", signer).head == log.head


def test_it_continues_where_it_was(tmp_path: Path, signer: Signer) -> None:
    log = opened(tmp_path / "2026", signer)
    assert log.append(entries("a", 10)) == 0
    again = opened(tmp_path / "2026", signer)
    assert again.head == log.head
    assert again.append(entries("b", 10)) == 10
    # The first one has been overtaken: it must not sign a second log of the same size.
    with pytest.raises(DamageFound, match="another hand"):
        log.append(entries("c", 10))


def test_a_full_disk_leaves_it_as_it_was(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path / "2026", signer)
    log.append(entries("a", 10))
    head = log.head

    def full(_handle: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(log._files, "append", full)
        log.append(entries("b", 10))
    assert log.head == head
    log.append(entries("b", 10))
    assert opened(tmp_path / "2026", signer).head.size == 20


def test_a_changed_tile_is_found_at_the_start(tmp_path: Path, signer: Signer) -> None:
    opened(tmp_path / "2026", signer).append(entries("a", 10))
    tile = tmp_path / "2026/tile/0/000.p/10"
    data = bytearray(tile.read_bytes())
    data[5] ^= 1
    tile.write_bytes(data)
    with pytest.raises(DamageFound, match="are not the checkpoint's"):
        opened(tmp_path / "2026", signer)


def test_a_checkpoint_of_another_key_or_log(tmp_path: Path, signer: Signer) -> None:
    opened(tmp_path / "2026", signer).append(entries("a", 10))
    other = open_signer(tmp_path / "other.key", NAME, create=True)
    with pytest.raises(DamageFound, match="not signed with the key file"):
        opened(tmp_path / "2026", other)
    third = open_signer(tmp_path / "third.key", "site-2/log/2026", create=True)
    with pytest.raises(DamageFound, match="is of the log site-1"):
        opened(tmp_path / "2026", third)


def test_narrow_tiles_go_when_they_are_full(tmp_path: Path, signer: Signer) -> None:
    log = opened(tmp_path / "2026", signer)
    for _ in range(3):
        log.append(entries("a", 100))
    narrow = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.p/*")}
    assert narrow == {
        "2026/tile/0/001.p/44",
        "2026/tile/entries/001.p/44",
        "2026/tile/1/000.p/1",
    }


def test_there_is_one_writer(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path), WriterLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(Conflict, match="Another process writes the log"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
