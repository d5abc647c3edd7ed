"""Sound out of RTP packets: AAC (RFC 3640, RFC 6416), Opus (RFC 7587), and plain samples. Pure."""

from collections.abc import Mapping

from bidwitness.rtsp.units import Raw

AAC_SAMPLES = 1024
_MAX_FRAME = 64 * 1024
# Samples at 48 kHz of one frame by an Opus packet's configuration (RFC 6716, 3.1).
_OPUS_FRAMES = (
    *(480, 960, 1920, 2880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)


class PlainPayload:
    """Samples of ``width`` bytes an instant: G.711 (1) or PCM; what is cut off is left out.

    Packets that follow each other without a break are one block: each block costs as much as a
    picture in all that comes later, and there are fifty packets a second.
    """

    gathers = True

    def __init__(self, width: int) -> None:
        self._width = width
        self._parts: list[bytes] = []
        self._stamp = 0
        self._count = 0

    def take(
        self, data: bytes, at: int, end: int, stamp: int, _marked: bool, _lost: bool
    ) -> list[Raw] | None:
        count = (end - at) // self._width
        if count <= 0:
            return None
        done = None
        if self._count and stamp != self._stamp + self._count & 0xFFFFFFFF:
            done = self.rest()
        if not self._count:
            self._stamp = stamp
        self._parts.append(data[at : at + count * self._width])
        self._count += count
        return done

    def rest(self) -> list[Raw] | None:
        """Give what has come since the last time."""
        if not self._count:
            return None
        made = Raw(b"".join(self._parts), self._stamp, duration=self._count)
        self._parts.clear()
        self._count = 0
        return [made]


class OpusPayload:
    """A packet is a frame."""

    gathers = False

    def take(
        self, data: bytes, at: int, end: int, stamp: int, _marked: bool, _lost: bool
    ) -> list[Raw] | None:
        if end <= at:
            return None
        packet = data[at:end]
        return [Raw(packet, stamp, duration=opus_samples(packet))]

    def rest(self) -> list[Raw] | None:
        """Nothing is held back that is whole."""
        return None


def opus_samples(packet: bytes) -> int:
    """Give how many samples at 48 kHz an Opus packet holds (RFC 6716, 3)."""
    code = packet[0] & 3
    if code == 0:
        frames = 1
    elif code < 3:
        frames = 2
    else:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    return frames * _OPUS_FRAMES[packet[0] >> 3]


class AacPayload:
    """AAC frames behind a list of their lengths (RFC 3640, 3.2); long ones come in parts."""

    gathers = False

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._size_bits = _number(parameters, "sizelength", 13)
        index = _number(parameters, "indexlength", 3)
        delta = _number(parameters, "indexdeltalength", 3)
        self._first_bits, self._next_bits = self._size_bits + index, self._size_bits + delta
        self._index, self._delta = index, delta
        self._part = b""
        self._part_size = 0
        self._part_stamp = -1

    def take(
        self, data: bytes, at: int, end: int, stamp: int, _marked: bool, lost: bool
    ) -> list[Raw] | None:
        if lost or stamp != self._part_stamp:
            self._part = b""
        if end - at < 2:
            return None
        bits = data[at] << 8 | data[at + 1]
        head_end = at + 2 + (bits + 7) // 8
        if head_end >= end:
            return None
        sizes = self._sizes(int.from_bytes(data[at + 2 : head_end]), (bits + 7) // 8 * 8, bits)
        if len(sizes) == 1 and sizes[0] > end - head_end:
            return self._grown(data[head_end:end], sizes[0], stamp)
        made = []
        for number, size in enumerate(sizes):
            frame = data[head_end : min(head_end + size, end)]
            if len(frame) < size or not frame:
                break
            made.append(Raw(frame, stamp + number * AAC_SAMPLES & 0xFFFFFFFF, duration=AAC_SAMPLES))
            head_end += size
        return made or None

    def _sizes(self, headers: int, length: int, bits: int) -> list[int]:
        found: list[int] = []
        used = 0
        while True:
            width = self._next_bits if found else self._first_bits
            if width <= 0 or used + width > bits:
                return found
            used += width
            entry = headers >> length - used & (1 << width) - 1
            found.append(entry >> (self._delta if len(found) else self._index))

    def _grown(self, piece: bytes, size: int, stamp: int) -> list[Raw] | None:
        """A frame that comes in several packets of the same stamp."""
        if size > _MAX_FRAME:
            return None
        self._part += piece
        self._part_stamp = stamp
        if len(self._part) < size:
            return None
        whole, self._part = self._part[:size], b""
        return [Raw(whole, stamp, duration=AAC_SAMPLES)]

    def rest(self) -> list[Raw] | None:
        """Nothing is held back that is whole."""
        return None


class LatmPayload:
    """AAC as MP4A-LATM, its configuration in the description (RFC 6416, 6)."""

    gathers = False

    def __init__(self) -> None:
        self._held = b""
        self._stamp = -1

    def take(
        self, data: bytes, at: int, end: int, stamp: int, marked: bool, lost: bool
    ) -> list[Raw] | None:
        if lost or stamp != self._stamp:
            self._held = b""
            self._stamp = stamp
        self._held += data[at:end]
        if len(self._held) > _MAX_FRAME:
            self._held = b""
        if not marked:
            return None
        held, self._held = self._held, b""
        made: list[Raw] = []
        while held:
            size = place = 0
            while place < len(held) and held[place] == 0xFF:
                size += 255
                place += 1
            if place >= len(held):
                break
            size += held[place]
            frame = held[place + 1 : place + 1 + size]
            if len(frame) < size or not frame:
                break
            number = len(made)
            made.append(Raw(frame, stamp + number * AAC_SAMPLES & 0xFFFFFFFF, duration=AAC_SAMPLES))
            held = held[place + 1 + size :]
        return made or None

    def rest(self) -> list[Raw] | None:
        """Nothing is held back that is whole."""
        return None


def latm_config(text: str) -> bytes:
    """Give the AudioSpecificConfig in a StreamMuxConfig in hexadecimal (ISO/IEC 14496-3, 1.7.3).

    Nothing for any but the one plain kind that cameras send: one program, one layer.
    """
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return b""
    length = 8 * len(data)
    value = int.from_bytes(data)
    # audioMuxVersion 0, same framing, no further sub-frames, programs or layers: 1+1+6+4+3 bits.
    if length < 15 + 16 or value >> length - 15 != 0x2000 or value >> length - 20 & 0x1F == 31:
        return b""
    left = length - 15
    config = (value & (1 << left) - 1) >> max(0, left - 16)
    return config.to_bytes(2)


def opus_head(channels: int) -> bytes:
    """Give the OpusHead of a stream that has none (RFC 7845, 5.1)."""
    return b"OpusHead" + bytes((1, channels, 0, 0)) + (48_000).to_bytes(4, "little") + bytes(3)


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) <= 32 else default
