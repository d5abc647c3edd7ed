"""RTSP: the one place of the recorder that opens an address. (How it is spoken: ``rtsp``.)"""

from collections.abc import Callable, Iterator, Sequence

from bidwitness.addresses import CameraAddress, resolve_camera
from bidwitness.beat import Turns
from bidwitness.clock import Clock
from bidwitness.errors import CameraError
from bidwitness.recorder.packets import Packet, Reception, SourceLost, SourceTrack
from bidwitness.recorder.picture import ENTRIES
from bidwitness.recorder.sound import can_keep, name_of
from bidwitness.recorder.stamps import DecodeTimes
from bidwitness.rtsp.stream import Ended, Offer, RtspStream, Silent, open_stream
from bidwitness.rtsp.units import Track
from bidwitness.words import GapCause, Medium

# The track that leads, the picture if there is one, comes first of those that are chosen.
_LEADING = 0


class RtspSource:
    """One open RTSP connection. Made by ``RtspOpener``."""

    def __init__(self, stream: RtspStream, host: str, tracks: tuple[SourceTrack, ...]) -> None:
        self.tracks = tracks
        self._stream = stream
        self._host = host

    def hurry(self, urgent: Callable[[], bool]) -> None:
        """Say who tells whether packets are wanted without delay (somebody watches live)."""
        self._stream.hurry(urgent)

    def reception(self) -> Reception:
        """Say how packets come; for any thread."""
        stream = self._stream
        return Reception(stream.received, stream.lost, stream.jitter_us(_LEADING))

    def packets(self) -> Iterator[Packet]:
        """Give packets as they arrive. Ends by ``SourceLost`` with the gap's cause."""
        leading = self.tracks[_LEADING]
        times = DecodeTimes(leading) if leading.medium is Medium.PICTURE else None
        try:
            for unit in self._stream.units():
                stamp = dts = unit.stamp
                if times is not None and unit.track == _LEADING:
                    dts = times.of(unit)
                yield Packet(
                    unit.track,
                    unit.data,
                    stamp,
                    dts,
                    unit.duration,
                    unit.key,
                    unit.arrived_us,
                    unit.camera_us,
                )
        except Silent:
            raise SourceLost(
                f"The camera at {self._host} is connected, but has stopped sending.",
                GapCause.STALL,
            ) from None
        except Ended:
            raise SourceLost(
                f"The camera at {self._host} closed the connection.", GapCause.NETWORK
            ) from None
        except OSError:
            raise SourceLost(
                f"The connection to the camera at {self._host} broke off.", GapCause.NETWORK
            ) from None

    def close(self) -> None:
        self._stream.close()


class RtspOpener:
    """Opens cameras. Loopback is allowed in the demo and in tests only."""

    def __init__(self, clock: Clock, *, allow_loopback: bool) -> None:
        self._clock = clock
        self._allow_loopback = allow_loopback
        self._turns = Turns()

    def __call__(self, address: CameraAddress, *, with_sound: bool) -> RtspSource:
        """Connect, read the description, let the media flow.

        Raises ``CameraError`` if there is no camera, no right login or nothing that can be kept;
        ``InvalidInput``
        for a place where no camera may be, no such stream, or a login that would go in clear.
        """
        host = resolve_camera(address, allow_loopback=self._allow_loopback)
        tracks: list[SourceTrack] = []

        def choose(offers: Sequence[Offer]) -> list[int]:
            chosen, described = _choose(offers, address.host, with_sound)
            tracks.extend(described)
            return chosen

        stream = open_stream(address, host, choose, self._clock, self._turns.next_us())
        return RtspSource(stream, address.host, tuple(tracks))


def _choose(
    offers: Sequence[Offer], host: str, with_sound: bool
) -> tuple[list[int], tuple[SourceTrack, ...]]:
    """Take the first picture, and the first sound that can be kept; or sound alone. Pure.

    Beside a picture, a sound that cannot be kept is among the tracks all the same, so that it is
    known to be missing; its packets are not asked for.
    """
    pictures = _of(offers, Medium.PICTURE)
    sounds = _of(offers, Medium.SOUND)
    if not pictures and sounds:
        return _sound_alone(offers, sounds, host, with_sound)
    if not pictures:
        raise CameraError(f"The camera at {host} answers, but with neither picture nor sound.")
    place, picture = pictures[0]
    if picture.codec not in ENTRIES:
        raise CameraError(
            f"The camera at {host} sends {picture.codec}; set it to H.264, H.265 or MJPEG, which "
            "can be kept."
        )
    for sound_place, sound in sounds if with_sound else ():
        if offers[sound_place].readable and can_keep(sound):
            return [place, sound_place], (picture, sound)
    unkept = tuple(sound for _, sound in sounds[:1]) if with_sound else ()
    return [place], (picture, *unkept)


def _sound_alone(
    offers: Sequence[Offer],
    sounds: Sequence[tuple[int, SourceTrack]],
    host: str,
    with_sound: bool,
) -> tuple[list[int], tuple[SourceTrack, ...]]:
    if not with_sound:
        # Else the same sound would be kept twice, and counted twice.
        raise CameraError(
            f"The sub-stream at {host} has sound alone, and sound is recorded from the main "
            "stream: leave the sub-stream's address empty."
        )
    for place, sound in sounds:
        if offers[place].readable and can_keep(sound):
            return [place], (sound,)
    name = name_of(sounds[0][1])
    raise CameraError(
        f"The source at {host} sends sound alone, and it is {name}, which cannot be kept: set it "
        "to G.711, AAC, Opus or 16-bit PCM."
    )


def _of(offers: Sequence[Offer], medium: Medium) -> list[tuple[int, SourceTrack]]:
    return [
        (place, _described(offer.track))
        for place, offer in enumerate(offers)
        if offer.track.medium is medium
    ]


def _described(track: Track) -> SourceTrack:
    return SourceTrack(track.medium, track.codec, track.rate, track.config, track.channels)
