"""What the segmenter hands to the writer of a volume. Values only."""

from dataclasses import dataclass
from typing import Protocol

from bidwitness.storage.spool.table import AnchorPoint, OpenHeader
from bidwitness.words import ClockQuality, GapCause

ALL = "all"
SOUND = "sound"


@dataclass(frozen=True, slots=True)
class Begin:
    """A segment begins: its first instant, its init and what is known of it."""

    start_us: int
    init: bytes
    header: OpenHeader
    anchor: AnchorPoint


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment's bytes and facts; where it comes to lie is the writer's business."""

    data: bytes
    track: int
    dts: int
    duration: int
    samples: int
    key: bool
    wall_us: int
    end_us: int
    g711: bytes | None = None
    zeros: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """A segment ends before ``anchor``, with what was learnt of its times meanwhile."""

    anchor: AnchorPoint
    anchors: tuple[AnchorPoint, ...]
    quality: ClockQuality


@dataclass(frozen=True, slots=True)
class GapNote:
    """An interval without footage. ``medium``: ``all`` or ``sound``."""

    cause: GapCause
    medium: str
    start_us: int
    end_us: int
    detail: str | None = None


class SegmentSink(Protocol):
    """Takes a stream's segments and gaps in order. Never blocks the caller."""

    @property
    def trouble(self) -> GapCause | None:
        """Say why nothing can be taken now, if so (``writer`` or ``disk``).

        It stays until ``trouble_seen``, so that no piece is lost unnoticed.
        """

    @property
    def kept_until_us(self) -> int | None:
        """Give the end of the last footage taken that was not lost again."""

    @property
    def accounted_us(self) -> int | None:
        """Give until when everything is either footage taken or stated to be missing."""

    def begin(self, begin: Begin) -> None: ...

    def piece(self, piece: Piece) -> None: ...

    def anchor(self, anchor: AnchorPoint) -> None:
        """Remember a tie to the clocks, for a table that may be read after a crash."""

    def end(self, end: End) -> None: ...

    def gap(self, gap: GapNote) -> None: ...

    def trouble_seen(self) -> None:
        """The stream hands over nothing more until the trouble is gone."""
