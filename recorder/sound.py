"""Sound on its way into a segment: gathered into fragments of at most 0.4 s.

AAC is kept as it came. G.711 becomes FLAC, which loses nothing and which browsers play; each
fragment remembers the digest of exactly the G.711 bytes whose samples it holds.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av

from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.timing import RunTimer
from bidwitness.storage.media import g711
from bidwitness.storage.media.fragments import Sample
from bidwitness.storage.media.init import TrackSpec, aac_format, flac_config
from bidwitness.words import Medium

# Work per packet is what sound costs: 50 packets a second become three batches.
BATCH_TENTHS = 4
# Stamps of neighbouring packets may differ this much from their length before it is a hole.
JITTER_TENTHS = 1
FLAC_RATE_DEFAULT = 8000
_FLAC_OPTIONS = {"compression_level": "5"}


@dataclass(frozen=True, slots=True)
class SoundChunk:
    """One fragment's sound. ``g711`` and ``zeros`` as in the fragment table."""

    dts: int
    samples: tuple[Sample, ...]
    duration: int
    g711: bytes | None = None
    zeros: tuple[int, ...] = ()


class SoundTrack(Protocol):
    """Turns a track's packets into chunks, in order."""

    def spec(self, track: int) -> TrackSpec:
        """Describe the stored track."""

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        """Take a packet at ``dts``; give the chunks that are full."""

    def flush(self) -> Iterator[SoundChunk]:
        """Give what is left: a segment ends, or a hole follows."""

    def restart(self) -> None:
        """A segment begins: nothing a decoder must remember crosses into it."""


class AacTrack:
    """Raw AAC frames with their AudioSpecificConfig."""

    def __init__(self, config: bytes, rate: int) -> None:
        self._config = config
        self._batch = rate * BATCH_TENTHS // 10
        self._jitter = rate * JITTER_TENTHS // 10
        self._rate = rate
        self._start = self._end = 0
        self._samples: list[Sample] = []

    def spec(self, track: int) -> TrackSpec:
        _, channels = aac_format(self._config)
        return TrackSpec(
            track, Medium.SOUND, "mp4a", self._rate, self._config, channels=channels or 2
        )

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        duration = duration or 1024
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


class G711Track:
    """A-law or µ-law, stored as FLAC."""

    def __init__(self, codec: str, rate: int, channels: int) -> None:
        self._codec = codec
        self._rate = rate
        self._channels = channels or 1
        self._encoder = self._new_encoder()
        self._block = self._encoder.frame_size
        self._batch = max(1, rate * BATCH_TENTHS // 10 // self._block) * self._block
        self._jitter = rate * JITTER_TENTHS // 10
        self._held = bytearray()
        self._start = 0

    def _new_encoder(self) -> av.AudioCodecContext:
        encoder = av.AudioCodecContext.create("flac", "w")
        encoder.sample_rate = self._rate
        encoder.layout = "mono" if self._channels == 1 else "stereo"
        encoder.format = "s16"
        encoder.time_base = Fraction(1, self._rate)
        encoder.options = dict(_FLAC_OPTIONS)
        # Threads that it never uses make its beginning three times dearer.
        encoder.thread_count = 1
        encoder.open()
        return encoder

    def spec(self, track: int) -> TrackSpec:
        config = flac_config(self._rate, self._channels, self._block)
        return TrackSpec(track, Medium.SOUND, "fLaC", self._rate, config, channels=self._channels)

    @property
    def _end(self) -> int:
        return self._start + len(self._held) // self._channels

    def push(self, data: bytes, dts: int, duration: int) -> Iterator[SoundChunk]:
        if self._held and dts - self._end > self._jitter:
            yield from self.flush()
        if not self._held:
            # Close to where the last batch ended is there: stamps jitter, samples do not.
            near = abs(dts - self._start) <= self._jitter or dts < self._start
            self._start = self._start if near else dts
        self._held += data
        size = self._batch * self._channels
        while len(self._held) >= size:
            yield self._encode(bytes(self._held[:size]))
            del self._held[:size]

    def flush(self) -> Iterator[SoundChunk]:
        size = len(self._held) - len(self._held) % self._channels
        if size:
            whole = (size // self._channels) % self._block == 0
            yield self._encode(bytes(self._held[:size]))
            del self._held[:size]
            if not whole:
                # A short block is an encoder's last one.
                self._encoder = self._new_encoder()

    def restart(self) -> None:
        """Begin with a fresh encoder, so that no block's numbering crosses a segment."""
        del self._encoder  # several megabytes: never two of them
        self._encoder = self._new_encoder()

    def _encode(self, data: bytes) -> SoundChunk:
        frame = av.AudioFrame.from_ndarray(
            g711.decode(data, self._codec).reshape(1, -1),
            format="s16",
            layout="mono" if self._channels == 1 else "stereo",
        )
        frame.sample_rate = self._rate
        frame.pts = 0
        frame.time_base = Fraction(1, self._rate)
        packets = self._encoder.encode(frame)
        count = len(data) // self._channels
        if count % self._block:
            packets += self._encoder.encode(None)
        # The last packet of an encoder is empty: it only carries the stream's digest.
        samples = self._samples([packet for packet in packets if packet.size], count)
        start, self._start = self._start, self._start + count
        return SoundChunk(
            *(start, samples, count),
            hashlib.sha256(data).digest(),
            g711.negative_zeros(data, self._codec),
        )

    def _samples(self, packets: "list[av.Packet[Any]]", count: int) -> tuple[Sample, ...]:
        lengths = [self._block] * (count // self._block)
        if count % self._block:
            lengths.append(count % self._block)
        return tuple(
            Sample(bytes(packet), length, True)
            for packet, length in zip(packets, lengths, strict=True)
        )


# Packets that are worked on at once: fifty a second, one by one, cost more than all pictures.
AT_ONCE = 8


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
        if len(self._waiting) >= AT_ONCE:
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
            yield from self.track.push(packet.data, dts, packet.duration)


def sound_track(tracks: tuple[SourceTrack, ...]) -> tuple[int, SoundTrack] | None:
    """Give the position of the first sound that can be kept, and what keeps it."""
    for place, track in enumerate(tracks):
        if track.medium is not Medium.SOUND:
            continue
        if track.codec in (g711.ALAW, g711.MULAW):
            return place, G711Track(track.codec, track.rate, track.channels)
        if track.codec == "aac" and len(track.extradata) >= 2:
            return place, AacTrack(track.extradata, track.rate)
    return None
