"""Where a track is cut into playlist entries: whole fragments, from a key frame, 4–6 s. Pure.

A cut depends only on the fragments before it in the same stretch, so an entry of an open segment
keeps its place and its address when the segment is closed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

# An entry ends at the first key frame after LEAST_US, or before the GOP that would pass MOST_US.
LEAST_US = 4_000_000
MOST_US = 6_000_000
# Less than this between two fragments is rounding of ticks or the drift of a clock, not a hole.
HOLE_US = 250_000


class TrackFragment(NamedTuple):
    """One fragment of one track. ``ordinal`` counts the track's fragments within its segment.

    ``from_us`` and ``to_us`` are recorder UTC; ``offset`` and ``size`` lie in the segment's file.
    """

    ordinal: int
    from_us: int
    to_us: int
    key: bool
    offset: int
    size: int


class Cut(NamedTuple):
    """An entry: the fragments ``first`` to ``last`` (inclusive) of a track, their times and bytes."""

    first: int
    last: int
    from_us: int
    to_us: int
    size: int


def adjoins(to_us: int, from_us: int) -> bool:
    """Say whether footage that ends at ``to_us`` goes on at ``from_us`` without a hole."""
    return abs(from_us - to_us) < HOLE_US


def stretches(fragments: Iterable[TrackFragment]) -> Iterator[list[TrackFragment]]:
    """Give the runs of a segment's fragments that follow one another in number and in time."""
    stretch: list[TrackFragment] = []
    for fragment in fragments:
        if stretch:
            before = stretch[-1]
            next_in_order = fragment.ordinal == before.ordinal + 1
            if not next_in_order or not adjoins(before.to_us, fragment.from_us):
                yield stretch
                stretch = []
        stretch.append(fragment)
    if stretch:
        yield stretch


def cut(stretch: Sequence[TrackFragment], *, continues: bool, finished: bool) -> list[Cut]:
    """Cut one stretch into entries.

    ``continues``: it goes on from footage that is shown just before it. Otherwise what lies
    before its first key frame cannot be decoded and is left out, and the first entry is a single
    GOP, so that a picture comes soon. Unless ``finished``, the last entry is given only if no
    later fragment could lengthen it.
    """
    cuts: list[Cut] = []
    held: Cut | None = None
    for gop in _gops(stretch, continues):
        if held is None:
            held = gop
            continue
        single = not continues and not cuts
        if single or held.to_us - held.from_us >= LEAST_US or gop.to_us - held.from_us > MOST_US:
            cuts.append(held)
            held = gop
        else:
            held = Cut(held.first, gop.last, held.from_us, gop.to_us, held.size + gop.size)
    if held is not None and finished:
        cuts.append(held)
    return cuts


def _gops(stretch: Sequence[TrackFragment], continues: bool) -> list[Cut]:
    gops: list[Cut] = []
    for fragment in stretch:
        # A segment cut without a key frame goes on with the last GOP of the one before it.
        if fragment.key or (continues and not gops):
            at = fragment.ordinal
            gops.append(Cut(at, at, fragment.from_us, fragment.to_us, fragment.size))
        elif gops:
            gop = gops[-1]
            size = gop.size + fragment.size
            gops[-1] = Cut(gop.first, fragment.ordinal, gop.from_us, fragment.to_us, size)
    return gops


def cut_all(
    fragments: Iterable[TrackFragment], *, continues: bool, finished: bool
) -> tuple[Cut, ...]:
    """Cut a segment's fragments, with holes among them or not, into entries; see ``cut``."""
    cuts: list[Cut] = []
    parts = list(stretches(fragments))
    for place, stretch in enumerate(parts):
        last = place == len(parts) - 1
        cuts += cut(stretch, continues=continues and place == 0, finished=finished or not last)
    return tuple(cuts)
