"""A camera's packets as live fragments, one a picture: what a browser's Media Source takes.

No clock, no socket. Times begin anew with each connection to the camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bidwitness.errors import CameraError
from bidwitness.recorder.flac import FlacEncoder
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.recorder.picture import ENTRIES, PictureLane
from bidwitness.recorder.sound import PCM, CopiedTrack, can_keep, keeper_of, samples_of
from bidwitness.recorder.ticks import TrackTimer
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import TrackSpec, flac_config, write_init
from bidwitness.words import Medium

TRACK_ID = 1
# Media time of the first packet: a packet a little before it still has its place.
BASE_S = 10
# Small blocks cost a few bytes and save a tenth of a second.
FLAC_BLOCKS_A_SECOND = 10


@dataclass(frozen=True, slots=True)
class LiveInit:
    """What a viewer needs first. Sizes are 0 for sound."""

    data: bytes
    codecs: str
    mime: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LiveFragment:
    """Some media; a viewer can begin with a ``key`` one. ``utc_us``: when the camera sent it."""

    data: bytes
    key: bool
    utc_us: int


class PictureMux:
    """One fragment a picture. ``init`` becomes another with the picture's parameters."""

    def __init__(self, track: SourceTrack) -> None:
        self._rate = track.rate
        self._lane = PictureLane(track)
        self._timer = TrackTimer(track.rate)
        self._started = False
        self._length = track.rate // 25
        self._last = 0
        self._sequence = 0
        self.init: LiveInit | None = None

    def push(self, packet: Packet) -> Iterator[LiveFragment]:
        """Take a packet; nothing comes before the first key frame with its parameters."""
        body = self._lane.take(packet)
        if body is None:
            return
        if packet.key and self._lane.is_new:
            self.init = self._make_init()
        if self.init is None:
            return
        if not self._started:
            self._started = True
            raw = packet.dts if packet.dts is not None else 0
            self._timer.start(raw, BASE_S * self._rate, packet.arrived_us)
        dts = self._timer.place(packet.dts, packet.arrived_us)
        step = dts - self._last
        if self._last and step < self._rate:
            self._length = step
        self._last = dts
        cts = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        self._sequence += 1
        # How long the picture lasts is known when the next one comes: as long as the last one.
        sample = Sample(body, self._length, packet.key, cts if 0 <= cts <= 2 * self._rate else 0)
        data = write_fragment(self._sequence, TRACK_ID, dts, [sample])
        yield LiveFragment(data, packet.key, packet.arrived_us)

    def _make_init(self) -> LiveInit | None:
        try:
            spec = self._lane.describe(TRACK_ID)
        except CameraError:
            return None  # the recorder says so
        return None if spec is None else _live_init(spec)


class SoundMux:
    """AAC and Opus as they came; G.711 and PCM as FLAC, a tenth of a second at a time."""

    def __init__(self, track: SourceTrack) -> None:
        keeper = keeper_of(track)
        copied = keeper if isinstance(keeper, CopiedTrack) else None
        self._codec = track.codec
        self._rate = track.rate
        self._channels = track.channels or 1
        self._width = self._channels * (2 if track.codec == PCM else 1)
        self._timer = TrackTimer(track.rate)
        self._started = False
        self._sequence = 0
        self._held = bytearray()
        self._held_dts = 0
        self._block = track.rate // FLAC_BLOCKS_A_SECOND
        self._encoder = FlacEncoder(self._rate, self._channels)
        self._usual = copied.usual if copied is not None else 0
        if copied is not None:
            spec = copied.spec(TRACK_ID)
        else:
            config = flac_config(self._rate, self._channels, self._block)
            spec = TrackSpec(
                *(TRACK_ID, Medium.SOUND, "fLaC", self._rate, config), channels=self._channels
            )
        self.init: LiveInit | None = _live_init(spec)

    def push(self, packet: Packet) -> Iterator[LiveFragment]:
        """Take a packet; give what is full."""
        stamp = packet.pts if packet.dts is None else packet.dts
        if not self._started:
            self._started = True
            self._timer.start(stamp or 0, BASE_S * self._rate, packet.arrived_us)
        dts = self._timer.place(stamp, packet.arrived_us)
        if self._usual:
            sample = Sample(packet.data, packet.duration or self._usual, True)
            yield self._fragment(dts, sample, packet.arrived_us)
            return
        end = self._held_dts + len(self._held) // self._width
        if abs(dts - end) > self._block:
            self._held.clear()
            self._held_dts = dts
        self._held += packet.data
        size = self._block * self._width
        while len(self._held) >= size:
            block, self._held = bytes(self._held[:size]), self._held[size:]
            yield self._fragment(self._held_dts, self._flac(block), packet.arrived_us)
            self._held_dts += self._block

    def _fragment(self, dts: int, sample: Sample, utc_us: int) -> LiveFragment:
        self._sequence += 1
        return LiveFragment(write_fragment(self._sequence, TRACK_ID, dts, [sample]), True, utc_us)

    def _flac(self, block: bytes) -> Sample:
        return Sample(self._encoder.encode(samples_of(block, self._codec)), self._block, True)


LiveMux = PictureMux | SoundMux


def mux_of(tracks: tuple[SourceTrack, ...], medium: Medium) -> tuple[int, LiveMux] | None:
    """Give the position of the track of a medium and its mux; none if it cannot be shown."""
    for place, track in enumerate(tracks):
        if track.medium is not medium:
            continue
        if medium is Medium.PICTURE and track.codec in ENTRIES:
            return place, PictureMux(track)
        if medium is Medium.SOUND and can_keep(track):
            return place, SoundMux(track)
    return None


def _live_init(spec: TrackSpec) -> LiveInit:
    data = write_init([spec])
    (track,) = read_init(data)
    kind = "video" if track.medium is Medium.PICTURE else "audio"
    mime = f'{kind}/mp4; codecs="{track.codec}"'
    return LiveInit(data, track.codec, mime, track.width, track.height)
