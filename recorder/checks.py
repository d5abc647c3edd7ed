"""What is checked of a stream that is being recorded, beside whether it is recorded at all."""

from collections.abc import Mapping

from bidwitness.recorder.loudness import SoundMeter
from bidwitness.recorder.meters import LONG_GOP_MS, GopMeter, LossMeter, RateWatch
from bidwitness.recorder.packets import Packet, Reception, SourceTrack
from bidwitness.storage.spool.blob import US
from bidwitness.words import Medium, StreamFault

# The time in a camera's picture shows whole seconds: further off, it contradicts the record.
CLOCK_OFF_US, CLOCK_WELL_US = 2 * US, US
# Sound that is declared and has not come for so long is missing (its gap is stated to the
# instant; that one is written at the segment's end).
SOUNDLESS_US = 5 * US


def clock_off(offset_us: int, before: bool | None) -> bool:
    """Say whether a camera's clock is too far from the recorder's. Pure.

    It is well again only where it is nearer than it went wrong, lest the verdict come and go.
    """
    return abs(offset_us) > (CLOCK_WELL_US if before else CLOCK_OFF_US)


class Checks:
    """One stream's checks. Packets come from one thread; the others read."""

    def __init__(self) -> None:
        self._gops = GopMeter()
        self._rates = RateWatch()
        self._sound = SoundMeter()
        self._losses = LossMeter()
        self._hears = False
        self._heard_us: int | None = None
        self._clock_off: bool | None = None

    def begin(self, tracks: tuple[SourceTrack, ...], declared_fps: int | None) -> None:
        """A connection begins."""
        self._gops.pause()
        self._rates.declared_fps = declared_fps
        self._rates.begin()
        self._losses.begin()
        self._sound.begin(tracks)
        self._hears = any(track.medium is Medium.SOUND for track in tracks)
        self._heard_us = None
        self._clock_off = None

    def take(self, packet: Packet, picture: int | None) -> None:
        """Take a packet; ``picture`` is the place of the picture among the tracks, if it has one."""
        if packet.track == picture:
            self._gops.picture(packet.arrived_us, key=packet.key)
            self._rates.picture(packet.arrived_us)
            if self._heard_us is None:
                self._heard_us = packet.arrived_us
        else:
            self._heard_us = packet.arrived_us
            self._sound.push(packet)

    def soundless(self, now_us: int) -> bool:
        """Say whether sound that is declared does not come."""
        heard_us = self._heard_us
        return self._hears and heard_us is not None and now_us - heard_us > SOUNDLESS_US

    @property
    def gop_ms(self) -> int | None:
        return self._gops.gop_ms

    def level_centi_dbfs(self, now_us: int) -> int | None:
        """Give the sound's level at a monotonic instant, if it is known."""
        return self._sound.level_centi_dbfs(now_us)

    def note_reception(self, reception: Reception | None, now_us: int) -> None:
        """Take how the connection's packets come, if that is known."""
        if reception is not None:
            self._losses.look(reception.received, reception.lost, now_us)

    @property
    def loss_ppm(self) -> int | None:
        """Give how many packets of a million were lost in the last minute, if it is known."""
        return self._losses.ppm

    def verdicts(self, now_us: int, clock_us: int | None) -> Mapping[StreamFault, bool]:
        """Say of each fault whether it is there; what is not known is left out.

        ``clock_us``: the camera's clock minus ours, if it says what it is.
        """
        if clock_us is not None:
            self._clock_off = clock_off(clock_us, self._clock_off)
        gop_ms = self.gop_ms
        known = {
            StreamFault.SILENT: self._sound.silent(now_us) if self._hears else False,
            StreamFault.LOW_FRAME_RATE: self._rates.low,
            StreamFault.LONG_GOP: None if gop_ms is None else gop_ms > LONG_GOP_MS,
            StreamFault.CLOCK_OFFSET: self._clock_off if clock_us is not None else None,
            StreamFault.PACKET_LOSS: self._losses.high,
        }
        return {fault: found for fault, found in known.items() if found is not None}
