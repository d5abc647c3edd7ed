"""One shard of the site's log on disk, and its one writer.

A checkpoint is signed only when every tile and bundle that it names is durable, and only if what
the checkpoint before named is a prefix of it. A crash leaves tiles that no checkpoint names: they
are written over by the next append.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bidwitness.errors import Conflict, DamageFound
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.note import (
    BadNote,
    Checkpoint,
    Note,
    NoteKey,
    read_checkpoint,
    read_note,
)
from bidwitness.storage.ledger.keys import Signer
from bidwitness.storage.ledger.tiles import CHECKPOINT, WIDTH, Tiles, grown, tile_path
from bidwitness.storage.spool.files import Files

# The newest checkpoint with the cosignatures that it has, and the newest that has enough.
COSIGNING, COSIGNED = "cosigning", "cosigned"
_DRAFT = ".draft"
# Signed and durable, not yet seen by anybody.
_NEXT = ".checkpoint"
_LOCK = ".lock"


def origin_of(site: str, shard: str) -> str:
    """Give what a shard's log calls itself; its key has the same name."""
    return f"{site}/log/{shard}"


def read_head(folder: Path, origin: str, name: str = CHECKPOINT) -> tuple[Checkpoint, Note] | None:
    """Read a shard's checkpoint as it stands, its signature unchecked; nothing if there is none.

    Raises ``DamageFound`` if it is not one, or of another log.
    """
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamageFound(f"The log's checkpoint cannot be read: {error.strerror}.") from None
    try:
        note = read_note(data)
        checkpoint = read_checkpoint(note)
    except BadNote as error:
        raise DamageFound(f"The checkpoint of the log {folder.name} is damaged: {error}.") from None
    if checkpoint.origin != origin:
        raise DamageFound(f"The checkpoint in {folder.name} is of the log {checkpoint.origin}.")
    return checkpoint, note


