"""The pieces of a stored file: the init (``ftyp+moov``), then each fragment (``moof+mdat``).

Only the boxes' headers are read. The concatenation of the pieces is the file, byte for byte.
"""

import struct
from collections.abc import Iterator
from typing import Protocol

# More than any half second of any camera; keeps a hostile length from filling the memory.
PIECE_LIMIT = 256 * 1024 * 1024


class BadMedia(ValueError):
    """Bytes that are not a sequence of whole pieces."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_pieces(source: Readable) -> Iterator[bytes]:
    """Give the pieces of a file, the init first.

    Raises ``BadMedia`` where the bytes are no piece; whatever they are, never anything else.
    """
    pair = (b"ftyp", b"moov")
    while True:
        head = _read_box(source, pair[0], first=True)
        if not head:
            if pair[0] == b"ftyp":
                raise BadMedia("the file is empty")
            return
        yield head + _read_box(source, pair[1], first=False)
        pair = (b"moof", b"mdat")


def _read_box(source: Readable, kind: bytes, *, first: bool) -> bytes:
    header = _exactly(source, 8, may_end=first)
    if not header:
        return b""
    size, found = struct.unpack(">I4s", header)
    if found != kind:
        raise BadMedia(f"a box {kind.decode()} is needed, not {found!r}")
    if size == 1:
        header += _exactly(source, 8)
        size = struct.unpack(">Q", header[8:])[0]
    if not len(header) <= size <= PIECE_LIMIT:
        raise BadMedia(f"a box {kind.decode()} of {size} bytes cannot be")
    return header + _exactly(source, size - len(header))


def _exactly(source: Readable, size: int, *, may_end: bool = False) -> bytes:
    data = source.read(size)
    while data and len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    if len(data) < size and (data or not may_end):
        raise BadMedia("the file ends within a box")
    return data
