"""A camera without a network: real coded packets on a schedule that tests may spoil."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from support.clips import TICK, aac_packets, make_clip, tone

from bidwitness.recorder.packets import Packet, SourceLost, SourceTrack
from bidwitness.storage.media import g711
from bidwitness.words import GapCause, Medium

FRAME_US = 40_000
SOUND_PACKET = 160
START_US = 5_000_000


@dataclass(frozen=True)
class FakeCamera:
    """What it sends: ``seconds`` of numbered pictures, and of a tone as 20 ms packets.

    ``alone``: there is no picture.
    """

    seconds: int = 10
    codec: str = "h264"
    gop: int = 25
    b_frames: int = 0
    sound: str | None = g711.ALAW
    first_stamp: int = 1_000_000
    reports_after: int | None = 50
    alone: bool = False

    @property
    def tracks(self) -> tuple[SourceTrack, ...]:
        picture = SourceTrack(Medium.PICTURE, self.codec, 90_000)
        before = () if self.alone else (picture,)
        if self.sound == "aac":
            config, _ = aac_packets()
            return *before, SourceTrack(Medium.SOUND, "aac", 16_000, config, 1)
        if self.sound:
            return *before, SourceTrack(Medium.SOUND, self.sound, 8000, b"", 1)
        return before

    def packets(self) -> list[Packet]:
        """Give all packets in the order of their arrival, the camera's UTC equal to arrival."""
        if self.alone:
            return list(self._sound_packets())
        frames = self.seconds * 25
        clip = make_clip(self.codec, frames, self.gop, self.b_frames)
        out = [
            Packet(
                *(0, picture.data, self.first_stamp + picture.pts, self.first_stamp + picture.dts),
                *(TICK, picture.key, START_US + number * FRAME_US),
                self._camera(number, picture.pts * 100 // 9),
            )
            for number, picture in enumerate(clip.pictures)
        ]
        out += self._sound_packets()
        return sorted(out, key=lambda packet: packet.arrived_us)

    def _camera(self, frame: int, at_us: int) -> int | None:
        known = self.reports_after is not None and frame >= self.reports_after
        return 1_600_000_000_000_000 + at_us if known else None

    def _sound_packets(self) -> Iterator[Packet]:
        place = 0 if self.alone else 1
        if self.sound == "aac":
            _, frames = aac_packets(self.seconds)
            first = self.first_stamp * 16_000 // 90_000
            for number, data in enumerate(frames):
                stamp = first + number * 1024
                yield Packet(
                    place, data, stamp, stamp, 1024, True, START_US + number * 64_000 + 5_000
                )
        elif self.sound:
            first = self.first_stamp * 8000 // 90_000
            data = self.sound_bytes()
            for number in range(len(data) // SOUND_PACKET):
                stamp = first + number * SOUND_PACKET
                block = data[number * SOUND_PACKET : (number + 1) * SOUND_PACKET]
                arrived = START_US + number * 20_000 + 21_000
                yield Packet(place, block, stamp, stamp, SOUND_PACKET, True, arrived)

    def sound_bytes(self) -> bytes:
        """Give the G.711 that is sent, with some of µ-law's negative zeros in it."""
        assert self.sound is not None
        samples = tone(self.seconds * 8000)
        codes = np.frombuffer(g711.encode(_nearest(samples, self.sound), self.sound), np.uint8)
        out = codes.copy()
        if self.sound == g711.MULAW:
            out[::1000] = 0x7F
        return out.tobytes()


def _nearest(samples: np.ndarray, codec: str) -> np.ndarray:
    """Round samples to values that a code stands for."""
    values = np.unique(g711.decode(bytes(range(256)), codec))
    places = np.clip(np.searchsorted(values, samples), 0, len(values) - 1)
    return values[places].astype(np.int16)


def during(
    packets: list[Packet], start_s: float, end_s: float, change: Callable[[Packet], Packet | None]
) -> list[Packet]:
    """Change or drop (None) the packets that arrive in an interval since the first."""
    first, last = START_US + int(start_s * 1e6), START_US + int(end_s * 1e6)
    out: list[Packet] = []
    for packet in packets:
        changed = change(packet) if first <= packet.arrived_us < last else packet
        if changed is not None:
            out.append(changed)
    return sorted(out, key=lambda packet: packet.arrived_us)


def without(_packet: Packet) -> Packet | None:
    """Drop it."""
    return None


def stamped(by: int) -> Callable[[Packet], Packet]:
    """Shift stamps by ticks."""

    def change(packet: Packet) -> Packet:
        assert packet.pts is not None and packet.dts is not None
        return replace(packet, pts=packet.pts + by, dts=packet.dts + by)

    return change


class FakeSource:
    """Plays packets as a ``PacketSource``, then is lost for a cause."""

    def __init__(
        self,
        camera: FakeCamera,
        packets: list[Packet] | None = None,
        lost: GapCause = GapCause.NETWORK,
    ) -> None:
        self.tracks = camera.tracks
        self._packets = camera.packets() if packets is None else packets
        self._cause = lost
        self.closed = False

    def packets(self) -> Iterator[Packet]:
        yield from self._packets
        raise SourceLost("the fake camera has ended", self._cause)

    def reception(self) -> None:
        """It has no network to lose anything."""

    def hurry(self, urgent: Callable[[], bool]) -> None:
        """It is never late."""

    def close(self) -> None:
        self.closed = True
