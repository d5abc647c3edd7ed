"""Half-open intervals of time in microseconds UTC, and arithmetic on sets of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """``[start, end)`` in µs UTC. Never empty.

    Raises ``ValueError`` if ``end`` is not after ``start``.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"an interval must end after it starts: [{self.start}, {self.end})")

    @property
    def duration(self) -> int:
        return self.end - self.start

    def overlaps(self, other: "Interval") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, instant: int) -> bool:
        return self.start <= instant < self.end

    def intersection(self, other: "Interval") -> "Interval | None":
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


def union(intervals: Iterable[Interval], *, join_within: int = 0) -> list[Interval]:
    """Give the sorted, disjoint cover; pieces no more than ``join_within`` µs apart become one."""
    merged: list[Interval] = []
    for item in sorted(intervals):
        if merged and item.start <= merged[-1].end + join_within:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, item.end))
        else:
            merged.append(item)
    return merged


def intersect(left: Iterable[Interval], right: Iterable[Interval]) -> list[Interval]:
    """Give what lies in both sets, sorted and disjoint."""
    a, b = union(left), union(right)
    out: list[Interval] = []
    i = j = 0
    while i < len(a) and j < len(b):
        common = a[i].intersection(b[j])
        if common:
            out.append(common)
        if a[i].end <= b[j].end:
            i += 1
        else:
            j += 1
    return out


def subtract(left: Iterable[Interval], right: Iterable[Interval]) -> list[Interval]:
    """Give what lies in ``left`` and not in ``right``, sorted and disjoint."""
    out: list[Interval] = []
    holes = union(right)
    for item in union(left):
        start = item.start
        for hole in holes:
            if hole.end <= start or hole.start >= item.end:
                continue
            if hole.start > start:
                out.append(Interval(start, hole.start))
            start = max(start, hole.end)
        if start < item.end:
            out.append(Interval(start, item.end))
    return out


def total(intervals: Iterable[Interval]) -> int:
    """Give the length in µs of the cover (overlaps count once)."""
    return sum(item.duration for item in union(intervals))
