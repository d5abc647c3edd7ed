"""Sound on its way into a segment: gathered into fragments of at most 0.4 s.

AAC and Opus are kept as they came. G.711 and PCM become FLAC, which loses nothing and which
browsers play; of G.711 each fragment remembers the digest of exactly the bytes whose samples it
holds. Other sound is not kept: decoding it would be to keep something else than what was sent.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bidwitness.errors import DamageFound
from bidwitness.recorder.flac import FlacEncoder, flac_block
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.timing import RunTimer
from bidwitness.storage.media import g711
from bidwitness.storage.media.fragments import Sample
from bidwitness.storage.media.init import TrackSpec, aac_format, flac_config, opus_config
from bidwitness.words import Medium

# Work per packet is what sound costs: 50 packets a second become three batches.
BATCH_TENTHS = 4
# Stamps of neighbouring packets may differ this much from their length before it is a hole.
JITTER_TENTHS = 1
AAC_SAMPLES, OPUS_SAMPLES = 1024, 960
PCM = "pcm_s16be"
# Sound that is stored in another form than it came in.
AS_FLAC = (g711.ALAW, g711.MULAW, PCM)
# What people call the sounds that are met in cameras.
SOUND_NAMES = {
    "adpcm_g722": "G.722",
    "adpcm_g726": "G.726",
    "adpcm_g726le": "G.726",
    "aac": "AAC without its description",
    "opus": "Opus without its description",
    "pcm_s24be": "24-bit PCM",
}


@dataclass(frozen=True, slots=True)
class SoundChunk:
    """One fragment's sound. ``g711`` and ``zeros`` as in the fragment table."""

    dts: int
    samples: tuple[Sample, ...]
    duration: int
    g711: bytes | None = None
    zeros: tuple[int, ...] = ()


def samples_of(data: bytes, codec: str) -> NDArray[np.int16]:
    """Give the samples of G.711 or PCM, those of an instant next to each other."""
    if codec == PCM:
        return np.frombuffer(data, dtype=">i2").astype(np.int16)
    return g711.decode(data, codec)


class SoundTrack(Protocol):
    """Turns a track's packets into chunks, in order."""

    def spec(self, track: int) -> TrackSpec:
        """Describe the stored track."""

    def length(self, data: bytes, duration: int) -> int:
        """Give how many ticks a packet lasts; ``duration`` is what it says, or 0."""

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        """Take a packet at ``dts``; give the chunks that are full."""

    def flush(self) -> Iterator[SoundChunk]:
        """Give what is left: a segment ends, or a hole follows."""

    def restart(self) -> None:
        """A segment begins: nothing a decoder must remember crosses into it."""


class CopiedTrack:
    """Frames of AAC or Opus as they came, ``usual`` ticks long unless they say otherwise."""

    def __init__(self, entry: str, config: bytes, rate: int, channels: int, usual: int) -> None:
        self._entry = entry
        self._config = config
        self._channels = channels
        self.usual = usual
        self._batch = rate * BATCH_TENTHS // 10
        self._jitter = rate * JITTER_TENTHS // 10
        self._rate = rate
        self._start = self._end = 0
        self._samples: list[Sample] = []

    def spec(self, track: int) -> TrackSpec:
        return TrackSpec(
            *(track, Medium.SOUND, self._entry, self._rate, self._config),
            channels=self._channels,
        )

    def length(self, data: bytes, duration: int) -> int:
        return duration or self.usual

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        duration = duration or self.usual
        if self._samples and dts - self._end > self._jitter:
            yield from self.flush()
        if not self._samples:
            self._start = self._end = max(dts, self._end)
        elif self._end + duration - self._start > self._batch:
            yield from self.flush()
            self._start = self._end
        self._samples.append(Sample(data, duration, True))
        self._end += duration

    def flush(self) -> Iterator[SoundChunk]:
        if self._samples:
            samples, self._samples = tuple(self._samples), []
            yield SoundChunk(self._start, samples, self._end - self._start)

    def restart(self) -> None:
        """Its frames are the camera's own: there is nothing to begin anew."""


