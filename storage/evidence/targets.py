"""Where a package is written: a zip or a folder, durable under its name all at once or not.

Writing, hashing and bringing to the disk go on at the same time: a package is many gigabytes, and
hashing one after the other would take several times as long as the copying.
"""

import hashlib
import os
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bidwitness.storage.evidence.bag import CHUNK

# Chunks that may wait for a hash: enough to keep it busy, few enough for any memory.
WAITING = 8
# So much is written before the disk is asked to take it.
SYNC_EVERY = 64 * CHUNK


class Lane:
    """A thread that does what it is given, in that order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def give(self, work: Callable[[], None]) -> None:
        """Hand work over; waits while too much is waiting. Raises what earlier work raised."""
        self._pending.append(self._pool.submit(work))
        while len(self._pending) > WAITING:
            self._pending.popleft().result()

    def busy(self) -> bool:
        """Say whether something given is not done yet."""
        return any(not item.done() for item in self._pending)

    def drain(self) -> None:
        """Wait until all is done. Raises what any of it raised."""
        while self._pending:
            self._pending.popleft().result()

    def stop(self) -> None:
        """End the thread; what has not begun is not done."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()


class Target(ABC):
    """Where a bag goes, file by file."""

    @abstractmethod
    def create(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Begin a file; it is finished when the context ends."""

    @abstractmethod
    def finish(self) -> str:
        """Make it durable under its own name; give its SHA-256 if it is one file."""

    @abstractmethod
    def abandon(self) -> None:
        """Leave nothing behind."""


class ZipTarget(Target):
    """Stored, not packed: media do not get smaller, and any tool reads it at once."""

    def __init__(self, path: Path, base: str, made_us: int) -> None:
        self._path, self._base = path, base
        at = datetime.fromtimestamp(made_us // 1_000_000, UTC)
        self._date = (max(at.year, 1980), at.month, at.day, at.hour, at.minute, at.second)
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("w+b")
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        self._digest = hashlib.sha256()
        self._digested = self._synced = 0
        self._hashing, self._syncing = Lane(), Lane()

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        entry = zipfile.ZipInfo(f"{self._base}/{name}", self._date)
        entry.external_attr = 0o644 << 16
        with self._archive.open(entry, "w", force_zip64=True) as out:
            yield out
        # The entry's header is written when its end is known; now nothing of it changes any more.
        self._file.flush()
        end = self._archive.start_dir
        self._hashing.give(lambda: self._hash_to(end))
        if end - self._synced >= SYNC_EVERY and not self._syncing.busy():
            self._synced = end
            self._syncing.give(self._sync)

    def finish(self) -> str:
        self._archive.close()
        self._file.flush()
        end = os.fstat(self._file.fileno()).st_size
        self._hashing.give(lambda: self._hash_to(end))
        self._syncing.give(self._sync)
        self._hashing.drain()
        self._syncing.drain()
        self._stop()
        self._file.close()
        _rename(self._part, self._path)
        return self._digest.hexdigest()

    def abandon(self) -> None:
        self._stop()
        self._archive.close()
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _stop(self) -> None:
        self._hashing.stop()
        self._syncing.stop()

    def _hash_to(self, end: int) -> None:
        while self._digested < end:
            data = os.pread(self._file.fileno(), min(CHUNK, end - self._digested), self._digested)
            if not data:
                raise OSError("the package ends before what was written to it")
            self._digest.update(data)
            self._digested += len(data)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())


class FolderTarget(Target):
    """A bag as it stands in the standard: a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)
        self._syncing = Lane()

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        path = self._part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            yield out
        self._syncing.give(lambda: _sync(path))

    def finish(self) -> str:
        self._syncing.drain()
        self._syncing.stop()
        for item in self._part.rglob("*"):
            if item.is_dir():
                _sync(item)
        _sync(self._part)
        _rename(self._part, self._path)
        return ""

    def abandon(self) -> None:
        self._syncing.stop()
        shutil.rmtree(self._part, ignore_errors=True)


def _rename(part: Path, path: Path) -> None:
    part.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
