"""How whole segments are cut, for days of footage at once. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bidwitness.player.cutting import HOLE_US, LEAST_US, MOST_US, Cut
from bidwitness.storage.spool.columns import Columns, decode_columns, wall_times


@dataclass(frozen=True, slots=True)
class Plan:
    """How one track of a closed segment is cut after the segment before, if all of it is shown.

    ``opens``: it begins with a key frame, so nothing of it belongs to a GOP of that one.
    """

    from_us: int
    to_us: int
    opens: bool
    continuing: tuple[Cut, ...]


class Unsure(Enum):
    """Stands for a plan that has to be made fragment by fragment."""

    UNSURE = "unsure"


UNSURE = Unsure.UNSURE


def plan_many(blobs: Sequence[bytes], tracks: Sequence[int]) -> list[Plan | Unsure | None]:
    """Plan the cuts of one track of each table, as ``cut_all`` would after a segment before.

    Gives nothing for a table without fragments of its track, and ``UNSURE`` for one with a hole
    in it. Raises ``DamageFound`` if a blob is not a table.
    """
    columns = decode_columns(blobs)
    slots = np.array([_slot(columns, place, track) for place, track in enumerate(tracks)])
    if not len(columns.table):
        return [None] * len(blobs)
    chosen = np.flatnonzero(columns.slot == slots[columns.table])
    starts = wall_times(columns, chosen, columns.dts[chosen])
    ends = wall_times(columns, chosen, columns.dts[chosen] + columns.duration[chosen])
    bounds = np.searchsorted(columns.table[chosen], np.arange(len(blobs) + 1))
    key = columns.key[chosen]
    sizes = np.concatenate([np.zeros(1, np.int64), np.cumsum(columns.size[chosen])])
    apart = np.abs(starts[1:] - ends[:-1]) >= HOLE_US
    out: list[Plan | Unsure | None] = []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if first == last:
            out.append(None)
        elif apart[first : last - 1].any():
            out.append(UNSURE)
        else:
            heads = np.flatnonzero(key[first:last])
            opens = bool(key[first])
            if not opens:
                # What goes on from the segment before counts as a GOP of its own.
                heads = np.concatenate([np.zeros(1, heads.dtype), heads])
            cuts = _cuts(
                heads.tolist(),
                starts[first + heads].tolist(),
                ends[first + np.append(heads[1:], last - first) - 1].tolist(),
                sizes[first + np.append(heads, last - first)].tolist(),
                last - first,
            )
            out.append(Plan(int(starts[first]), int(ends[last - 1]), opens, cuts))
    return out


def _slot(columns: Columns, place: int, track: int) -> int:
    for slot, (number, _) in enumerate(columns.timescales[place]):
        if number == track:
            return slot
    return -1


def _cuts(
    heads: list[int], starts: list[int], ends: list[int], sizes: list[int], fragments: int
) -> tuple[Cut, ...]:
    """Join GOPs, given by their first fragments and their times, into entries.

    ``sizes``: bytes of the track before each GOP, and before what follows the last.
    """
    cuts: list[Cut] = []
    begun = 0
    for gop in range(1, len(heads)):
        start = starts[begun]
        if ends[gop - 1] - start >= LEAST_US or ends[gop] - start > MOST_US:
            size = sizes[gop] - sizes[begun]
            cuts.append(Cut(heads[begun], heads[gop] - 1, start, ends[gop - 1], size))
            begun = gop
    size = sizes[-1] - sizes[begun]
    cuts.append(Cut(heads[begun], fragments - 1, starts[begun], ends[-1], size))
    return tuple(cuts)
