"""What comes out of RTP: whole pictures and blocks of sound. Values only."""

from dataclasses import dataclass, field

from bidwitness.words import Medium

# A picture of more is no picture of a camera.
MAX_UNIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Track:
    """A track as the camera declares it. Stamps count ``rate`` ticks a second.

    ``codec`` is libav's name (h264, hevc, mjpeg; aac, opus, pcm_alaw, pcm_mulaw, pcm_s16be, or
    one that cannot be kept). ``config`` is what came with the description: parameter sets, each
    behind its length in four bytes; an AudioSpecificConfig; an OpusHead; or nothing.
    """

    medium: Medium
    codec: str
    rate: int
    config: bytes = field(default=b"", repr=False)
    channels: int = 0


@dataclass(slots=True)
class Unit:
    """One access unit or block of sound.

    ``track`` is a position among the tracks that are pulled. H.264 and H.265: NAL units, each
    behind its length in four bytes. ``stamp`` is in ticks of the track and does not wrap; 0 is an
    instant that all tracks of a connection share as well as is known. ``duration`` in ticks, 0 if
    it does not say. ``arrived_us``: the recorder's monotonic clock; ``camera_us``: the camera's
    UTC of the stamp, with key frames and the first unit after each of its reports, if known.
    """

    track: int
    data: bytes
    stamp: int
    duration: int
    key: bool
    arrived_us: int
    camera_us: int | None = None


@dataclass(slots=True)
class Raw:
    """A unit as a payload reader gives it: ``stamp`` is RTP's, of 32 bits."""

    data: bytes
    stamp: int
    key: bool = True
    duration: int = 0
