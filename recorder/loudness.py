"""How loud a room's microphone is, and whether it is dead. Never whether anybody speaks.

Once a second a second of G.711 or PCM (two frames of AAC or Opus: all that is cheap) is decoded and measured.
Silence is what a working microphone in a room does not give for a minute: nothing above the
smallest step of the code, a signal that repeats itself to the last bit, or a level far below the
quietest that this room has had.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.sound import AS_FLAC, PCM, samples_of
from bidwitness.storage.spool.blob import US
from bidwitness.words import Medium

SILENT_AFTER_US = 60 * US
# What is given for nothing at all, in hundredths of a decibel below full scale.
NOTHING_CENTI_DBFS = -10_000
# A-law has no zero: its smallest codes are +8 and -8.
_SMALLEST_SPAN = 16
# So far below the floor it is not the room any more; above the ceiling it is never called silence.
BELOW_FLOOR_CENTI_DB = 1200
FLOOR_CEILING_CENTI_DBFS = -6000
# The floor is the quietest tenth of a minute, the least of a day; known after ten minutes.
_MINUTE = 60
_TENTH = _MINUTE // 10
_FLOOR_MINUTES = 10
_DAY_MINUTES = 24 * 60
# A level that is older says nothing about now.
_FRESH_US = 5 * US
_EVERY_US = US
_FULL_SCALE = 32768
# An AAC frame is whole only with the one before it.
_AAC_FRAMES = 2


@dataclass(frozen=True, slots=True)
class Loudness:
    """One measure: level without its mean (hundredths of dBFS), span of the samples, and sums
    that two different stretches of sound do not share."""

    centi_dbfs: int
    span: int
    sums: tuple[int, int]


def measure(samples: NDArray[np.int16]) -> Loudness:
    """Measure at least one sample. Pure."""
    wide = samples.astype(np.float64)
    total, squares = float(wide.sum()), float(wide @ wide)
    power = max(0.0, squares / len(samples) - (total / len(samples)) ** 2)
    ratio = math.sqrt(power) / _FULL_SCALE
    level = round(2000 * math.log10(ratio)) if ratio > 0 else NOTHING_CENTI_DBFS
    span = int(samples.max()) - int(samples.min())
    return Loudness(max(level, NOTHING_CENTI_DBFS), span, (int(total), int(squares)))


class SilenceWatch:
    """Judges measures, one a second. Times are monotonic µs."""

    def __init__(self) -> None:
        # True, False once anything alive was heard; None while nothing is known.
        self.silent: bool | None = None
        self._dead_since_us: int | None = None
        self._last: Loudness | None = None
        self._minute: list[int] = []
        self._quietest: deque[int] = deque(maxlen=_DAY_MINUTES)

    @property
    def floor_centi_dbfs(self) -> int | None:
        """Give the room's noise floor, once it was measured long enough."""
        if len(self._quietest) < _FLOOR_MINUTES:
            return None
        return min(self._quietest)

    def begin(self) -> None:
        """A connection begins: what was heard before says nothing about it."""
        self.silent = self._dead_since_us = self._last = None

    def feed(self, now_us: int, found: Loudness) -> None:
        """Take a measure."""
        before, self._last = self._last, found
        if not self._is_dead(found, before):
            self._dead_since_us, self.silent = None, False
            self._learn(found.centi_dbfs)
        elif self._dead_since_us is None:
            self._dead_since_us = now_us
        elif now_us - self._dead_since_us >= SILENT_AFTER_US:
            self.silent = True

    def _is_dead(self, found: Loudness, before: Loudness | None) -> bool:
        if found.span <= _SMALLEST_SPAN:
            return True
        if before is not None and found.sums == before.sums:
            return True
        floor = self.floor_centi_dbfs
        return (
            floor is not None
            and found.centi_dbfs < floor - BELOW_FLOOR_CENTI_DB
            and found.centi_dbfs < FLOOR_CEILING_CENTI_DBFS
        )

    def _learn(self, level: int) -> None:
        self._minute.append(level)
        if len(self._minute) == _MINUTE:
            self._quietest.append(sorted(self._minute)[_TENTH])
            self._minute.clear()


class Decoder(Protocol):
    """Gives the samples of the last of some frames, if they can be decoded."""

    def samples(self, frames: Sequence[bytes]) -> NDArray[np.int16] | None: ...


class SoundMeter:
    """Takes a connection's sound packets; measures about once a second."""

    def __init__(self) -> None:
        self.watch = SilenceWatch()
        self._track: SourceTrack | None = None
        self._place = -1
        self._held: list[bytes] = []
        self._size = 0
        self._due_us = 0
        self._at_us = 0
        self._decoder: Decoder | None = None
        self._level: int | None = None

    def begin(self, tracks: tuple[SourceTrack, ...]) -> None:
        """A connection begins; without sound nothing is measured, and nothing is silent."""
        self._held, self._size, self._due_us = [], 0, 0
        self._level, self._decoder, self._place = None, None, -1
        self.watch.begin()
        for place, track in enumerate(tracks):
            if track.medium is Medium.SOUND:
                self._place, self._track = place, track
                self._decoder = _decoder(track)
                return

    def push(self, packet: Packet) -> None:
        """Take any packet; those that are not sound are let pass."""
        track = self._track
        if packet.track != self._place or track is None:
            return
        if self._decoder is not None:
            self._push_coded(self._decoder, packet)
        elif track.codec in AS_FLAC:
            self._held.append(packet.data)
            self._size += len(packet.data)
            size = track.rate * (track.channels or 1) * (2 if track.codec == PCM else 1)
            if self._size >= size:
                data = b"".join(self._held)
                self._held, self._size = [data[size:]], self._size - size
                self._take(samples_of(data[:size], track.codec), packet.arrived_us)

    def level_centi_dbfs(self, now_us: int) -> int | None:
        """Give the last level, if it is of now."""
        return self._level if now_us - self._at_us <= _FRESH_US else None

    def silent(self, now_us: int) -> bool | None:
        """Say whether the microphone is dead; None while that is not known."""
        return self.watch.silent if now_us - self._at_us <= _FRESH_US else None

    def _push_coded(self, decoder: Decoder, packet: Packet) -> None:
        if packet.arrived_us < self._due_us:
            return
        self._held.append(packet.data)
        if len(self._held) < _AAC_FRAMES:
            return
        frames, self._held = self._held, []
        self._due_us = packet.arrived_us + _EVERY_US
        samples = decoder.samples(frames)
        if samples is not None:
            self._take(samples, packet.arrived_us)

    def _take(self, samples: NDArray[np.int16], at_us: int) -> None:
        found = measure(samples)
        self._level, self._at_us = found.centi_dbfs, at_us
        self.watch.feed(at_us, found)


def _decoder(track: SourceTrack) -> Decoder | None:
    if track.codec not in ("aac", "opus"):
        return None
    # libav is forty megabytes of a worker, and most cameras speak G.711, which needs no decoder.
    from bidwitness.recorder.coded_sound import CodedSound

    return CodedSound(track)
