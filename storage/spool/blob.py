"""A closed segment's fragments as one small blob of variable-length integers. Pure.

A minute of picture and sound takes about a kilobyte, so that years of it fit in the index. It can
always be made again from the file and its record.

Format, all numbers as unsigned LEB128 unless said (``z``: zigzag)::

    1                                    version
    tracks    { id timescale }           the first is the one that instants are tied to
    walls     { ticks wall_us }          both z, as differences to the one before
    start     fragments                  offset of the first fragment; they follow without a hole
    fragment  { flags size [z step] [z duration] }
              flags: 1 key, 2 step is given, 4 duration is given, from bit 3 on the track's position
              step: ticks from where the track's last fragment ended; duration: to its last one's
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from bidwitness.errors import DamageFound

VERSION = 1
_KEY, _STEP, _DURATION, _TRACK_SHIFT = 1, 2, 4, 3
US = 1_000_000


class Fragment(NamedTuple):
    """A fragment in its file; ``dts`` and ``duration`` in ticks of its track."""

    track: int
    offset: int
    size: int
    dts: int
    duration: int
    key: bool

    @property
    def end(self) -> int:
        """The first tick after it."""
        return self.dts + self.duration


class WallPoint(NamedTuple):
    """A tick of the first track, and the recorder's µs UTC there."""

    ticks: int
    wall_us: int


@dataclass(frozen=True)
class SegmentTable:
    """A segment's fragments in file order, and what ties them to the wall clock.

    ``timescales`` are (track, ticks a second); ``walls`` is at least one point, rising.
    """

    timescales: tuple[tuple[int, int], ...]
    walls: tuple[WallPoint, ...]
    fragments: tuple[Fragment, ...]

    def timescale(self, track: int) -> int:
        """Give the ticks a second of a track. Raises ``DamageFound`` if there is no such track."""
        for number, scale in self.timescales:
            if number == track:
                return scale
        raise DamageFound(f"The segment has no track {track}.")

    def wall_of(self, track: int, ticks: int) -> int:
        """Give the recorder's µs UTC of a tick of a track."""
        first = self.timescales[0][1]
        return wall_at(self.walls, ticks * first // self.timescale(track), first)

    def of_track(self, track: int) -> tuple[Fragment, ...]:
        return tuple(fragment for fragment in self.fragments if fragment.track == track)


def wall_at(walls: Sequence[WallPoint], ticks: int, timescale: int) -> int:
    """Give the µs UTC of a tick: between two points in proportion, outside at the clock's pace."""
    place = bisect_right(walls, ticks, key=lambda point: point.ticks)
    before = walls[max(place - 1, 0)]
    if place in (0, len(walls)):
        return before.wall_us + (ticks - before.ticks) * US // timescale
    after = walls[place]
    share = (ticks - before.ticks) * (after.wall_us - before.wall_us)
    return before.wall_us + share // (after.ticks - before.ticks)


def encode_table(table: SegmentTable) -> bytes:
    """Give the blob of a table.

    Raises ``ValueError`` if its fragments do not follow one another in the file.
    """
    out = bytearray()
    _put(out, VERSION, len(table.timescales))
    for number, scale in table.timescales:
        _put(out, number, scale)
    _put(out, len(table.walls))
    last = WallPoint(0, 0)
    for point in table.walls:
        _put(out, _zigzag(point.ticks - last.ticks), _zigzag(point.wall_us - last.wall_us))
        last = point
    offset = table.fragments[0].offset if table.fragments else 0
    _put(out, offset, len(table.fragments))
    positions = {number: place for place, (number, _) in enumerate(table.timescales)}
    ends: dict[int, int] = {}
    durations: dict[int, int] = {}
    for item in table.fragments:
        if item.offset != offset or item.track not in positions:
            raise ValueError("fragments must follow one another, each of a track that is listed")
        step = item.dts - ends.get(item.track, 0)
        change = item.duration - durations.get(item.track, 0)
        flags = positions[item.track] << _TRACK_SHIFT | (_KEY if item.key else 0)
        _put(out, flags | (_STEP if step else 0) | (_DURATION if change else 0), item.size)
        if step:
            _put(out, _zigzag(step))
        if change:
            _put(out, _zigzag(change))
        ends[item.track], durations[item.track] = item.end, item.duration
        offset += item.size
    return bytes(out)


def decode_table(blob: bytes) -> SegmentTable:
    """Read a blob back. Raises ``DamageFound`` if it is not one."""
    reader = _Reader(blob)
    if reader.take() != VERSION:
        raise DamageFound("The fragment table has a version this program does not know.")
    timescales = tuple((reader.take(), reader.take()) for _ in range(reader.count()))
    if not timescales or any(scale < 1 for _, scale in timescales):
        raise DamageFound("The fragment table lists no track.")
    walls: list[WallPoint] = []
    last = WallPoint(0, 0)
    for _ in range(reader.count()):
        last = WallPoint(last.ticks + reader.signed(), last.wall_us + reader.signed())
        walls.append(last)
    if not walls or any(b.ticks <= a.ticks for a, b in pairwise(walls)):
        raise DamageFound("The fragment table is not tied to the clock.")
    fragments = _read_fragments(reader, [number for number, _ in timescales])
    if not reader.at_end:
        raise DamageFound("The fragment table goes on after its end.")
    return SegmentTable(timescales, tuple(walls), tuple(fragments))


def _read_fragments(reader: "_Reader", tracks: list[int]) -> list[Fragment]:
    offset = reader.take()
    ends: dict[int, int] = {}
    durations: dict[int, int] = {}
    fragments: list[Fragment] = []
    for _ in range(reader.count()):
        flags, size = reader.take(), reader.take()
        if flags >> _TRACK_SHIFT >= len(tracks):
            raise DamageFound("The fragment table names a track it does not list.")
        track = tracks[flags >> _TRACK_SHIFT]
        dts = ends.get(track, 0) + (reader.signed() if flags & _STEP else 0)
        duration = durations.get(track, 0) + (reader.signed() if flags & _DURATION else 0)
        if dts < 0 or duration < 0:
            raise DamageFound("The fragment table counts below zero.")
        fragments.append(Fragment(track, offset, size, dts, duration, bool(flags & _KEY)))
        ends[track], durations[track] = dts + duration, duration
        offset += size
    return fragments


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _put(out: bytearray, *values: int) -> None:
    for value in values:
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)


class _Reader:
    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._blob)

    def take(self) -> int:
        value = shift = 0
        while True:
            if self._at >= len(self._blob) or shift > 63:
                raise DamageFound("The fragment table is torn.")
            byte = self._blob[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        value = self.take()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def count(self) -> int:
        """Give a number of things that must follow, each at least a byte long."""
        number = self.take()
        if number > len(self._blob) - self._at:
            raise DamageFound("The fragment table is torn.")
        return number
