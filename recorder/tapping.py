"""Where live viewing takes its packets from a connection."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from bidwitness.recorder.packets import Packet, PacketSource, SourceTrack

log = logging.getLogger(__name__)


class Tap(Protocol):
    """Gets every packet of a connection, for live viewing. Must never block."""

    def begin(self, stream_id: str, tracks: tuple[SourceTrack, ...]) -> None: ...

    def packet(self, stream_id: str, packet: Packet) -> None: ...

    def end(self, stream_id: str) -> None: ...

    def watched(self, stream_id: str) -> bool: ...


@contextmanager
def tapped(
    tap: Tap | None, stream: str, source: PacketSource
) -> Iterator[Callable[[Packet], None]]:
    """Let live viewers see the connection's packets: give what takes each of them."""
    if tap is None:
        yield lambda _packet: None
        return
    try:
        tap.begin(stream, source.tracks)
    except OSError as error:
        # Nobody can watch this connection live; it is recorded all the same.
        facts = {"stream": stream, "error": str(error)}
        log.error("there is no live picture of a stream", extra={"facts": facts})
        yield lambda _packet: None
        return
    source.hurry(lambda: tap.watched(stream))
    try:
        yield lambda packet: tap.packet(stream, packet)
    finally:
        tap.end(stream)
