"""What a folder's store holds, by key and version, from any place on."""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bidwitness.storage.store.base import DIGEST_MARK, Found, Listed, Page, Place

NAME = re.compile(
    rf"(?P<stem>.+){re.escape(DIGEST_MARK)}(?P<sha>[0-9a-f]{{64}})(?P<suffix>\.[^.]*)?\Z"
)


def walk(root: Path, prefix: str, start: str = "") -> Iterator[tuple[str, Path]]:
    """Give each object whose key begins with ``prefix``, from the key ``start`` on, as an S3
    server sorts: by key, and by version within it."""
    folder = prefix.rpartition("/")[0]
    for key, path in _below(root / folder, f"{folder}/" if folder else "", start):
        if key.startswith(prefix):
            yield key, path


def _below(folder: Path, prefix: str, start: str) -> Iterator[tuple[str, Path]]:
    entries: list[tuple[str, Path]] = []
    # What is removed while we look was there, or was not: both are true.
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            match = NAME.match(path.name)
            if match:
                key = f"{prefix}{match['stem']}{match['suffix'] or ''}"
                if key >= start:
                    entries.append((key, path))
            elif not path.name.startswith(".") and path.is_dir():
                key = f"{prefix}{path.name}/"
                if key > start or start.startswith(key):
                    entries.append((key, path))
    for key, path in sorted(entries):
        if key.endswith("/"):
            yield from _below(path, key, start)
        else:
            yield key, path


def found(key: str, path: Path) -> Found:
    """Describe the object at ``path``."""
    version = version_of(path)
    return Found(key, version, path.stat().st_size, bytes.fromhex(version))


def version_of(path: Path) -> str:
    match = NAME.match(path.name)
    return match["sha"] if match else ""


def page_of(root: Path, prefix: str, after: Place | None, limit: int) -> Page:
    """Give the next ``limit`` versions behind ``after``."""
    listed: list[Listed] = []
    entries = walk(root, prefix, after.key if after else "")
    for key, group in itertools.groupby(entries, key=lambda entry: entry[0]):
        for version in _versions(key, [path for _, path in group]):
            if after is not None and key == after.key and _seen(version.version, after.version):
                continue
            if len(listed) == limit:
                return Page(tuple(listed), Place(listed[-1].key, listed[-1].version))
            listed.append(version)
    return Page(tuple(listed), None)


def _seen(version: str, behind: str) -> bool:
    return not behind or version <= behind


def _versions(key: str, paths: list[Path]) -> list[Listed]:
    """Describe the versions of one key; the newest is the one last changed."""
    stats: list[tuple[Path, os.stat_result]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            stats.append((path, path.stat()))
    newest = max((stat.st_mtime_ns for _, stat in stats), default=0)
    return [
        Listed(
            key=key,
            version=version_of(path),
            size=stat.st_size,
            marker=False,
            newest=stat.st_mtime_ns == newest,
            changed_us=stat.st_mtime_ns // 1000,
        )
        for path, stat in stats
    ]
