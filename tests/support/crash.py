"""A disk that remembers every step, and what a crash after any of them would leave.

A power cut keeps what was fsync'd and may keep or lose the rest: of a file's bytes any beginning,
of names those that were or were not yet on the disk. A killed process loses nothing that it had
written. ``kill -9`` alone therefore proves nothing about durability; this does.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

from bidwitness.storage.spool.files import SystemFiles


@dataclass(frozen=True)
class Step:
    kind: str
    path: Path
    data: bytes = b""
    other: Path | None = None
    size: int = 0


class RecordingFiles(SystemFiles):
    """Does every step and writes it down."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._paths: dict[int, Path] = {}

    def make_dirs(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_dirs(path.parent)
        path.mkdir(exist_ok=True)
        self.steps.append(Step("mkdir", path))
        self.sync_dir(path.parent)

    def create(self, path: Path) -> int:
        handle = super().create(path)
        self._paths[handle] = path
        self.steps.append(Step("create", path))
        return handle

    def open_append(self, path: Path) -> int:
        if not path.exists():
            self.steps.append(Step("create", path))
        handle = super().open_append(path)
        self._paths[handle] = path
        return handle

    def append(self, handle: int, data: bytes) -> None:
        super().append(handle, data)
        self.steps.append(Step("append", self._paths[handle], data))

    def sync(self, handle: int) -> None:
        super().sync(handle)
        self.steps.append(Step("sync", self._paths[handle]))

    def truncate(self, path: Path, size: int) -> None:
        super().truncate(path, size)
        self.steps.append(Step("truncate", path, size=size))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        for handle, path in self._paths.items():
            if path == old:
                self._paths[handle] = new
        self.steps.append(Step("rename", old, other=new))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.steps.append(Step("unlink", path))

    def sync_dir(self, path: Path) -> None:
        super().sync_dir(path)
        self.steps.append(Step("sync_dir", path))

    def received(self, at_us: int) -> None:
        """Write down up to which instant footage has come."""
        self.steps.append(Step("received", Path(), size=at_us))

    def promise(self, until_us: int | None) -> None:
        """Write down what is claimed to be durable at this moment."""
        self.steps.append(Step("promise", Path(), size=until_us or 0))


class Crash(Enum):
    """What is kept of what was not fsync'd: names, and a share of the bytes (in halves)."""

    NOTHING = (False, 0)
    NAMES = (True, 0)
    BYTES = (False, 2)
    TORN = (True, 1)
    EVERYTHING = (True, 2)
    # Each folder's names and each file's bytes have a fate of their own.
    MIXED = (None, None)


@dataclass
class _Inode:
    data: bytes = b""
    synced: int = 0


@dataclass
class Disk:
    """The state after some steps."""

    live: dict[Path, _Inode] = field(default_factory=dict)
    durable: dict[Path, _Inode] = field(default_factory=dict)
    live_dirs: set[Path] = field(default_factory=set)
    durable_dirs: set[Path] = field(default_factory=set)
    promised_us: int = 0
    received_us: int = 0

    def do(self, step: Step) -> None:
        path = step.path
        if step.kind == "mkdir":
            self.live_dirs.add(path)
        elif step.kind == "create":
            self.live[path] = _Inode()
        elif step.kind == "append":
            self.live[path].data += step.data
        elif step.kind == "sync":
            self.live[path].synced = len(self.live[path].data)
        elif step.kind == "truncate":
            inode = self.live[path]
            inode.data = inode.data[: step.size]
            inode.synced = len(inode.data)
        elif step.kind == "rename":
            assert step.other is not None
            self.live[step.other] = self.live.pop(path)
        elif step.kind == "unlink":
            del self.live[path]
        elif step.kind == "sync_dir":
            self._sync_dir(path)
        elif step.kind == "received":
            self.received_us = step.size
        else:
            self.promised_us = max(self.promised_us, step.size)

    def _sync_dir(self, folder: Path) -> None:
        self.durable = {p: i for p, i in self.durable.items() if p.parent != folder}
        self.durable |= {p: i for p, i in self.live.items() if p.parent == folder}
        self.durable_dirs |= {d for d in self.live_dirs if d.parent == folder}

    def leave(self, crash: Crash, old: Path, new: Path, dice: Random | None = None) -> None:
        """Lay out under ``new`` what a crash would leave under ``old``. ``dice``: for ``MIXED``."""
        names_kept, halves = crash.value
        dirs, names = self._names(names_kept, dice or Random(0))
        for folder in sorted(dirs):
            (new / folder.relative_to(old)).mkdir(parents=True, exist_ok=True)
        for path, inode in names.items():
            target = new / path.relative_to(old)
            if not target.parent.is_dir():
                continue  # its folder was lost
            unsynced = len(inode.data) - inode.synced
            if halves is None:
                kept = (dice or Random(0)).choice((0, unsynced, unsynced * 2 // 3))
            else:
                kept = unsynced * halves // 2
            target.write_bytes(inode.data[: inode.synced + kept])

    def _names(self, kept: bool | None, dice: Random) -> tuple[set[Path], dict[Path, _Inode]]:
        if kept is not None:
            return (self.live_dirs, self.live) if kept else (self.durable_dirs, self.durable)
        folders = sorted({path.parent for path in (*self.live, *self.durable)})
        fates = {folder: dice.random() < 0.5 for folder in folders}
        names = {p: i for p, i in self.durable.items() if not fates[p.parent]}
        names |= {p: i for p, i in self.live.items() if fates[p.parent]}
        unsure = sorted(self.live_dirs - self.durable_dirs)
        return self.durable_dirs | {d for d in unsure if dice.random() < 0.5}, names
