"""What a camera gives, as values: tracks and packets. The seam that tests put a fake behind."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError
from bidwitness.words import GapCause, Medium


@dataclass(frozen=True, slots=True)
class SourceTrack:
    """A track as the camera declares it. Timestamps count ``rate`` ticks a second.

    ``codec`` is libav's name (h264, hevc, mjpeg; aac, opus, pcm_alaw, pcm_mulaw, pcm_s16be, or
    one that cannot be kept); ``extradata`` what came with the description, possibly nothing:
    parameter sets behind their lengths, an AudioSpecificConfig, an OpusHead.
    """

    medium: Medium
    codec: str
    rate: int
    extradata: bytes = field(default=b"", repr=False)
    channels: int = 0


@dataclass(slots=True)
class Packet:
    """One access unit or block of sound as it arrived: NAL units each behind its length.

    ``track`` is a position in the source's ``tracks``; times are in ticks of that track,
    ``arrived_us`` is the recorder's monotonic clock, ``camera_us`` the camera's UTC if it has
    said so.
    """

    track: int
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    arrived_us: int
    camera_us: int | None = None


@dataclass(frozen=True, slots=True)
class Reception:
    """How a connection's packets have come so far; ``jitter_us`` is the picture's (RFC 3550)."""

    received: int
    lost: int
    jitter_us: int


def picture_of(tracks: Sequence[SourceTrack]) -> int | None:
    """Give the place of the picture among a source's tracks; none if it has sound alone."""
    return next((i for i, track in enumerate(tracks) if track.medium is Medium.PICTURE), None)


class SourceLost(CameraError):
    """A connection that worked has ended; ``cause`` is the gap's."""

    def __init__(self, detail: str, cause: GapCause) -> None:
        super().__init__(detail)
        self.cause = cause


class PacketSource(Protocol):
    """One connection to a stream."""

    @property
    def tracks(self) -> tuple[SourceTrack, ...]: ...

    def packets(self) -> Iterator[Packet]:
        """Give packets as they arrive. Never ends but by ``SourceLost``."""

    def reception(self) -> Reception | None:
        """Say how packets come, if that is known; for any thread."""

    def hurry(self, urgent: Callable[[], bool]) -> None:
        """Let ``urgent`` tell whether packets are wanted as they come, or may be gathered."""

    def close(self) -> None: ...


class OpenSource(Protocol):
    """Connects. Raises ``CameraError`` or ``InvalidInput`` with one message made for people."""

    def __call__(self, address: CameraAddress, *, with_sound: bool) -> PacketSource: ...
