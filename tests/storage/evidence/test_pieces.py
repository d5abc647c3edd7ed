"""Pieces of a file: whole or refused."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence_session import box, media_pieces

from bidwitness.storage.evidence.pieces import BadMedia, read_pieces

PIECES = media_pieces("cam-a/1")
WHOLE = b"".join(PIECES)


class Dripping:
    """Gives less than it is asked for, as sockets and archives do."""

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, 3))


def test_the_pieces_are_the_file() -> None:
    assert list(read_pieces(io.BytesIO(WHOLE))) == PIECES
    assert list(read_pieces(Dripping(WHOLE))) == PIECES


def test_a_box_with_a_large_size() -> None:
    body = b"x" * 20
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + len(body)) + body
    piece = box(b"moof", b"") + large
    assert list(read_pieces(io.BytesIO(PIECES[0] + piece))) == [PIECES[0], piece]


@pytest.mark.parametrize("cut", [1, 7, 8, 30, len(PIECES[0]) + 3, len(WHOLE) - 1])
def test_a_file_that_ends_within_a_piece(cut: int) -> None:
    with pytest.raises(BadMedia, match="ends within a box"):
        list(read_pieces(io.BytesIO(WHOLE[:cut])))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        box(b"moov", b"") + box(b"ftyp", b""),
        PIECES[0] + box(b"mdat", b"") + box(b"moof", b""),
        PIECES[0] + PIECES[0],
        struct.pack(">I4s", 0, b"ftyp"),
        struct.pack(">I4s", 7, b"ftyp"),
        struct.pack(">I4sQ", 1, b"ftyp", 15),
        struct.pack(">I4sQ", 1, b"ftyp", 2**63),
    ],
)
def test_what_is_no_piece(data: bytes) -> None:
    with pytest.raises(BadMedia):
        list(read_pieces(io.BytesIO(data)))


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=12))
def test_whatever_the_bytes_are(position: int, junk: bytes) -> None:
    data = WHOLE[:position] + junk + WHOLE[position + len(junk) :]
    try:
        assert b"".join(read_pieces(io.BytesIO(data))) == data
    except BadMedia:
        return
