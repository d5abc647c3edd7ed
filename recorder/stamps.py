"""Stamps that libav leaves out while it learns the order of pictures. Pure."""

from collections.abc import Iterator

from bidwitness.recorder.packets import Packet

# libav knows the order of pictures after at most this many (H.264 allows 16 to be held).
HOLD = 18


def fill_stamps(packets: Iterator[Packet], picture: int, rate: int) -> Iterator[Packet]:
    """Give the same packets, the first pictures with stamps reckoned back from later ones.

    The very first picture often has none at all (trac.ffmpeg.org/ticket/5018) and the next ones
    no decode time: these pictures wait until one comes that has both. Others pass at once.
    """
    held: list[Packet] = []
    learning = True
    for packet in packets:
        if not learning or packet.track != picture:
            yield packet
            continue
        held.append(packet)
        if packet.dts is not None and packet.pts is not None:
            _reckon_back(held, rate)
        elif len(held) < HOLD:
            continue
        learning = False
        yield from held
        held.clear()


def _reckon_back(held: list[Packet], rate: int) -> None:
    last = held[-1]
    assert last.dts is not None and last.pts is not None
    dts, earliest = last.dts, last.pts
    for packet in reversed(held[:-1]):
        length = packet.duration or last.duration or rate // 25
        dts -= length
        packet.dts = dts
        if packet.pts is None:
            # Shown right before whatever of the following is shown first.
            packet.pts = max(dts, earliest - length)
        earliest = min(earliest, packet.pts)
