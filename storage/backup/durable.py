"""Files of a backup: for their owner alone, and on the disk before anything says that they are."""

import os
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Write a new file (mode 0600), durably. Its folder is made. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_tree(folder: Path) -> None:
    """Have every file and folder below ``folder``, and itself, on the disk. Raises ``OSError``."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        sync(path)


def sync(path: Path) -> None:
    """Have a file's bytes or a folder's names on the disk. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
