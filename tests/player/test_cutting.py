from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.player.cutting import (
    HOLE_US,
    LEAST_US,
    MOST_US,
    TrackFragment,
    adjoins,
    cut,
    stretches,
)

HALF = 500_000


@st.composite
def tracks(draw: st.DrawFn) -> list[TrackFragment]:
    """Fragments of half a second, GOPs of 1 to 30 of them, with holes in number or time."""
    fragments: list[TrackFragment] = []
    ordinal, at, offset = 0, 1_700_000_000_000_000, 900
    for _ in range(draw(st.integers(1, 12))):
        for index in range(draw(st.integers(1, 30))):
            size = draw(st.integers(1, 9000))
            length = draw(st.integers(HALF // 2, HALF))
            fragments.append(TrackFragment(ordinal, at, at + length, index == 0, offset, size))
            ordinal, at, offset = ordinal + 1, at + length, offset + size
        match draw(st.integers(0, 5)):
            case 0:
                at += draw(st.integers(HOLE_US, 40 * HALF))
            case 1:
                ordinal += draw(st.integers(1, 9))
    return fragments[draw(st.integers(0, len(fragments) - 1)) :]


@given(tracks())
def test_stretches_hold_every_fragment_once_and_break_only_at_holes(
    fragments: list[TrackFragment],
) -> None:
    parts = list(stretches(fragments))
    assert [f for part in parts for f in part] == fragments
    for part in parts:
        for a, b in pairwise(part):
            assert b.ordinal == a.ordinal + 1
            assert adjoins(a.to_us, b.from_us)
    for left, right in pairwise(parts):
        a, b = left[-1], right[0]
        assert b.ordinal > a.ordinal + 1 or b.from_us - a.to_us >= HOLE_US


@given(tracks(), st.booleans())
def test_entries_partition_what_can_be_decoded(
    fragments: list[TrackFragment], continues: bool
) -> None:
    for stretch in stretches(fragments):
        by_number = {f.ordinal: f for f in stretch}
        parts = cut(stretch, continues=continues, finished=True)
        covered = [n for part in parts for n in range(part.first, part.last + 1)]
        first_key = next((f.ordinal for f in stretch if f.key), None)
        start = stretch[0].ordinal if continues else first_key
        assert covered == ([] if start is None else [n for n in by_number if n >= start])
        for part in parts:
            inside = [by_number[n] for n in range(part.first, part.last + 1)]
            assert (part.from_us, part.to_us) == (inside[0].from_us, inside[-1].to_us)
            assert inside[0].key or (continues and part is parts[0])
            if part.to_us - part.from_us > MOST_US:
                assert not any(f.key for f in inside[1:]), "longer than a GOP has to be"
            if inside[-1] is not stretch[-1]:
                assert by_number[part.last + 1].key, "cut inside a GOP"
        if not continues and parts:
            head = parts[0]
            assert not any(by_number[n].key for n in range(head.first + 1, head.last + 1))
        for left, right in pairwise(parts[0 if continues else 1 :]):
            length = left.to_us - left.from_us
            gop = next(
                (n for n in range(right.first + 1, right.last + 1) if by_number[n].key),
                right.last + 1,
            )
            with_next = by_number[gop - 1].to_us - left.from_us
            assert length >= LEAST_US or with_next > MOST_US, "shorter than it could be"


@given(tracks(), st.booleans())
def test_an_entry_once_given_never_changes(fragments: list[TrackFragment], continues: bool) -> None:
    for stretch in stretches(fragments):
        whole = cut(stretch, continues=continues, finished=True)
        for length in range(len(stretch) + 1):
            seen = cut(stretch[:length], continues=continues, finished=False)
            assert seen == whole[: len(seen)]
            if length == len(stretch):
                assert len(seen) >= len(whole) - 1
