"""What a witness remembers: of each log the last checkpoint that it cosigned, durable.

It is the whole of a witness's worth. What is lost or turned back here would let a log show two
histories, so a memory that is not the key's own, or is damaged, is never begun anew.
"""

import fcntl
import os
from pathlib import Path

from bidwitness.errors import ConfigError, Conflict, DamageFound
from bidwitness.storage.evidence.note import (
    BadNote,
    Checkpoint,
    Note,
    NoteKey,
    read_checkpoint,
    read_note,
)
from bidwitness.storage.spool.files import Files, replace_file
from bidwitness.storage.witness.protocol import origin_hash

OWNER = "of"
_LOCK = ".lock"
_CONFLICTS = "conflicts"
# Of each log: one is proof enough, and a log that goes mad must not fill the disk.
MAX_CONFLICTS = 16


class Memory:
    """The folder of a witness's memory, for one process at a time."""

    def __init__(self, folder: Path, key: NoteKey, files: Files) -> None:
        self._folder = folder
        self._key = key
        self._files = files
        self._lock: int | None = None

    def begin(self) -> None:
        """Begin an empty memory, for a key that has cosigned nothing yet."""
        self._files.make_dirs(self._folder)
        replace_file(self._files, self._folder / OWNER, f"{self._key}\n".encode())

    def open(self) -> None:
        """Take the memory for this process.

        Raises ``Conflict`` if another has it, ``ConfigError`` if it is gone or of another key.
        """
        try:
            owner = (self._folder / OWNER).read_text("utf-8").strip()
        except FileNotFoundError:
            raise ConfigError(
                f"The memory {self._folder} of this witness is gone. Without it the key must not "
                "cosign any more: put the newest copy back, or make a new key in a new folder and "
                "tell the sites (docs/witness.md)."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The memory {self._folder} cannot be read: {error}.") from None
        if owner != str(self._key):
            raise ConfigError(f"The memory {self._folder} is of another key than this witness's.")
        handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Conflict("Another process is this witness. Stop it first.") from None
        self._lock = handle

    def close(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def held(self, origin: str) -> tuple[Checkpoint, Note] | None:
        """Give what was cosigned last of a log; nothing if nothing ever was.

        Raises ``DamageFound`` if it is not what this witness's key has signed.
        """
        data = self.last(origin_hash(origin))
        if data is None:
            return None
        try:
            note = read_note(data)
            checkpoint = read_checkpoint(note)
            ours = checkpoint.origin == origin and note.verified_by(self._key) is not None
        except BadNote:
            ours = False
        if not ours:
            raise DamageFound(f"What is remembered of the log {origin} is damaged.")
        return checkpoint, note

    def last(self, name: str) -> bytes | None:
        """Give the last cosigned checkpoint of the log of this ``origin_hash``, as it stands."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def remember(self, origin: str, note: bytes) -> None:
        """Make a cosigned checkpoint the last one. When it returns, no crash takes it back."""
        replace_file(self._files, self._folder / origin_hash(origin), note)

    def keep_conflict(self, origin: str, digest: str, note: bytes) -> None:
        """Keep a checkpoint that contradicts what is held: with it, it proves the log's fraud."""
        folder = self._folder / _CONFLICTS / origin_hash(origin)
        path = folder / digest
        self._files.make_dirs(folder)
        if not path.exists() and len(list(folder.iterdir())) < MAX_CONFLICTS:
            replace_file(self._files, path, note)

    def conflicts(self, origin: str) -> list[bytes]:
        """Give the contradicting checkpoints that were kept of a log."""
        folder = self._folder / _CONFLICTS / origin_hash(origin)
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return [path.read_bytes() for path in paths]
