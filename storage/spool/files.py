"""The few file-system calls the spool is made of, behind one seam.

The order of these calls is what survives a power cut, so tests record them and replay every
prefix of them.
"""

import ctypes
import os
from pathlib import Path
from typing import Protocol

# Linux's sync_file_range(2) with SYNC_FILE_RANGE_WRITE; other systems do without.
_BEGIN_WRITING = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class Files(Protocol):
    """Each method is one durable step or one that a later ``sync`` makes durable.

    All raise ``OSError`` as the system does.
    """

    def make_dirs(self, path: Path) -> None:
        """Make a folder and its parents, each durable in its own parent."""

    def create(self, path: Path) -> int:
        """Make a new file to append to; fail if the name is taken. Give its handle."""

    def open_append(self, path: Path) -> int:
        """Open a file to append to, made if it is not there. Give its handle."""

    def append(self, handle: int, data: bytes) -> None:
        """Write at the end, everything or an error."""

    def sync(self, handle: int) -> None:
        """Make what was appended survive a power cut."""

    def start_sync(self, handle: int) -> None:
        """Let the system begin to write what was appended; promises nothing, raises nothing."""

    def close(self, handle: int) -> None: ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to ``size`` bytes, durably."""

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def sync_dir(self, path: Path) -> None:
        """Make creations, renames and removals in a folder survive a power cut."""


class SystemFiles:
    """The machine's file system."""

    def make_dirs(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_dirs(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_dir(path.parent)

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)

    def open_append(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def append(self, handle: int, data: bytes) -> None:
        written = os.write(handle, data)
        while written < len(data):
            written += os.write(handle, memoryview(data)[written:])

    def sync(self, handle: int) -> None:
        os.fdatasync(handle)

    def start_sync(self, handle: int) -> None:
        if _sync_file_range is not None:
            # An error would come again from ``sync``, which is what counts.
            _sync_file_range(handle, 0, 0, _BEGIN_WRITING)

    def close(self, handle: int) -> None:
        os.close(handle)

    def truncate(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def sync_dir(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def replace_file(files: Files, path: Path, data: bytes) -> None:
    """Give a file new bytes: after a crash it has the old ones or these, and once this returns,
    these. One writer at a time."""
    draft = path.with_name(f".{path.name}.draft")
    if draft.exists():
        files.unlink(draft)
    handle = files.create(draft)
    try:
        files.append(handle, data)
        files.sync(handle)
    finally:
        files.close(handle)
    files.rename(draft, path)
    files.sync_dir(path.parent)
