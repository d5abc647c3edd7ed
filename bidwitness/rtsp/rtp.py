"""One track's RTP packets (RFC 3550): order, losses, stamps without wrapping, sender reports. Pure.

This runs for every packet, some hundred times a second for a camera: it reads bytes in place and
makes nothing that it need not.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from bidwitness.rtsp.units import Raw

US = 1_000_000
# Seconds from the era of NTP (1900) to that of Unix.
_NTP_OFFSET = 2_208_988_800
_SENDER_REPORT, _RECEIVER_REPORT, _BYE = 200, 201, 203
_HEAD = struct.Struct(">BBHI").unpack_from
_SENDER = struct.Struct(">IIII")
# A step ahead of more than this is another line of numbers, not a loss (RFC 3550, A.1).
_MOST_LOST = 3000
_HALF = 1 << 15
_NOTHING: list[Raw] = []


class Payload(Protocol):
    """Puts units together out of payloads."""

    def take(
        self, data: bytes, at: int, end: int, stamp: int, marked: bool, lost: bool
    ) -> list[Raw] | None:
        """Take the payload ``data[at:end]``; give what is whole by it.

        ``lost``: packets are missing before it.
        """

    @property
    def gathers(self) -> bool:
        """Say whether it holds back what is whole until it is asked for the rest."""

    def rest(self) -> list[Raw] | None:
        """Give what is whole and was held back."""


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report: the camera's UTC of a stamp."""

    camera_us: int
    stamp: int


class TrackReader:
    """Takes a track's RTP packets in the order in which they come."""

    def __init__(self, payload: Payload, payload_type: int, rate: int) -> None:
        self.rate = rate
        self.received = 0
        self.lost = 0
        # Packets that are none of this track's, or broken.
        self.strange = 0
        self.report: Report | None = None
        self.ssrc = b""
        self.gathers = payload.gathers
        self._payload = payload
        self._take_payload = payload.take
        self._type = payload_type
        self._next = self._anew = -1
        # The stamp as it came last, and what has to be added to it.
        self._raw = -1
        self._base: int | None = None
        self._transit: int | None = None
        self._jitter = 0

    @property
    def highest(self) -> int:
        """Give the sequence number that came last (RFC 3550's highest received)."""
        return (self._next - 1) & 0xFFFF

    @property
    def jitter(self) -> int:
        """Give the jitter between arrivals in ticks (RFC 3550, A.8)."""
        return self._jitter >> 4

    def take(self, data: bytes, at: int, end: int, arrived_us: int) -> list[Raw]:
        """Take the packet ``data[at:end]``; give the units that are whole by it."""
        if end - at < 12:
            self.strange += 1
            return _NOTHING
        first, kind, number, stamp = _HEAD(data, at)
        marked = kind > 0x7F
        if (
            stamp == self._raw
            and number == self._next
            and first == 0x80
            and kind & 0x7F == self._type
        ):
            # Most packets are one more of a picture, with nothing remarkable about them.
            self._next = number + 1 & 0xFFFF
            self.received += 1
            return self._take_payload(data, at + 12, end, stamp, marked, False) or _NOTHING
        if first & 0xC0 != 0x80 or kind & 0x7F != self._type:
            self.strange += 1
            return _NOTHING
        start = at + 12
        if first & 0x3F:
            start, end = _bare(data, at, end)
            if start > end:
                self.strange += 1
                return _NOTHING
        return self._take(data, (at, start, end), number, stamp, marked, arrived_us)

    def _take(
        self,
        data: bytes,
        place: tuple[int, int, int],
        number: int,
        stamp: int,
        marked: bool,
        arrived_us: int,
    ) -> list[Raw]:
        """Take a packet by all rules; ``place``: where it, its payload, and that one's end are."""
        at, start, end = place
        lost = False
        if number != self._next and self._next >= 0:
            step = number - self._next & 0xFFFF
            if step >= _HALF and 0x10000 - step < _MOST_LOST and number != self._anew:
                # It came twice, or too late; with the next one it is a camera that counts anew.
                self._anew = number + 1 & 0xFFFF
                self.strange += 1
                return _NOTHING
            lost = True
            self.lost += step if step < _MOST_LOST else 0
        self._next = number + 1 & 0xFFFF
        self.received += 1
        if stamp != self._raw or self._base is None:
            if data[at + 8 : at + 12] != self.ssrc:
                if self.ssrc:
                    # Another sender: its reports and stamps are of another line.
                    self.report = self._transit = None
                self.ssrc = data[at + 8 : at + 12]
            self._raw = stamp
            self._note_arrival(stamp, arrived_us)
            if self._base is None:
                self._base = stamp
        return self._take_payload(data, start, end, stamp, marked, lost) or _NOTHING

    def rest(self) -> list[Raw]:
        """Give what is whole and was held back."""
        return self._payload.rest() or _NOTHING

    def extended(self, stamp: int) -> int:
        """Give a stamp that does not wrap: near to the one that came last."""
        assert self._base is not None
        step = stamp - self._base & 0xFFFFFFFF
        if step >= 1 << 31:
            step -= 1 << 32
        place = self._base + step
        # Units are given in their order: what is remembered follows them.
        self._base = place
        return place

    def _note_arrival(self, stamp: int, arrived_us: int) -> None:
        transit = arrived_us * self.rate // US - stamp & 0xFFFFFFFF
        if self._transit is not None:
            step = transit - self._transit & 0xFFFFFFFF
            step = min(step, (1 << 32) - step)
            if step < self.rate:
                self._jitter += step - (self._jitter + 8 >> 4)
        self._transit = transit

    def take_report(self, data: bytes, at: int, end: int) -> bool:
        """Take a compound RTCP packet; say whether it says goodbye."""
        gone = False
        while end - at >= 8 and data[at] & 0xC0 == 0x80:
            length = 4 + 4 * (data[at + 2] << 8 | data[at + 3])
            kind = data[at + 1]
            if kind == _SENDER_REPORT and length >= 28 and end - at >= 28:
                seconds, fraction, stamp, _ = _SENDER.unpack_from(data, at + 8)
                if seconds:
                    utc = (seconds - _NTP_OFFSET) * US + (fraction * US >> 32)
                    # The era of NTP ends in 2036.
                    utc += (1 << 32) * US if seconds < _NTP_OFFSET else 0
                    self.report = Report(utc, stamp)
            gone = gone or kind == _BYE
            at += length
        return gone

    def camera_us(self, stamp: int) -> int | None:
        """Give the camera's UTC of a stamp (of 32 bits), if it has said what it is."""
        if self.report is None:
            return None
        step = stamp - self.report.stamp & 0xFFFFFFFF
        if step >= 1 << 31:
            step -= 1 << 32
        return self.report.camera_us + step * US // self.rate


def _bare(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Give where a packet's payload begins and ends behind what its header announces."""
    first = data[at]
    start = at + 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > end:
            return 1, 0
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    if first & 0x20:
        end -= data[end - 1]
    return start, end


def receiver_report(own: int, reader: TrackReader) -> bytes:
    """Give a receiver report about a track, with our name (RFC 3550, 6.4.2)."""
    lost = min(reader.lost, 0x7FFFFF)
    block = struct.pack(
        ">4sIIIII", reader.ssrc.rjust(4, b"\0"), lost, reader.highest, reader.jitter, 0, 0
    )
    head = struct.pack(">BBHI", 0x81, _RECEIVER_REPORT, 7, own)
    name = b"\1\12bidwitness"
    name += b"\0" * (4 - (len(name) & 3))
    return head + block + struct.pack(">BBHI", 0x81, 202, 1 + len(name) // 4, own) + name