class WriterLock:
    """Held by the one writer of a site's log; a process that dies lets go of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def acquire(self) -> None:
        """Raises ``Conflict`` if another process writes the log."""
        if self._handle is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Conflict("Another process writes the log of this site. Stop it first.") from None
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


# What is the newest checkpoint, and what is about to be signed after it.
Promise = Callable[[Checkpoint, Checkpoint], None]


def _promise_nobody(_before: Checkpoint, _after: Checkpoint) -> None:
    """For a log of whose writers nobody else knows."""


class ShardLog:
    """Appends to a shard. Whoever has one holds the site's ``WriterLock``.

    ``promise`` is called when all tiles are durable and nothing is signed yet; what it raises ends
    the append without a checkpoint.
    """

    def __init__(
        self, folder: Path, signer: Signer, files: Files, promise: Promise = _promise_nobody
    ) -> None:
        self._folder = folder
        self._signer = signer
        self._files = files
        self._promise = promise
        self.tiles = Tiles(folder, 0)
        self.head = Checkpoint(signer.key.name, 0, root([]))

    @property
    def key(self) -> NoteKey:
        """The public key of the checkpoints."""
        return self._signer.key

    def open(self) -> None:
        """Continue from the last durable checkpoint.

        Raises ``DamageFound`` if it is not ours, or its tiles are not what it says.
        """
        self._finish_publishing()
        found = read_head(self._folder, self.key.name)
        if found is None:
            return
        checkpoint, note = found
        if not self._signed(note):
            raise DamageFound(
                f"The checkpoint of the log {self._folder.name} is not signed with the key file."
            )
        self.tiles = Tiles(self._folder, checkpoint.size)
        self.head = checkpoint
        if self.tiles.root() != checkpoint.root:
            raise DamageFound(f"The tiles of the log {self._folder.name} are not the checkpoint's.")

    def _signed(self, note: Note) -> bool:
        try:
            return note.verified_by(self._signer.key) is not None
        except BadNote:
            return False

    def _finish_publishing(self) -> None:
        """What was signed and durable counts: somebody may have seen it before the lights went."""
        draft = self._folder / _NEXT
        try:
            found = read_head(self._folder, self.key.name, _NEXT)
        except DamageFound:
            found = None  # it was cut short, so nobody saw it
        if found is not None and self._signed(found[1]):
            self._files.rename(draft, self._folder / CHECKPOINT)
        elif draft.exists():
            self._files.unlink(draft)
        else:
            return
        self._files.sync_dir(self._folder)

    def append(self, entries: Sequence[bytes]) -> int:
        """Log entries; give the place of the first. When it returns, a checkpoint names them.

        Raises ``OSError``: then it is as if it had not been called, and may be called again.
        ``DamageFound`` if the files are not those of the last checkpoint, before anything is signed.
        """
        before = self.tiles
        found = read_head(self._folder, self.key.name)
        if (found[0] if found else None) not in (self.head, None) or (not found and before.size):
            raise DamageFound("The checkpoint of the log was changed by another hand.")
        size, files = grown(before, list(entries))
        for path, data in files.items():
            self._put(path, data)
        self._sync_folders(files)
        after = Tiles(self._folder, size)
        if before.size and after.range_root(0, before.size) != self.head.root:
            raise DamageFound("The log would not continue what its last checkpoint says.")
        head = Checkpoint(self.key.name, size, after.root())
        self._promise(self.head, head)
        self._publish(head)
        self.tiles, self.head = after, head
        self._drop_partials(before.size, size)
        return before.size

    def keep_promise(self, promised: Checkpoint) -> bool:
        """Sign the checkpoint that was promised when the writer died before it could.

        Says no, and signs nothing, unless every entry of that very tree is here.
        """
        if promised.size <= self.head.size or not self._has(promised):
            return False
        self._publish(promised)
        before, self.tiles = self.tiles.size, Tiles(self._folder, promised.size)
        self.head = promised
        self._drop_partials(before, promised.size)
        return True

    def _has(self, promised: Checkpoint) -> bool:
        before, tiles = self.tiles.size, Tiles(self._folder, promised.size)
        try:
            if before and tiles.range_root(0, before) != self.head.root:
                return False
            return tiles.root() == promised.root and _entries_are_here(tiles, before)
        except DamageFound:
            return False

    def _put(self, path: str, data: bytes) -> None:
        """Write a tile whole under its name; the name is durable once its folder is."""
        target = self._folder / path
        self._files.make_dirs(target.parent)
        self._write(target.parent / _DRAFT, data)
        self._files.rename(target.parent / _DRAFT, target)

    def _publish(self, head: Checkpoint) -> None:
        """Show a checkpoint to the world only when no crash can take it back."""
        self._write(self._folder / _NEXT, self._signer.note(head.text()))
        self._files.sync_dir(self._folder)
        self._files.rename(self._folder / _NEXT, self._folder / CHECKPOINT)
        self._files.sync_dir(self._folder)

    def _write(self, path: Path, data: bytes) -> None:
        if path.exists():
            self._files.unlink(path)
        handle = self._files.create(path)
        try:
            self._files.append(handle, data)
            self._files.sync(handle)
        finally:
            self._files.close(handle)

    def _sync_folders(self, paths: dict[str, bytes]) -> None:
        for folder in sorted({(self._folder / path).parent for path in paths}):
            self._files.sync_dir(folder)

    def _drop_partials(self, before: int, size: int) -> None:
        """Remove the narrow forms of tiles that are full now; readers fall back on those."""
        first, last, level = before, size, 0
        while first // WIDTH < last // WIDTH:
            for kind in (None, 0) if level == 0 else (level,):
                narrow = self._folder / f"{tile_path(kind, first // WIDTH)}.p"
                for path in sorted(narrow.glob("*")) if narrow.is_dir() else ():
                    self._files.unlink(path)
                with suppress(OSError):
                    narrow.rmdir()
            first, last, level = first // WIDTH, last // WIDTH, level + 1


def _entries_are_here(tiles: Tiles, first: int) -> bool:
    """Hold the entries from ``first`` on against the hashes of the lowest tiles."""
    return all(
        [hash_leaf(entry) for entry in tiles.bundle(number)] == tiles.hashes(0, number)
        for number in range(first // WIDTH, (tiles.size + WIDTH - 1) // WIDTH)
    )