class FlacTrack:
    """A-law, µ-law or PCM of 16 bits, stored as FLAC."""

    def __init__(self, codec: str, rate: int, channels: int) -> None:
        self._codec = codec
        self._rate = rate
        self._channels = channels or 1
        # Bytes of an instant: a sample of each channel.
        self._width = self._channels * (2 if codec == PCM else 1)
        self._encoder = FlacEncoder(rate, self._channels)
        self._block = flac_block(rate)
        self._batch = max(1, rate * BATCH_TENTHS // 10 // self._block) * self._block
        self._jitter = rate * JITTER_TENTHS // 10
        self._held = bytearray()
        self._start = 0

    def spec(self, track: int) -> TrackSpec:
        config = flac_config(self._rate, self._channels, self._block)
        return TrackSpec(track, Medium.SOUND, "fLaC", self._rate, config, channels=self._channels)

    @property
    def _end(self) -> int:
        return self._start + len(self._held) // self._width

    def length(self, data: bytes, duration: int) -> int:
        return len(data) // self._width

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        if self._held and dts - self._end > self._jitter:
            yield from self.flush()
        if not self._held:
            # Close to where the last batch ended is there: stamps jitter, samples do not.
            near = abs(dts - self._start) <= self._jitter or dts < self._start
            self._start = self._start if near else dts
        self._held += data
        size = self._batch * self._width
        while len(self._held) >= size:
            yield self._encode(bytes(self._held[:size]))
            del self._held[:size]

    def flush(self) -> Iterator[SoundChunk]:
        size = len(self._held) - len(self._held) % self._width
        if size:
            yield self._encode(bytes(self._held[:size]))
            del self._held[:size]
            if (size // self._width) % self._block:
                self.restart()  # a short block is the last one of its numbers

    def restart(self) -> None:
        """Count blocks anew, so that none's number crosses a segment."""
        self._encoder = FlacEncoder(self._rate, self._channels)

    def _encode(self, data: bytes) -> SoundChunk:
        samples = samples_of(data, self._codec)
        step = self._block * self._channels
        made = []
        for at in range(0, len(samples), step):
            block = samples[at : at + step]
            made.append(Sample(self._encoder.encode(block), len(block) // self._channels, True))
        count = len(data) // self._width
        start, self._start = self._start, self._start + count
        if self._codec == PCM:
            # FLAC gives the very bytes back: there is nothing to remember.
            return SoundChunk(start, tuple(made), count)
        return SoundChunk(
            *(start, tuple(made), count),
            hashlib.sha256(data).digest(),
            g711.negative_zeros(data, self._codec),
        )


# Packets are worked on a few at a time: fifty a second, one by one, cost more than all pictures.
AT_ONCE = 5
# But packets of AAC may be an eighth of a second each, and what waits here a kill would lose.
AT_ONCE_US = 120_000


class SoundLane:
    """A source's sound on its way through timer and track, some packets at a time."""

    def __init__(self, place: int, track: SoundTrack, timer: RunTimer) -> None:
        self.place = place
        self.track = track
        self._timer = timer
        self._waiting: list[Packet] = []

    def push(self, packet: Packet) -> Iterator[SoundChunk]:
        """Take a packet; give the chunks that are full."""
        self._waiting.append(packet)
        waited_us = packet.arrived_us - self._waiting[0].arrived_us
        if len(self._waiting) >= AT_ONCE or waited_us >= AT_ONCE_US:
            yield from self._work()

    def flush(self) -> Iterator[SoundChunk]:
        """Give all that is left: the segment ends."""
        yield from self._work()
        yield from self.track.flush()

    def file_us(self, ticks: int) -> int:
        """Give a tick of the sound as µs of file time."""
        return self._timer.file_us(self.place, ticks)

    def _work(self) -> Iterator[SoundChunk]:
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            stamp = packet.pts if packet.dts is None else packet.dts
            dts = self._timer.place(packet.track, stamp, packet.arrived_us)
            if packet.camera_us is not None:
                self._timer.hear(packet.track, dts, packet.camera_us, packet.arrived_us)
            yield from self.track.push(packet.data, dts, packet.duration)


def sound_track(tracks: tuple[SourceTrack, ...]) -> tuple[int, SoundTrack] | None:
    """Give the position of the first sound that can be kept, and what keeps it."""
    for place, track in enumerate(tracks):
        if track.medium is Medium.SOUND and (made := keeper_of(track)) is not None:
            return place, made
    return None


def can_keep(track: SourceTrack) -> bool:
    """Say whether a sound can be kept as it is, or so that nothing of it is lost."""
    return keeper_of(track) is not None


def unkept_sound(tracks: tuple[SourceTrack, ...]) -> str | None:
    """Say what is to be done about sound that a camera has and that cannot be kept, if so."""
    sounds = [track for track in tracks if track.medium is Medium.SOUND]
    if not sounds or any(can_keep(track) for track in sounds):
        return None
    return (
        f"The picture is recorded, the sound is not: it is {name_of(sounds[0])}. Set the camera's sound to "
        "G.711, AAC, Opus or 16-bit PCM."
    )


def name_of(track: SourceTrack) -> str:
    """Give what people call a track's coding."""
    return SOUND_NAMES.get(track.codec, track.codec)


def keeper_of(track: SourceTrack) -> "FlacTrack | CopiedTrack | None":
    """Give what keeps a sound; none if it cannot be kept."""
    try:
        if track.codec in AS_FLAC and track.channels <= 2:
            return FlacTrack(track.codec, track.rate, track.channels)
        if track.codec == "aac":
            _, channels = aac_format(track.extradata)
            return CopiedTrack("mp4a", track.extradata, track.rate, channels or 2, AAC_SAMPLES)
        if track.codec == "opus":
            config = opus_config(track.extradata)
            return CopiedTrack("Opus", config, track.rate, config[1], OPUS_SAMPLES)
    except DamageFound:
        return None  # its description does not say what a player must know
    return None
