"""What a backup holds: its files with their digests, and how far the log had come."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bidwitness.errors import DamageFound

NAME, SEALED_NAME = "manifest.json", "manifest.sealed"
FORMAT = "bidwitness backup 1"
INDEX, LOG, TRUST, KEYS = "index.db", "log", "trust", "keys.sealed"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the backup: its place in it, its size and digest."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LogHead:
    """A shard of the log: how far it had come. ``state``: ``whole``, ``damaged``, ``missing``, or
    ``given_up`` (then nobody checked it)."""

    shard: str
    size: int
    root: str
    state: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``made_us``: when the backup was made (µs UTC). ``revision``: of the index's tables.
    ``database``: of what kind the index was. ``keys``: the names of the key files."""

    site: str
    version: str
    revision: str
    made_us: int
    database: str
    keys: tuple[str, ...]
    log: tuple[LogHead, ...]
    files: tuple[Kept, ...]

    def to_bytes(self) -> bytes:
        """Give it as it is written."""
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(kept.bytes for kept in self.files)


def read_manifest(folder: Path) -> Manifest:
    """Read a backup's manifest. Raises ``DamageFound`` if there is none, or none that is known."""
    try:
        body: dict[str, Any] = json.loads((folder / NAME).read_bytes())
        if body.pop("format") != FORMAT:
            raise DamageFound(f"{folder} is a backup of a form that this program does not know.")
        heads = tuple(LogHead(**head) for head in body.pop("log"))
        files = tuple(Kept(**kept) for kept in body.pop("files"))
        keys = tuple(map(str, body.pop("keys")))
        return Manifest(log=heads, files=files, keys=keys, **body)
    except OSError as error:
        raise DamageFound(f"{folder} is no backup: {NAME}: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DamageFound(f"{folder}: {NAME} is damaged.") from None


def kept_in(folder: Path) -> Iterator[Kept]:
    """Give every file below ``folder``, by its path, but the manifest. Raises ``DamageFound`` for
    what is neither file nor folder."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DamageFound(f"The backup holds {place}, which is no plain file.")
        if path.is_file() and place not in (NAME, SEALED_NAME):
            yield Kept(place, path.stat().st_size, _digest(path))


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises ``DamageFound`` if a file is missing, differs, or is one too many."""
    wanted = {kept.path: kept for kept in manifest.files}
    for name in wanted:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise DamageFound(f"{NAME} names a file outside of the backup.")
    present = {kept.path: kept for kept in kept_in(folder)}
    for name in sorted(present.keys() | wanted.keys()):
        if name not in present:
            raise DamageFound(f"The backup lacks {name}.")
        if name not in wanted:
            raise DamageFound(f"The backup holds {name}, which its manifest does not name.")
        if present[name] != wanted[name]:
            raise DamageFound(f"In the backup {name} is not what it was when it was made.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
