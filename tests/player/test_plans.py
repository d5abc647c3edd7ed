"""Days of footage are planned at once just as fragment by fragment."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.player.cutting import cut_all
from bidwitness.player.plans import UNSURE, Plan, plan_many
from bidwitness.player.segments import track_fragments
from bidwitness.storage.spool.blob import Fragment, SegmentTable, WallPoint, encode_table

RATE = 90_000


@st.composite
def tables(draw: st.DrawFn) -> SegmentTable:
    """A segment of picture (1) and perhaps sound (2), with jitter, rarely with a hole."""
    start = draw(st.integers(0, 2**40))
    wall = 1_700_000_000_000_000 + draw(st.integers(0, 10**12))
    fragments: list[Fragment] = []
    offset, ticks, sound = 900, start, start * 8 // 90
    since_key = draw(st.integers(0, 5))
    gop = draw(st.integers(1, 30))
    for _ in range(draw(st.integers(0, 60))):
        length = draw(st.sampled_from([45_000, 43_200, 3600]))
        if draw(st.integers(0, 40)) == 0:
            ticks += draw(st.sampled_from([1000, 30_000, 900_000]))
        size = draw(st.integers(1, 300_000))
        fragments.append(Fragment(1, offset, size, ticks, length, since_key % gop == 0))
        offset, ticks, since_key = offset + size, ticks + length, since_key + 1
        if draw(st.booleans()):
            fragments.append(Fragment(2, offset, 900, sound, 3200, True))
            offset, sound = offset + 900, sound + 3200
    walls = [WallPoint(start, wall)]
    if draw(st.booleans()):
        drift = draw(st.integers(-400, 400))
        walls.append(WallPoint(start + 10 * RATE, wall + 10_000_000 + drift))
    return SegmentTable(((1, RATE), (2, 8000)), tuple(walls), tuple(fragments))


@given(st.lists(tables(), min_size=1, max_size=5), st.sampled_from([1, 2, 3]))
def test_the_same_as_fragment_by_fragment(made: list[SegmentTable], track: int) -> None:
    plans = plan_many([encode_table(table) for table in made], [track] * len(made))
    assert len(plans) == len(made)
    for table, plan in zip(made, plans, strict=True):
        fragments = track_fragments(table, track) if track < 3 else []
        if plan is None:
            assert not fragments
            continue
        whole = cut_all(fragments, continues=True, finished=True)
        if plan is UNSURE:
            gaps = [b.from_us - a.to_us for a, b in itertools.pairwise(fragments)]
            assert any(gap >= 250_000 for gap in gaps)
            continue
        assert isinstance(plan, Plan)
        assert plan.continuing == whole
        assert (plan.from_us, plan.to_us) == (fragments[0].from_us, fragments[-1].to_us)
        assert plan.opens == fragments[0].key


def test_no_tables() -> None:
    assert plan_many([], []) == []
