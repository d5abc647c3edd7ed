"""A group of pictures as far as an instant: what is needed to decode the one that was on then."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bidwitness.player.cutting import TrackFragment
from bidwitness.player.segments import Held
from bidwitness.storage.spool.blob import SegmentTable

# So far beyond its end a picture still stands for an instant: ticks are rounded, clocks drift.
ROUNDING_US = 20_000


@dataclass(frozen=True, slots=True)
class GopPart:
    """A fragment of a group of pictures, with the segment it lies in and its bytes."""

    held: Held
    fragment: TrackFragment
    data: bytes


@dataclass(frozen=True, slots=True)
class Gop:
    """What is needed to decode the pictures up to an instant: from a key frame on, in order."""

    init: str
    init_data: bytes
    track: int
    table: SegmentTable
    parts: tuple[GopPart, ...]


def up_to(
    run: Sequence[tuple[Held, TrackFragment]], at_us: int
) -> list[tuple[Held, TrackFragment]]:
    """Give the fragments from the last key frame before an instant to the one that holds it."""
    until = [item for item in run if item[1].from_us <= at_us]
    if not until or at_us >= until[-1][1].to_us + ROUNDING_US:
        return []
    first = next((n for n in reversed(range(len(until))) if until[n][1].key), None)
    if first is None:
        return []
    chosen = until[first:]
    whole = all(
        # A fragment in between that may not be shown, or was lost: nothing after it decodes.
        b[1].ordinal == a[1].ordinal + 1 if a[0].key == b[0].key else b[1].ordinal == 0
        for a, b in pairwise(chosen)
    )
    return chosen if whole else []
