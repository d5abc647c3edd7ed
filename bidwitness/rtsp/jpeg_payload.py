"""JPEG pictures out of RTP packets (RFC 2435): the headers that RTP leaves out are made. Pure."""

import struct
from dataclasses import dataclass

from bidwitness.rtsp.units import MAX_UNIT, Raw

_EOI = b"\xff\xd9"
_RESTARTS = 64
_TABLES_FOLLOW = 128
# Quantisation by ITU-T T.81, K.1, in zigzag order: brightness, colour.
_BRIGHTNESS = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
    "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
)
_COLOUR = bytes.fromhex(
    "1112121815182f1a1a2f63423842636363636363636363636363636363636363"
    "6363636363636363636363636363636363636363636363636363636363636363"
)
# Huffman tables by T.81, K.3: how many codes of each length, and what they stand for.
_DC_VALUES = bytes(range(12))
_DC_BRIGHTNESS = bytes.fromhex("00010501010101010100000000000000")
_DC_COLOUR = bytes.fromhex("00030101010101010101010000000000")
_AC_BRIGHTNESS = bytes.fromhex("0002010303020403050504040000017d")
_AC_BRIGHTNESS_VALUES = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f0"
    "2433627282090a161718191a25262728292a3435363738393a43444546474849"
    "4a535455565758595a636465666768696a737475767778797a83848586878889"
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5"
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
    "f9fa"
)
_AC_COLOUR = bytes.fromhex("00020102040403040705040400010277")
_AC_COLOUR_VALUES = bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0"
    "156272d10a162434e125f11718191a262728292a35363738393a434445464748"
    "494a535455565758595a636465666768696a737475767778797a828384858687"
    "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3"
    "c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
    "f9fa"
)


@dataclass(frozen=True, slots=True)
class _Head:
    """What a picture's packets say of it; the size counts in eights."""

    kind: int
    quality: int
    width: int
    height: int
    restart: int


class JpegPayload:
    """Puts pictures together. One of which a packet is lost is given as far as it came."""

    gathers = False

    def __init__(self) -> None:
        self._head: _Head | None = None
        self._tables: dict[int, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._stamp = -1

    def take(
        self, data: bytes, at: int, end: int, stamp: int, marked: bool, _lost: bool
    ) -> list[Raw] | None:
        done = None
        if stamp != self._stamp:
            done = self._finish()
            self._stamp = stamp
        if end - at < 8:
            return done
        offset = int.from_bytes(data[at + 1 : at + 4])
        kind, quality, width, height = data[at + 4 : at + 8]
        at += 8
        restart = 0
        if kind >= _RESTARTS:
            restart = int.from_bytes(data[at : at + 2])
            at += 4
        if offset == 0:
            if quality >= _TABLES_FOLLOW:
                at = self._read_tables(data, at, end, quality)
            self._head = _Head(kind, quality, width, height, restart)
            self._parts.clear()
            self._size = 0
        if self._head is not None and at < end:
            self._parts.append(data[at:end])
            self._size += end - at
            if self._size > MAX_UNIT:
                self._head = None
                self._parts.clear()
        if marked:
            done = [*(done or ()), *(self._finish() or ())] or None
        return done

    def rest(self) -> list[Raw] | None:
        """Nothing is held back that is whole."""
        return None

    def _read_tables(self, data: bytes, at: int, end: int, quality: int) -> int:
        if end - at < 4:
            return end
        length = int.from_bytes(data[at + 2 : at + 4])
        stop = at + 4 + length
        if length and stop <= end:
            self._tables[quality] = data[at + 4 : stop]
        return stop

    def _finish(self) -> list[Raw] | None:
        head, self._head = self._head, None
        parts, self._parts = self._parts, []
        if head is None or not parts:
            return None
        tables = self._tables.get(head.quality) or _scaled(head.quality)
        scan = b"".join(parts)
        ending = b"" if scan.endswith(_EOI) else _EOI
        return [Raw(_headers(head, tables) + scan + ending, self._stamp)]


def _scaled(quality: int) -> bytes:
    """Give both tables for a quality of 1 to 99 (RFC 2435, 4.2)."""
    factor = min(max(quality, 1), 99)
    scale = 5000 // factor if factor < 50 else 200 - 2 * factor
    return bytes(min(max((value * scale + 50) // 100, 1), 255) for value in _BRIGHTNESS + _COLOUR)


def _headers(head: _Head, tables: bytes) -> bytes:
    half = len(tables) // 2 if len(tables) >= 128 else len(tables)
    quantisation = [tables[:half], tables[half : 2 * half]] if half < len(tables) else [tables]
    out = [b"\xff\xd8"]
    for number, table in enumerate(quantisation):
        wide = 0x10 if len(table) >= 128 else 0
        out.append(_segment(0xDB, bytes((wide | number,)) + table))
    if head.restart:
        out.append(_segment(0xDD, struct.pack(">H", head.restart)))
    # Brightness is sampled twice across, and for 4:2:0 (odd kinds) twice down as well.
    sampling = 0x22 if head.kind & 1 else 0x21
    colour = len(quantisation) - 1
    frame = struct.pack(">BHHB", 8, head.height * 8, head.width * 8, 3)
    frame += bytes((1, sampling, 0, 2, 0x11, colour, 3, 0x11, colour))
    out.append(_segment(0xC0, frame))
    for place, lengths, values in (
        (0x00, _DC_BRIGHTNESS, _DC_VALUES),
        (0x10, _AC_BRIGHTNESS, _AC_BRIGHTNESS_VALUES),
        (0x01, _DC_COLOUR, _DC_VALUES),
        (0x11, _AC_COLOUR, _AC_COLOUR_VALUES),
    ):
        out.append(_segment(0xC4, bytes((place,)) + lengths + values))
    out.append(_segment(0xDA, bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0))))
    return b"".join(out)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
