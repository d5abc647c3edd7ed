"""Films of a copy put together: the folder they are made in, what they were made from, the zip."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidwitness.errors import StorageFull
from bidwitness.player.selection import Selected

README = "README.txt"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and what is kept of how."""

    path: Path
    sha256: str
    record: dict[str, Any]


@contextmanager
def workshop(folder: Path) -> Iterator[None]:
    """Give an empty folder, and take it away in the end; one that was left by a kill as well."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sources_of(chosen: Sequence[Selected]) -> list[dict[str, Any]]:
    """Name the stored files that a film was made from, with their digests, and how much of each."""
    return [
        {
            "run": part.held.run,
            "run_seq": part.held.run_seq,
            "sha256": part.row.sha256.hex(),
            "fragments": len(part.pieces),
            "of": len(part.table.fragments),
        }
        for part in chosen
        if part.pieces
    ]


def pack(
    target: Path,
    files: Iterable[Path],
    record: tuple[str, dict[str, Any]],
    words: str,
    more: Mapping[str, bytes] | None = None,
) -> Made:
    """Put files, the record of their making and a word about them into one zip, not compressed.

    Raises ``StorageFull``; no half zip is left behind.
    """
    name, facts = record
    partial = target.with_name(target.name + ".part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bag:
            for file in files:
                bag.write(file, file.name)
            for title, body in (more or {}).items():
                bag.writestr(title, body)
            bag.writestr(name, json.dumps(facts, ensure_ascii=False, indent=1))
            bag.writestr(README, words)
        with partial.open("rb") as finished:
            digest = hashlib.file_digest(finished, "sha256").hexdigest()
        partial.rename(target)
    except OSError as error:
        raise StorageFull(f"The copy cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return Made(target, digest, facts)
