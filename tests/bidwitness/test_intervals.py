"""Sets of intervals against sets of instants."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.intervals import Interval, intersect, subtract, total, union

intervals = st.builds(
    lambda start, length: Interval(start, start + length), st.integers(0, 30), st.integers(1, 10)
)
sets = st.lists(intervals, max_size=6)


def instants(items: list[Interval]) -> set[int]:
    return {t for item in items for t in range(item.start, item.end)}


def tidy(items: list[Interval]) -> bool:
    """Sorted, disjoint, and not even touching."""
    pairs = itertools.pairwise(items)
    return all(left.end < right.start for left, right in pairs)


@given(sets, sets)
def test_the_operations_are_those_of_sets(left: list[Interval], right: list[Interval]) -> None:
    a, b = instants(left), instants(right)
    for got, wanted in (
        (union([*left, *right]), a | b),
        (intersect(left, right), a & b),
        (subtract(left, right), a - b),
    ):
        assert instants(got) == wanted
        assert tidy(got)
        assert total(got) == len(wanted)


@given(sets, sets, sets)
def test_laws(a: list[Interval], b: list[Interval], c: list[Interval]) -> None:
    assert union(union(a)) == union(a)
    assert intersect(a, b) == intersect(b, a)
    assert subtract(a, []) == union(a)
    assert subtract(a, a) == []
    assert subtract(subtract(a, b), c) == subtract(a, union([*b, *c]))
    assert union([*intersect(a, b), *subtract(a, b)]) == union(a)
    assert intersect(a, union([*b, *c])) == union([*intersect(a, b), *intersect(a, c)])


@given(sets, st.integers(0, 5))
def test_joining_closes_small_holes_only(items: list[Interval], within: int) -> None:
    joined = union(items, join_within=within)
    pairs = itertools.pairwise(joined)
    assert all(right.start - left.end > within for left, right in pairs)
    for hole in subtract(joined, items):
        assert hole.duration <= within


@given(intervals, intervals)
def test_one_interval(a: Interval, b: Interval) -> None:
    shared = instants([a]) & instants([b])
    assert a.overlaps(b) == bool(shared)
    common = a.intersection(b)
    assert (instants([common]) if common else set()) == shared
    assert a.contains(b.start) == (b.start in instants([a]))


def test_an_interval_is_never_empty() -> None:
    with pytest.raises(ValueError, match="must end after"):
        Interval(5, 5)
