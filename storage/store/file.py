"""The store in a folder of this machine: write-once files that carry their digest in their name.

``a/b.mp4`` lies as ``a/b.sha256-<64 hex>.mp4``, mode 0440; the digest is the version. So a person
can open it, ``sha256sum`` can check it without us, and a name never comes to mean other bytes.
"""

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from bidwitness.clock import Clock, SystemClock
from bidwitness.errors import (
    BidWitnessError,
    Conflict,
    DamageFound,
    NotFound,
    StorageFull,
    StoreError,
)
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store.base import (
    CHUNK,
    DIGEST_MARK,
    Attacks,
    Found,
    Page,
    Place,
    Source,
    StoredVersion,
    brought_up,
    check_key,
    chunks_of,
    digest_of,
    locked_error,
    opened,
    shortening_error,
    source_damaged,
)
from bidwitness.storage.store.file_listing import NAME, found, page_of, walk
from bidwitness.storage.store.file_locks import FileLocks
from bidwitness.words import LockLevel

_VERSION = re.compile(r"[0-9a-f]{64}\Z")
_UNFINISHED = ".unfinished"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What link(2) says when the source lies elsewhere or the file system has no hard links.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
_READ_ONLY = 0o440


class FileStore:
    """Keeps objects below ``root``. A segment on the same volume is adopted by a hard link.

    ``immutable``: locked files get the system's immutable bit where it allows that.
    """

    def __init__(self, root: Path, clock: Clock | None = None, *, immutable: bool = False) -> None:
        self.root = root
        self._clock = clock or SystemClock()
        self._locks = FileLocks(root, self._make, _fsync_folder, immutable=immutable)

    def prepare(self) -> None:
        """Make the folder and drop what an earlier crash left unfinished.

        Only `keep` calls it: it alone puts, so nothing unfinished can be someone else's.
        """
        with self._errors("use"):
            self._make(self.root / _UNFINISHED)
            for left in (self.root / _UNFINISHED).iterdir():
                left.unlink()
            probe = self.root / _UNFINISHED / secrets.token_hex(8)
            probe.touch(exist_ok=False)
            probe.unlink()

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        """See ``Store.put``. Copies are read back from the disk before they get their name."""
        with self._errors(f"keep {key} in"):
            path = self._path(key, sha256.hex())
            if path.exists():
                stored = self._proved(key, sha256, path)
                brought_up(self, key, stored.version, lock)
                return stored
            with opened(source) as file:
                digest, size = digest_of(chunks_of(file))
                if digest != sha256:
                    raise source_damaged(key)
                self._make(path.parent)
                adopted = isinstance(source, Path) and self._adopt(
                    key, source, os.fstat(file.fileno()), path, expect_absent
                )
            if not adopted:
                self._copy(key, source, path, sha256, expect_absent)
            brought_up(self, key, sha256.hex(), lock)
            return StoredVersion(key, sha256.hex(), size, sha256)

    def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``Store.read``."""
        with self._errors(f"read {key} from"), self._open(key, version) as fd:
            size = os.fstat(fd).st_size
            end = size if length is None else min(size, offset + length)
            return b"".join(_pieces(fd, offset, end))

    def stream(self, key: str, version: str, offset: int = 0) -> Iterator[bytes]:
        """See ``Store.stream``."""
        with self._errors(f"read {key} from"), self._open(key, version) as fd:
            yield from _pieces(fd, offset, os.fstat(fd).st_size)

    def stat(self, key: str, version: str | None = None) -> Found:
        """See ``Store.stat``; among several versions the newest is the one last changed."""
        with self._errors(f"look up {key} in"):
            check_key(key)
            if version is not None:
                with self._open(key, version) as fd:
                    return Found(key, version, os.fstat(fd).st_size, bytes.fromhex(version))
            present = self._versions(key)
            if not present:
                raise _not_found(key)
            newest = max(present, key=lambda p: p.stat().st_mtime_ns)
            return found(key, newest)

    def list(self, prefix: str = "") -> Iterator[Found]:
        """See ``Store.list``."""
        with self._errors("list"):
            for key, path in walk(self.root, prefix):
                yield found(key, path)

    def versions(self, prefix: str = "", after: Place | None = None, limit: int = 1000) -> Page:
        """See ``Store.versions``; nothing is ever hidden here."""
        with self._errors("list"):
            return page_of(self.root, prefix, after, limit)

    def delete_version(self, key: str, version: str) -> None:
        """See ``Store.delete_version``; a folder that becomes empty goes too."""
        with self._errors(f"remove {key} from"):
            if not _VERSION.match(version):
                raise _not_found(key)
            path = self._path(key, version)
            if not path.parent.is_dir():
                return
            if path.exists():
                lock = self._locks.read(path)
                if lock.forbids(self._clock.utc_us()):
                    raise locked_error(key, lock)
                self._locks.fasten(path, on=False)
            path.unlink(missing_ok=True)
            _fsync_folder(path.parent)
            self._locks.remove(path)
            with suppress(OSError):  # not empty, or taken into use again at this moment
                path.parent.rmdir()

    def lock_level(self) -> LockLevel:
        """See ``Lockable.lock_level``: whoever may write to the folder is not refused by it."""
        return LockLevel.PROGRAM

    def lock_of(self, key: str, version: str) -> Lock:
        """See ``Lockable.lock_of``."""
        with self._errors(f"look up {key} in"), self._open(key, version):
            return self._locks.read(self._path(key, version))

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        """See ``Lockable.retain``."""
        if until_us < (self.lock_of(key, version).until_us or 0):
            raise shortening_error(key)
        return self._relock(key, version, lambda present: Lock(until_us, present.held))

    def hold(self, key: str, version: str) -> Lock:
        """See ``Lockable.hold``."""
        return self._relock(key, version, lambda present: Lock(present.until_us, True))

    def release(self, key: str, version: str) -> Lock:
        """See ``Lockable.release``."""
        return self._relock(key, version, lambda present: Lock(present.until_us, False))

    def attacks(self) -> Attacks:
        """See ``Lockable.attacks``."""
        return _FileAttacks(self)

    def _relock(self, key: str, version: str, change: Callable[[Lock], Lock]) -> Lock:
        wanted = change(self.lock_of(key, version))
        with self._errors(f"lock {key} in"):
            self._locks.write(self._path(key, version), wanted)
        if self.lock_of(key, version) != wanted:
            raise StoreError(f"The store {self.root} does not say of {key} what was written.")
        return wanted

    def is_permanent(self, error: Exception) -> bool:
        """A full or failing disk may recover; everything else will say the same again."""
        return isinstance(error, BidWitnessError) and not isinstance(
            error, StoreError | StorageFull
        )

    def _path(self, key: str, version: str) -> Path:
        place = PurePosixPath(check_key(key))
        return self.root / place.with_name(f"{place.stem}{DIGEST_MARK}{version}{place.suffix}")

    def _versions(self, key: str) -> tuple[Path, ...]:
        place = PurePosixPath(check_key(key))
        folder = self.root / place.parent
        if not folder.is_dir():
            return ()
        matches = ((NAME.match(path.name), path) for path in folder.iterdir())
        return tuple(
            path
            for match, path in matches
            if match and match["stem"] == place.stem and (match["suffix"] or "") == place.suffix
        )

    def _proved(self, key: str, sha256: bytes, path: Path) -> StoredVersion:
        with self._open(key, sha256.hex()) as fd:
            digest, size = digest_of(_pieces(fd, 0, os.fstat(fd).st_size))
            if digest != sha256:
                raise DamageFound(f"The store's file {path.name} does not hash to its own name.")
            # The put that made it may have died before its name was on the disk.
            os.fsync(fd)
            _fsync_folder(path.parent)
        return StoredVersion(key, sha256.hex(), size, sha256)

    def _adopt(
        self, key: str, source: Path, hashed: os.stat_result, path: Path, expect_absent: bool
    ) -> bool:
        """Give the hashed file a second name in the store; say whether its volume allowed it."""
        if source.is_symlink() or hashed.st_dev != path.parent.stat().st_dev:
            return False
        try:
            source.chmod(_READ_ONLY)
            _fsync(source)
            with self._publishing(key, path, expect_absent) as present:
                if present:
                    return True
                path.hardlink_to(source)
                if path.stat().st_ino != hashed.st_ino:
                    path.unlink()
                    raise source_damaged(key)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        return True

    def _copy(
        self, key: str, source: Source, path: Path, sha256: bytes, expect_absent: bool
    ) -> None:
        self._make(self.root / _UNFINISHED)
        part = self.root / _UNFINISHED / secrets.token_hex(16)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with opened(source) as file:
                for chunk in chunks_of(file):
                    _write_all(fd, chunk)
            os.fsync(fd)
            # Read back what the disk has, not what the page cache remembers.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if digest_of(_pieces(fd, 0, os.fstat(fd).st_size))[0] != sha256:
                raise StoreError(f"The disk of the store gave back other bytes for {path.name}.")
            os.fchmod(fd, _READ_ONLY)
            with self._publishing(key, path, expect_absent) as present:
                if not present:
                    part.rename(path)
        finally:
            os.close(fd)
            part.unlink(missing_ok=True)

    @contextmanager
    def _publishing(self, key: str, path: Path, expect_absent: bool) -> Iterator[bool]:
        """Hold the folder while a name is given; say whether the very same is there already."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if expect_absent and any(other != path for other in self._versions(key)):
                raise Conflict(f"The store already holds other bytes as {key}.")
            yield path.exists()
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _open(self, key: str, version: str) -> Iterator[int]:
        path = self._path(key, version)
        if not _VERSION.match(version):
            raise _not_found(key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_found(key) from None
        try:
            yield fd
        finally:
            os.close(fd)

    def _make(self, folder: Path) -> None:
        """Make a folder durably: each new one is fsync'd into its parent."""
        missing = [p for p in (folder, *folder.parents) if not p.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            _fsync_folder(path.parent)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            if error.errno in _FULL:
                raise StorageFull(
                    f"Cannot {doing} the store {self.root}: no room is left on its disk."
                ) from error
            raise StoreError(f"Cannot {doing} the store {self.root}: {why}.") from error


class _FileAttacks:
    """Tries our own doors: at the folder itself nothing stands in anybody's way."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def delete(self, key: str, version: str) -> None:
        with suppress(Conflict):
            self._store.delete_version(key, version)

    def shorten(self, key: str, version: str, until_us: int) -> None:
        with suppress(Conflict):
            self._store.retain(key, version, until_us)

    def bypass(self, key: str, version: str) -> None:
        self.delete(key, version)

    def delete_many(self, versions: Sequence[tuple[str, str]]) -> None:
        for key, version in versions:
            self.delete(key, version)


def _pieces(fd: int, start: int, end: int) -> Iterator[bytes]:
    while start < end and (piece := os.pread(fd, min(CHUNK, end - start), start)):
        yield piece
        start += len(piece)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _fsync(path: Path, flags: int = os.O_RDONLY | os.O_NOFOLLOW) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fsync_folder(folder: Path) -> None:
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _not_found(key: str) -> NotFound:
    return NotFound(f"The store has no such version of {key}.")
