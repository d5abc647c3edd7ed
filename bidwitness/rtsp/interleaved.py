"""Media over RTSP's own connection (RFC 2326, 10.12): frames of ``$``, channel, length, packet.

Between two frames there may be RTSP messages, and from a broken camera anything.
"""

import struct
from collections.abc import Iterator, Mapping

from bidwitness.rtsp.messages import MAX_MESSAGE, Message, NotRtsp, read_message
from bidwitness.rtsp.rtp import TrackReader
from bidwitness.rtsp.units import Raw

_FRAME = struct.Struct(">BBH").unpack_from
# What lies between two frames that nobody understands may be so much.
_MOST_STRANGE = 1 << 20


class TooStrange(ValueError):
    """What comes is no RTSP any more."""


class Interleaved:
    """Takes an RTSP connection's bytes apart. ``readers``: by their place, with both channels."""

    def __init__(self, readers: Mapping[int, tuple[int, TrackReader]]) -> None:
        # Of each channel: the track's place, its reader, whether it carries reports.
        self._channels = {
            channel + odd: (place, reader, bool(odd))
            for channel, (place, reader) in readers.items()
            for odd in (0, 1)
        }
        self._strange = 0
        self._left = b""
        self.gone = False
        self.messages: list[Message] = []

    def feed(self, data: bytes, arrived_us: int) -> Iterator[tuple[int, list[Raw]]]:
        """Take bytes as they came; give each track's units that are whole by them.

        Messages are put into ``messages``. Raises ``TooStrange``.
        """
        if self._left:
            data = self._left + data
        at, end = 0, len(data)
        channels = self._channels
        while end - at >= 4:
            dollar, channel, length = _FRAME(data, at)
            if dollar != 0x24:
                found = self._between(data, at)
                if found is None:
                    break
                at = found
                continue
            known = channels.get(channel)
            stop = at + 4 + length
            if known is None:
                # Not ours, or no frame at all; both show in what follows.
                if stop < end and data[stop] not in b"$RTSPOGAE":
                    self._is_strange(1)
                    at += 1
                    continue
                if stop > end:
                    break
                at = stop
                continue
            if stop > end:
                break
            place, reader, is_report = known
            if is_report:
                self.gone = reader.take_report(data, at + 4, stop) or self.gone
            else:
                units = reader.take(data, at + 4, stop, arrived_us)
                if units:
                    yield place, units
            at = stop
        self._left = data[at:]

    def _between(self, data: bytes, at: int) -> int | None:
        """Take what is no frame; give where to go on, None if more has to come first."""
        if data[at : at + 1].isupper():
            try:
                found = read_message(data[at : at + MAX_MESSAGE + 4096])
            except NotRtsp:
                found = (Message(), 0)
            if found is None:
                return None
            if found[1]:
                self.messages.append(found[0])
                return at + found[1]
        following = data.find(b"$", at + 1)
        skipped = (following if following >= 0 else len(data)) - at
        self._is_strange(skipped)
        return at + skipped

    def _is_strange(self, count: int) -> None:
        self._strange += count
        if self._strange > _MOST_STRANGE:
            raise TooStrange
