"""A log as files, in the form of C2SP's tlog-tiles: hashes by 256 in tiles, entries in bundles.

A tile at level L holds the roots of subtrees of 256^L entries. Everything but the checkpoint is
written once; the last tile of each level is there once for each width it has had (``.p/W``).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.merkle import (
    hash_leaf,
    hash_node,
    inclusion_ranges,
    root,
    split_at,
)

WIDTH = 256
HASH = 32
CHECKPOINT = "checkpoint"
_PATH = re.compile(
    r"tile/(?:[0-9]|[1-5][0-9]|entries)(?:/x[0-9]{3})*/[0-9]{3}(?:\.p/(?:[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_CACHED = 64


def is_tile_path(path: str) -> bool:
    """Say whether a path is one that a tile or bundle may have."""
    return _PATH.fullmatch(path) is not None


def tile_path(level: int | None, number: int, width: int = WIDTH) -> str:
    """Give the path of a tile, or of a bundle of entries where ``level`` is nothing."""
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.insert(0, f"x{number % 1000:03d}")
    kind = "entries" if level is None else str(level)
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{kind}/{'/'.join(parts)}{partial}"


def pack(entries: list[bytes]) -> bytes:
    """Give a bundle: each entry after its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack(data: bytes) -> list[bytes]:
    """Give a bundle's entries. Raises ``DamageFound``."""
    out: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise DamageFound("A bundle of entries of the log is cut short.")
        out.append(data[at + 2 : end])
        at = end
    return out


class Tiles:
    """Reads the tiles of a log of ``size`` entries. Raises ``DamageFound`` for what is not there."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self.size = size
        self._hashes = lru_cache(_CACHED)(self._read_hashes)
        self._entries = lru_cache(_CACHED)(self._read_entries)

    def entry(self, index: int) -> bytes:
        """Give an entry."""
        if not 0 <= index < self.size:
            raise DamageFound(f"The log has no entry {index}.")
        return self._entries(index // WIDTH)[index % WIDTH]

    def bundle(self, number: int) -> list[bytes]:
        """Give the entries of a bundle, as many as there are."""
        return self._entries(number)

    def hashes(self, level: int, number: int) -> list[bytes]:
        """Give the hashes of a tile, as many as there are."""
        return self._hashes(level, number)

    def root(self) -> bytes:
        """Give the root over all entries."""
        return self.range_root(0, self.size) if self.size else root([])

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Give every file of a log of just this size: its path below the shard's folder, its bytes."""
        for number in range((self.size + WIDTH - 1) // WIDTH):
            entries = self.bundle(number)
            yield tile_path(None, number, len(entries)), pack(entries)
        level, count = 0, self.size
        while count:
            for number in range((count + WIDTH - 1) // WIDTH):
                hashes = self.hashes(level, number)
                yield tile_path(level, number, len(hashes)), b"".join(hashes)
            level, count = level + 1, count // WIDTH

    def path(self, index: int) -> list[bytes]:
        """Give the inclusion proof of an entry. Raises ``ValueError`` if there is none."""
        return [self.range_root(low, high) for low, high in inclusion_ranges(index, self.size)]

    def range_root(self, low: int, high: int) -> bytes:
        """Give the root over entries ``low`` to ``high``, which the tree has as a subtree."""
        length = high - low
        if length & (length - 1):
            middle = low + split_at(length)
            return hash_node(self.range_root(low, middle), self.range_root(middle, high))
        level = (length.bit_length() - 1) // 8
        first, count = low >> (8 * level), length >> (8 * level)
        tile = self._hashes(level, first // WIDTH)
        held = tile[first % WIDTH : first % WIDTH + count]
        if len(held) != count:
            raise DamageFound(f"A tile of the log ({tile_path(level, first // WIDTH)}) is short.")
        return root(held)

    def _width(self, level: int, number: int) -> int:
        return min(WIDTH, (self.size >> (8 * level)) - number * WIDTH)

    def _read_hashes(self, level: int, number: int) -> list[bytes]:
        width = self._width(level, number)
        data = self._read(level, number, width)[: width * HASH] if width > 0 else b""
        if len(data) != max(width, 0) * HASH:
            raise DamageFound(f"A tile of the log ({tile_path(level, number)}) has a wrong size.")
        return [data[at : at + HASH] for at in range(0, len(data), HASH)]

    def _read_entries(self, number: int) -> list[bytes]:
        width = self._width(0, number)
        entries = unpack(self._read(None, number, width))[:width] if width > 0 else []
        if len(entries) != max(width, 0):
            raise DamageFound(f"A bundle of the log ({tile_path(None, number)}) has a wrong size.")
        return entries

    def _read(self, level: int | None, number: int, width: int) -> bytes:
        path = tile_path(level, number, width)
        try:
            return (self._folder / path).read_bytes()
        except OSError as error:
            # A narrow tile goes when it has become full: the log may have grown since.
            full = self._folder / tile_path(level, number)
            if full.is_file():
                return full.read_bytes()
            raise DamageFound(
                f"The log lacks {self._folder.name}/{path}: {error.strerror}."
            ) from None


def grown(before: Tiles, entries: list[bytes]) -> tuple[int, dict[str, bytes]]:
    """Give the size after adding entries, and every file that has to be there then and was not.

    Reads only the last tile of each level. Pure but for that.
    """
    files: dict[str, bytes] = {}
    first, size = before.size, before.size + len(entries)
    _fill(files, None, first, before.bundle(first // WIDTH) if first % WIDTH else [], entries)
    level, fresh = 0, [hash_leaf(entry) for entry in entries]
    while fresh:
        old = before.hashes(level, first // WIDTH) if first % WIDTH else []
        fresh = _fill(files, level, first, old, fresh)
        level, first = level + 1, first // WIDTH
    return size, files


def _fill(
    files: dict[str, bytes], level: int | None, first: int, old: list[bytes], fresh: list[bytes]
) -> list[bytes]:
    """Add a level's tiles from item ``first`` on; give the roots of those that became full."""
    number, items, full = first // WIDTH, [*old, *fresh], []
    for at in range(0, len(items), WIDTH):
        part = items[at : at + WIDTH]
        data = pack(part) if level is None else b"".join(part)
        files[tile_path(level, number, len(part))] = data
        number += 1
        if level is not None and len(part) == WIDTH:
            full.append(root(part))
    return full
