"""What only the store in a folder does: names, links, modes, and a disk that is full."""

import errno
import io
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.memory_store import sha256_of
from support.needs import absent

from bidwitness.errors import Conflict, DamageFound, NotFound, StorageFull, StoreError
from bidwitness.storage.store.file import FileStore

BODY = b"bytes of a segment" * 100
KEY = "footage/s/20261122/a.mp4"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    made = FileStore(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "segment.mp4"
    path.write_bytes(BODY)
    return path


def files(store: FileStore) -> list[Path]:
    return sorted(p for p in store.root.rglob("*") if p.is_file())


def test_the_name_carries_the_digest_and_the_file_is_read_only(
    store: FileStore, segment: Path
) -> None:
    store.put(KEY, segment, sha256_of(BODY))
    (only,) = files(store)
    assert only.name == f"a.sha256-{sha256_of(BODY).hex()}.mp4"
    assert stat.S_IMODE(only.stat().st_mode) == 0o440


def test_a_segment_on_the_same_volume_is_adopted_not_copied(
    store: FileStore, segment: Path
) -> None:
    store.put(KEY, segment, sha256_of(BODY))
    (only,) = files(store)
    assert only.stat().st_ino == segment.stat().st_ino
    segment.unlink()
    assert store.read(KEY, sha256_of(BODY).hex()) == BODY


def test_a_symbolic_link_is_copied(store: FileStore, segment: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(segment)
    store.put(KEY, link, sha256_of(BODY))
    (only,) = files(store)
    assert not only.is_symlink()
    assert only.stat().st_ino != segment.stat().st_ino


def test_a_link_put_in_the_place_of_an_object_is_not_followed(
    store: FileStore, segment: Path
) -> None:
    store.put(KEY, lambda: io.BytesIO(BODY), sha256_of(BODY))
    (only,) = files(store)
    only.unlink()
    only.symlink_to(segment)
    with pytest.raises(StoreError):
        store.read(KEY, sha256_of(BODY).hex())


def test_what_a_crash_left_is_swept_and_never_listed(store: FileStore) -> None:
    left = store.root / ".unfinished" / "0123"
    left.write_bytes(b"half")
    assert list(store.list()) == []
    store.prepare()
    assert not left.exists()


def test_damage_in_place_is_found_when_the_same_is_put_again(
    store: FileStore, segment: Path
) -> None:
    store.put(KEY, lambda: io.BytesIO(BODY), sha256_of(BODY))
    (only,) = files(store)
    only.chmod(0o640)
    only.write_bytes(b"x" + BODY[1:])
    with pytest.raises(DamageFound):
        store.put(KEY, segment, sha256_of(BODY))


def test_two_that_put_different_bytes_at_once_cannot_both_win(store: FileStore) -> None:
    won: list[bytes] = []
    lost: list[Conflict] = []
    barrier = threading.Barrier(6)

    def put(number: int) -> None:
        data = bytes([number]) * 100_000
        barrier.wait()
        try:
            store.put(KEY, lambda: io.BytesIO(data), sha256_of(data))
            won.append(data)
        except Conflict as error:
            lost.append(error)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert len(files(store)) == 1


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    store = FileStore(tmp_path / "taken" / "store")
    with pytest.raises(StoreError, match="Not a directory") as caught:
        store.prepare()
    assert not store.is_permanent(caught.value)


def test_removing_the_last_object_removes_its_folder(store: FileStore, segment: Path) -> None:
    version = store.put(KEY, segment, sha256_of(BODY)).version
    store.delete_version(KEY, version)
    assert not (store.root / "footage/s/20261122").exists()
    with pytest.raises(NotFound):
        store.delete_version(KEY, "no digest")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        absent("the right to mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode != 0:
        absent(f"a small file system ({done.stderr.decode().strip()})")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_shows_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    store = FileStore(small_disk / "store")
    store.prepare()
    small = b"s" * 50_000
    store.put("a/small.mp4", lambda: io.BytesIO(small), sha256_of(small))
    big = tmp_path / "big.mp4"
    big.write_bytes(os.urandom(1 << 20))
    with pytest.raises(StorageFull, match="no room") as caught:
        store.put("a/big.mp4", big, sha256_of(big.read_bytes()))
    assert not store.is_permanent(caught.value)
    assert [p.name for p in files(store)] == [f"small.sha256-{sha256_of(small).hex()}.mp4"]
    # Room for others again: what was half written is gone.
    store.put("a/more.mp4", lambda: io.BytesIO(small), sha256_of(small))
    assert store.read("a/small.mp4", sha256_of(small).hex()) == small


def test_a_failing_disk_is_a_store_error(
    store: FileStore, segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    version = store.put(KEY, segment, sha256_of(BODY)).version
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        store.read(KEY, version)
