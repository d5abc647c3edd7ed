"""JPEG in RTP packets (RFC 2435): baseline, 4:2:0, tables in each picture's first packet. Pure."""

import struct

_TYPE_420 = 1
_TABLES_FOLLOW = 255
_DQT, _SOF0, _SOS = 0xDB, 0xC0, 0xDA


def jpeg_payloads(picture: bytes, limit: int) -> list[bytes]:
    """Give the payloads of a JPEG picture, each of at most ``limit`` bytes.

    A side that does not count in eights is said to be a little longer: there is no other way.
    Raises ``ValueError`` for anything but a baseline 4:2:0 picture of up to 2040 x 2040 pixels.
    """
    tables, width, height, scan = _parts(picture)
    # A coder may use one table for brightness and colour; receivers want two.
    tables *= 128 // (len(tables) or 128)
    if len(tables) != 128 or max(width, height) > 2040:
        raise ValueError("RTP carries JPEG with two tables and of up to 2040 x 2040 pixels")
    made: list[bytes] = []
    offset = 0
    while offset < len(scan):
        kind = (_TYPE_420, _TABLES_FOLLOW, -(-width // 8), -(-height // 8))
        head = struct.pack(">I4B", offset, *kind)
        if not offset:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        size = limit - len(head)
        made.append(head + scan[offset : offset + size])
        offset += size
    return made


def _parts(picture: bytes) -> tuple[bytes, int, int, bytes]:
    """Give quantisation tables, width, height and the coded picture."""
    tables, width, height = b"", 0, 0
    at = 2
    while at + 4 <= len(picture) and picture[at] == 0xFF:
        kind, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4])
        body = picture[at + 4 : at + 2 + length]
        at += 2 + length
        if kind == _DQT:
            while len(body) >= 65:
                tables, body = tables + body[1:65], body[65:]
        elif kind == _SOF0:
            height, width = struct.unpack_from(">HH", body, 1)
        elif kind == _SOS:
            end = picture.rfind(b"\xff\xd9")
            return tables, width, height, picture[at : end if end > at else None]
    raise ValueError("this is not a baseline JPEG picture")
