"""Look into a stream for a few seconds: what it carries, how often a key frame comes.

Runs in the child process only: what a stranger sends may take for ever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from bidwitness.addresses import CameraAddress
from bidwitness.clock import Clock
from bidwitness.errors import CameraError, DamageFound, InvalidInput
from bidwitness.rtsp.stream import Ended, Offer, RtspStream, Silent, open_stream
from bidwitness.rtsp.units import Track, Unit
from bidwitness.storage.media.nal import parse_access_unit, picture_config
from bidwitness.words import Medium

# A GOP longer than this is only said to be longer.
LOOK_US = 8_000_000
ENOUGH_KEY_FRAMES = 4
NAMES = {
    "hevc": "h265",
    "pcm_alaw": "G.711A",
    "pcm_mulaw": "G.711U",
    "aac": "AAC",
    "opus": "Opus",
    "pcm_s16be": "PCM",
    "adpcm_g722": "G.722",
    "adpcm_g726": "G.726",
}


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """``gop_seconds`` is measured; None if no two key frames came while we looked.

    A picture whose parameters never came, or that we cannot read, has no size; a source of sound
    alone has no ``codec`` either.
    """

    codec: str | None
    width: int
    height: int
    fps: float | None
    gop_seconds: float | None
    sound: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def look_into(address: CameraAddress, ip: str, clock: Clock) -> StreamFacts:
    """Open ``address``, which resolved to ``ip``, and look for ``LOOK_US`` at most.

    Raises ``CameraError`` if nothing or nobody answers, ``InvalidInput`` for a wrong password or
    what is neither picture nor sound. The messages never hold the password.
    """
    found: list[Track] = []

    def choose(offers: Sequence[Offer]) -> list[int]:
        tracks = [offer.track for offer in offers]
        places = [i for i, track in enumerate(tracks) if track.medium is Medium.PICTURE]
        sounds = [i for i, track in enumerate(tracks) if track.medium is Medium.SOUND]
        found.extend(tracks[place] for place in (*places[:1], *sounds))
        if not found:
            raise _nothing_to_keep()
        if not places:
            if not offers[sounds[0]].readable:
                raise _sound_not_kept(found[0])
            return sounds[:1]
        if not offers[places[0]].readable:
            raise InvalidInput(
                f"The camera sends {found[0].codec}; set it to H.264, H.265 or MJPEG, which can "
                "be kept.",
                fields={"address": "sends a picture that cannot be kept"},
            )
        return places[:1]

    stream = open_stream(address, ip, choose, clock)
    try:
        units = _look(stream, clock)
    finally:
        stream.close()
    if not units and stream.received == 0:
        raise CameraError("The camera accepts the connection and then sends nothing.")
    if found[0].medium is Medium.SOUND:
        return StreamFacts(None, 0, 0, None, None, _name(found[0]))
    picture, sound = found[0], found[1] if len(found) > 1 else None
    times = [unit.stamp / picture.rate for unit in units]
    width, height = _size(picture, units)
    return StreamFacts(
        codec=_name(picture),
        width=width,
        height=height,
        fps=_rate(times),
        gop_seconds=_gop([unit.stamp / picture.rate for unit in units if unit.key]),
        sound=_name(sound) if sound is not None else None,
    )


def _nothing_to_keep() -> InvalidInput:
    return InvalidInput(
        "What answers there sends neither video nor sound.",
        fields={"address": "is not the address of a camera or a microphone"},
    )


def _sound_not_kept(track: Track) -> InvalidInput:
    return InvalidInput(
        f"The source sends sound alone, and it is {_name(track)}, which cannot be kept: set it to "
        "G.711, AAC, Opus or 16-bit PCM.",
        fields={"address": "sends a sound that cannot be kept"},
    )


def _look(stream: RtspStream, clock: Clock) -> list[Unit]:
    until = clock.monotonic_us() + LOOK_US
    units: list[Unit] = []
    keys = 0
    try:
        for unit in stream.units():
            keys += unit.key
            # Of the others nothing but their times matters.
            unit.data = unit.data if unit.key else b""
            units.append(unit)
            if keys >= ENOUGH_KEY_FRAMES or clock.monotonic_us() > until:
                break
    except (Ended, Silent, OSError):
        if not units:
            raise CameraError("The camera accepts the connection and then sends nothing.") from None
    return units


def _size(track: Track, units: Iterable[Unit]) -> tuple[int, int]:
    for data in (track.config, *(unit.data for unit in units if unit.key)):
        try:
            config = picture_config(parse_access_unit(data, track.codec).sets, track.codec)
        except DamageFound:
            continue
        return config.width, config.height
    return 0, 0


def _name(track: Track) -> str:
    """Give what people call a coding."""
    return NAMES.get(track.codec, track.codec)


def _rate(times: Iterable[float]) -> float | None:
    ordered = sorted(set(times))
    if len(ordered) < 3:
        return None
    return round((len(ordered) - 1) / (ordered[-1] - ordered[0]), 2)


def _gop(key_times: list[float]) -> float | None:
    steps = [after - before for before, after in pairwise(key_times)]
    return round(median(steps), 3) if steps else None
