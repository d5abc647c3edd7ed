"""RTP: a loop cut into packets once, then only stamped with numbers when it is sent.

H.264 by RFC 6184 (single NAL units and FU-A), H.265 by RFC 7798 (single and FU), G.711 by
RFC 3551 (G.726 and PCM too), AAC by RFC 3640 (AAC-hbr), Opus by RFC 7587, JPEG by RFC 2435,
sender reports by RFC 3550. Pure.
"""

import struct
from dataclasses import dataclass

from bidwitness.simulator.loopfile import Loop
from bidwitness.simulator.rtp_jpeg import jpeg_payloads
from bidwitness.simulator.spec import Sets
from bidwitness.simulator.stamps import STAMP_LENGTH, FrameStamp, stamp_nal

MAX_PAYLOAD = 1400
PICTURE_RATE = 90_000
NTP_OFFSET = 2_208_988_800
"""Seconds from the NTP era (1900) to the Unix epoch."""

_FRAMING = 4
_HEADER = 12
_patch = struct.Struct(">HII").pack_into


@dataclass(frozen=True, slots=True)
class Template:
    """The packets of one unit, each with its interleaved framing and RTP header, as one string.

    ``starts`` holds the offset of each packet's ``$``; ``stamp`` that of the stamp's text, if
    the unit carries one. Channel, sequence number, timestamp and SSRC are blank.
    """

    data: bytes
    starts: tuple[int, ...]
    stamp: int | None = None

    @property
    def octets(self) -> int:
        """Bytes of RTP payload, as sender reports count them."""
        return len(self.data) - len(self.starts) * (_FRAMING + _HEADER)


def fill(template: Template, *, sequence: int, timestamp: int, ssrc: int, text: bytes) -> bytearray:
    """Give a template's packets with their numbers, and ``text`` as the stamp, on channel 0."""
    data = bytearray(template.data)
    timestamp &= 0xFFFFFFFF
    for start in template.starts:
        _patch(data, start + 6, sequence & 0xFFFF, timestamp, ssrc)
        sequence += 1
    if template.stamp is not None:
        data[template.stamp : template.stamp + STAMP_LENGTH] = text
    return data


def on_channel(data: bytearray, starts: tuple[int, ...], channel: int) -> bytes:
    """Give filled packets for an interleaved channel."""
    if channel:
        data = bytearray(data)
        for start in starts:
            data[start + 1] = channel
    return bytes(data)


def datagrams(data: bytes | bytearray, starts: tuple[int, ...]) -> list[memoryview]:
    """Give filled packets one by one without their interleaved framing, for UDP."""
    view = memoryview(data)
    ends = (*starts[1:], len(data))
    return [view[start + _FRAMING : end] for start, end in zip(starts, ends, strict=True)]


def picture_templates(
    loop: Loop, payload_type: int, sets_at: Sets = Sets.BOTH
) -> tuple[Template, ...]:
    """Cut a picture loop: parameter sets before each key frame, a stamp in each unit.

    JPEG has neither: RTP carries nothing but its slices and tables.
    """
    if loop.header["codec"] == "mjpeg":
        return tuple(
            _template(jpeg_payloads(picture, MAX_PAYLOAD), payload_type, stamped=None)
            for (picture,) in loop.units
        )
    hevc = loop.header["codec"] == "h265"
    blank = stamp_nal(FrameStamp(0, 0, "", "-"), hevc=hevc)
    sets = [bytes.fromhex(text) for text in loop.header["sets"]]
    keys = set(loop.header["keys"])
    made = []
    for index, unit in enumerate(loop.units):
        before = sets if index in keys and sets_at is not Sets.DECLARED else []
        payloads: list[bytes] = [*before, blank]
        for nal in unit:
            payloads += _fragments(nal, hevc=hevc)
        apart = len(before) - 1 if sets_at is Sets.APART else -1
        made.append(_template(payloads, payload_type, stamped=len(before), ends_at=apart))
    return tuple(made)


def sound_templates(loop: Loop, payload_type: int) -> tuple[Template, ...]:
    """Cut a sound loop: one packet a unit."""
    aac = loop.header["sound"] == "aac"
    made = []
    for (packet,) in loop.units:
        head = struct.pack(">HH", 16, len(packet) << 3) if aac else b""
        made.append(_template([head + packet], payload_type, stamped=None))
    return tuple(made)


def _template(
    payloads: list[bytes], payload_type: int, *, stamped: int | None, ends_at: int = -1
) -> Template:
    """Wrap payloads. ``ends_at``: a payload that ends an access unit before the last one does."""
    data = bytearray()
    starts: list[int] = []
    stamp = None
    for index, payload in enumerate(payloads):
        starts.append(len(data))
        # On the last packet of a unit stands the marker.
        marked = payload_type | (0x80 if index in (ends_at, len(payloads) - 1) else 0)
        data += struct.pack(">cBHBBHII", b"$", 0, _HEADER + len(payload), 0x80, marked, 0, 0, 0)
        data += payload
        if index == stamped:
            stamp = len(data) - 1 - STAMP_LENGTH
    return Template(bytes(data), tuple(starts), stamp)


def _fragments(nal: bytes, *, hevc: bool) -> list[bytes]:
    if len(nal) <= MAX_PAYLOAD:
        return [nal]
    if hevc:
        kind, skip = nal[0] >> 1 & 0x3F, 2
        indicator = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    else:
        kind, skip = nal[0] & 0x1F, 1
        indicator = bytes((nal[0] & 0xE0 | 28,))
    room = MAX_PAYLOAD - len(indicator) - 1
    pieces = [nal[i : i + room] for i in range(skip, len(nal), room)]
    made = []
    for index, piece in enumerate(pieces):
        first, last = index == 0, index == len(pieces) - 1
        made.append(indicator + bytes((first << 7 | last << 6 | kind,)) + piece)
    return made


def sender_report(*, ssrc: int, utc_us: int, timestamp: int, packets: int, octets: int) -> bytes:
    """Give a compound RTCP packet: a sender report that ties ``timestamp`` to UTC, and a name."""
    seconds, rest = divmod(utc_us, 1_000_000)
    fraction = (rest << 32) // 1_000_000
    report = struct.pack(
        ">BBHIIIIII", 0x80, 200, 6, ssrc, (seconds + NTP_OFFSET) & 0xFFFFFFFF, fraction,
        timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF,
    )  # fmt: skip
    item = b"\1\3cam\0"
    item += b"\0" * (-(len(item) + 4) % 4)
    return report + struct.pack(">BBHI", 0x81, 202, (len(item) + 4) // 4, ssrc) + item


def interleaved(channel: int, packet: bytes) -> bytes:
    """Wrap one packet for an RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet
