"""Many fragment tables decoded at once, as columns: days of footage in the time of a page. Pure.

The format is that of ``storage.spool.blob``, which also says what its numbers mean; here nothing
is a loop over fragments. Both give the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bidwitness.errors import DamageFound
from bidwitness.storage.spool.blob import US, VERSION, WallPoint

Ints = NDArray[np.int64]
# Seven bits a byte: more would not fit the integers we count in.
_LONGEST = 9
# No segment is as long in ticks; a table's place is counted above it.
_TICK_BITS = 46


@dataclass(frozen=True)
class Columns:
    """The fragments of all tables, by table and in file order within it.

    ``table`` is the place of a fragment's table among the blobs; ``slot`` the place of its track
    among ``timescales[table]``, which are (track, ticks a second). ``walls`` are one list a table.
    """

    table: Ints
    slot: Ints
    offset: Ints
    size: Ints
    dts: Ints
    duration: Ints
    key: NDArray[np.bool_]
    timescales: tuple[tuple[tuple[int, int], ...], ...]
    walls: tuple[tuple[WallPoint, ...], ...]


@dataclass(frozen=True, slots=True)
class _Header:
    timescales: tuple[tuple[int, int], ...]
    walls: tuple[WallPoint, ...]
    offset: int
    count: int
    first: int


def decode_columns(blobs: Sequence[bytes]) -> Columns:
    """Read tables from their blobs. Raises ``DamageFound`` if any of them is not one."""
    if not blobs:
        empty = np.zeros(0, np.int64)
        none = np.zeros(0, np.bool_)
        return Columns(empty, empty, empty, empty, empty, empty, none, (), ())
    values, bounds = _varints(blobs)
    listed = values.tolist()
    headers = [_header(listed, a, b) for a, b in pairwise(bounds)]
    counts = np.array([header.count for header in headers], np.int64)
    firsts = np.array([header.first for header in headers], np.int64)
    places, table = _chains(values, firsts, counts, np.array(bounds[1:], np.int64))
    padded = np.concatenate([values, np.zeros(4, np.int64)])
    flags, size = padded[places], padded[places + 1]
    has_step, has_duration = flags >> 1 & 1, flags >> 2 & 1
    step = np.where(has_step == 1, _signed(padded[places + 2]), 0)
    change = np.where(has_duration == 1, _signed(padded[places + 2 + has_step]), 0)
    slot = flags >> 3
    tracks = np.array([len(header.timescales) for header in headers], np.int64)
    if np.any(slot >= tracks[table]):
        raise DamageFound("A fragment table names a track it does not list.")
    dts, duration = np.zeros_like(size), np.zeros_like(size)
    for place in range(int(tracks.max())):
        mine = np.flatnonzero(slot == place)
        groups = table[mine]
        duration[mine] = _running(change[mine], groups)
        dts[mine] = _running(step[mine] + duration[mine], groups) - duration[mine]
    if np.any(dts < 0) or np.any(duration < 0):
        raise DamageFound("A fragment table counts below zero.")
    starts = np.array([header.offset for header in headers], np.int64)
    offset = starts[table] + _running(size, table) - size
    return Columns(
        *(table, slot, offset, size, dts, duration, (flags & 1).astype(np.bool_)),
        tuple(header.timescales for header in headers),
        tuple(header.walls for header in headers),
    )


def _varints(blobs: Sequence[bytes]) -> tuple[Ints, list[int]]:
    """Give all numbers in all blobs, and where each blob's begin (and the last one's end)."""
    data = np.frombuffer(b"".join(blobs), np.uint8)
    edges = np.cumsum([0, *(len(blob) for blob in blobs)])
    stops = np.flatnonzero(data < 0x80)
    bounds = np.searchsorted(stops, edges)
    torn = any(not blob or blob[-1] > 0x7F for blob in blobs)
    starts = np.concatenate([np.zeros(1, np.int64), stops[:-1] + 1])
    lengths = stops - starts + 1
    if torn or int(lengths.max(initial=0)) > _LONGEST:
        raise DamageFound("A fragment table is torn.")
    values = np.zeros(len(stops), np.int64)
    for byte in range(int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > byte)
        bits = (data[starts[longer] + byte] & 0x7F).astype(np.int64)
        values[longer] |= bits << (7 * byte)
    return values, [int(bound) for bound in bounds]


def _header(values: list[int], at: int, end: int) -> _Header:
    """Read what stands before a table's fragments."""
    try:
        if values[at] != VERSION:
            raise DamageFound("A fragment table has a version this program does not know.")
        tracks = values[at + 1]
        at += 2
        timescales = tuple((values[at + 2 * i], values[at + 2 * i + 1]) for i in range(tracks))
        at += 2 * tracks
        points = values[at]
        walls: list[WallPoint] = []
        ticks = wall_us = 0
        for place in range(at + 1, at + 1 + 2 * points, 2):
            ticks += _unzigzag(values[place])
            wall_us += _unzigzag(values[place + 1])
            walls.append(WallPoint(ticks, wall_us))
        at += 1 + 2 * points
        offset, count = values[at], values[at + 1]
    except IndexError:
        raise DamageFound("A fragment table is torn.") from None
    rising = all(b.ticks > a.ticks for a, b in pairwise(walls))
    if not timescales or any(scale < 1 for _, scale in timescales) or not walls or not rising:
        raise DamageFound("A fragment table lists no track, or is not tied to the clock.")
    if at + 2 + 2 * count > end:
        raise DamageFound("A fragment table is torn.")
    return _Header(timescales, tuple(walls), offset, count, at + 2)


def _chains(values: Ints, firsts: Ints, counts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Give where each fragment's numbers begin, and its table.

    A fragment has two to four numbers, as its flags say, so each is known only from the one
    before: the steps are doubled until the longest table is walked.
    """
    total = len(values)
    step = 2 + (values >> 1 & 1) + (values >> 2 & 1)
    # One place behind the end, so that numbers which are not there are not taken for the end.
    following = np.minimum(np.arange(total) + step, total + 1)
    behind = np.array([total + 1, total + 1])
    jump = after = np.concatenate([following, behind])
    places = firsts[:, None]
    longest = int(counts.max(initial=0))
    while places.shape[1] < longest:
        places = np.concatenate([places, jump[places]], axis=1)
        jump = jump[jump]
    used = np.arange(places.shape[1])[None, :] < counts[:, None]
    table = np.broadcast_to(np.arange(len(firsts))[:, None], places.shape)[used]
    chosen = places[used]
    reached = firsts.copy()
    last = np.flatnonzero(counts > 0)
    reached[last] = after[places[last, counts[last] - 1]]
    if np.any(chosen >= total) or np.any(reached != ends):
        raise DamageFound("A fragment table does not end where its fragments do.")
    return chosen, table


def _running(values: Ints, groups: Ints) -> Ints:
    """Give the running sum within each group; groups are rising."""
    if not len(values):
        return values
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    before = total[first] - values[first]
    lengths = np.diff(np.append(first, len(values)))
    return np.asarray(total - np.repeat(before, lengths), np.int64)


def _signed(values: Ints) -> Ints:
    return np.asarray(np.where(values & 1, -(values >> 1) - 1, values >> 1), np.int64)


def _unzigzag(value: int) -> int:
    return -(value >> 1) - 1 if value & 1 else value >> 1


def wall_times(columns: Columns, chosen: NDArray[np.intp], ticks: Ints) -> Ints:
    """Give the µs UTC of a tick of the track of each ``chosen`` fragment, as ``wall_at`` does."""
    points = [(t, *point) for t, walls in enumerate(columns.walls) for point in walls]
    of, at, wall = (np.array(column, np.int64) for column in zip(*points, strict=True))
    lengths = np.array([len(walls) for walls in columns.walls], np.int64)
    first_point = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    table, slot = columns.table[chosen], columns.slot[chosen]
    main = np.array([scales[0][1] for scales in columns.timescales], np.int64)[table]
    widest = max(len(scales) for scales in columns.timescales)
    scales = np.ones((len(columns.timescales), widest), np.int64)
    for place, listed in enumerate(columns.timescales):
        scales[place, : len(listed)] = [scale for _, scale in listed]
    on_main = ticks * main // scales[table, slot]
    # One search for all: by table, and within it by ticks from its first point.
    origin = at[first_point[:-1]]
    keys = (of << _TICK_BITS) + np.clip(at - origin[of], 0, (1 << _TICK_BITS) - 2) + 1
    asked = np.clip(on_main - origin[table], -1, (1 << _TICK_BITS) - 2) + 1
    found = np.searchsorted(keys, (table << _TICK_BITS) + asked, side="right")
    before = np.clip(found - 1, first_point[table], first_point[table + 1] - 1)
    after = np.minimum(before + 1, first_point[table + 1] - 1)
    inside = (found > first_point[table]) & (found < first_point[table + 1])
    past = on_main - at[before]
    span = np.where(inside, at[after] - at[before], 1)
    rise = wall[after] - wall[before]
    return np.asarray(
        wall[before] + np.where(inside, past * rise // span, past * US // main), np.int64
    )
