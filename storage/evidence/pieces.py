"""The pieces of a stored file: the init (``ftyp+moov``), then each fragment (``moof+mdat``).

Only the boxes' headers are read. The concatenation of the pieces is the file, byte for byte.
"""

import struct
from collections.abc import Iterator
from typing import Protocol

# More than any half second of any camera; keeps a hostile length from filling the memory.
PIECE_LIMIT = 256 * 1024 * 1024
# Long enough that a hash works without the interpreter's lock nearly all of the time.
BLOCK = 1 << 20


class BadMedia(ValueError):
    """Bytes that are not a sequence of whole pieces."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_pieces(source: Readable) -> Iterator[memoryview]:
    """Give the pieces of a file, the init first, as views of what was read in long blocks.

    Raises ``BadMedia`` where the bytes are no piece; whatever they are, never anything else.
    """
    blocks = _Blocks(source)
    pair = (b"ftyp", b"moov")
    while blocks.holds(1):
        first = _box_size(blocks, 0, pair[0])
        whole = first + _box_size(blocks, first, pair[1])
        if not blocks.holds(whole):
            raise BadMedia("the file ends within a box")
        yield blocks.take(whole)
        pair = (b"moof", b"mdat")
    if pair[0] == b"ftyp":
        raise BadMedia("the file is empty")


class _Blocks:
    """Bytes that have been read and not yet taken."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._held = b""
        self._at = 0

    def holds(self, size: int) -> bool:
        """Read on until ``size`` bytes are at hand; say whether the file has that many."""
        if len(self._held) - self._at >= size:
            return True
        parts = [self._held[self._at :]]
        length = len(parts[0])
        while length < size and (data := self._source.read(BLOCK)):
            parts.append(data)
            length += len(data)
        self._held, self._at = b"".join(parts), 0
        return length >= size

    def header(self, offset: int, size: int) -> bytes:
        if not self.holds(offset + size):
            raise BadMedia("the file ends within a box")
        start = self._at + offset
        return self._held[start : start + size]

    def take(self, size: int) -> memoryview:
        start, self._at = self._at, self._at + size
        return memoryview(self._held)[start : self._at]


def _box_size(blocks: _Blocks, offset: int, kind: bytes) -> int:
    header = blocks.header(offset, 8)
    size, found = struct.unpack(">I4s", header)
    if found != kind:
        raise BadMedia(f"a box {kind.decode()} is needed, not {found!r}")
    shortest = 8
    if size == 1:
        shortest = 16
        size = struct.unpack(">Q", blocks.header(offset + 8, 8))[0]
    if not shortest <= size <= PIECE_LIMIT:
        raise BadMedia(f"a box {kind.decode()} of {size} bytes cannot be")
    return int(size)
