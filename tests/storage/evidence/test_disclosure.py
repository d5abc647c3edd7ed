"""Parts of a segment: proved, or refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.disclosure import (
    DisclosureFacts,
    WithheldFacts,
    disclose,
    disclosed_root,
    disclosure_line,
    ranges,
    read_disclosure,
)
from bidwitness.storage.evidence.merkle import hash_leaf, root

HASHES = ("sha256", "sm3")


@given(st.sets(st.integers(0, 40)))
def test_ranges_are_the_numbers(numbers: set[int]) -> None:
    pairs = ranges(numbers)
    assert [n for first, last in pairs for n in range(first, last + 1)] == sorted(numbers)
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(pairs))


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_part_is_proved_in_both_hashes(case: tuple[int, set[int]]) -> None:
    size, keep = case
    leaves = {h: [hash_leaf(bytes([n]), h) for n in range(size)] for h in HASHES}
    facts = read_disclosure(parse(disclosure_line(disclose("s", "20231114", 3, leaves, keep))))
    for name in HASHES:
        kept = [leaves[name][n] for n in sorted(keep)]
        assert disclosed_root(facts, size, kept, name) == root(leaves[name], name)
        with pytest.raises(ValueError, match="pieces are announced"):
            disclosed_root(facts, size, [*kept, bytes(32)], name)


def test_hostile_disclosures() -> None:
    endless = DisclosureFacts("s", "20231114", 0, ((0, 2**52),), WithheldFacts((), ()))
    with pytest.raises(ValueError, match="announced"):
        disclosed_root(endless, 5, [bytes(32)], "sha256")
    for kept in (((3, 2),), ((0, 1), (1, 2)), ((5, 6), (0, 1))):
        with pytest.raises(BadRecord, match="ascend"):
            DisclosureFacts("s", "20231114", 0, kept, WithheldFacts((), ()))
    line = disclosure_line(DisclosureFacts("s", "20231114", 0, (), WithheldFacts((), ())))
    for wrong in (b'"v":2', b'"v":true', b'"v":null'):
        with pytest.raises(BadRecord, match="known version"):
            read_disclosure(parse(line.replace(b'"v":1', wrong)))


@pytest.mark.parametrize("kept", [[[]], [[1]], [[1, 2, 3]], [[], [1, 2]], [1], [["1", "2"]]])
def test_ranges_that_are_no_pairs(kept: list[object]) -> None:
    zeros = "0" * 64
    obj = {
        "v": 1,
        "t": "disclosure",
        "stream": "cam-a",
        "day": "20231115",
        "seq": 1,
        "kept": kept,
        "withheld": {"sha256": [zeros], "sm3": [zeros]},
    }
    with pytest.raises(BadRecord):
        read_disclosure(obj)
