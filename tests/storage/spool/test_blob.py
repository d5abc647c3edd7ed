"""The blob of a closed segment's fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.errors import DamageFound
from bidwitness.storage.spool.blob import (
    Fragment,
    SegmentTable,
    WallPoint,
    decode_table,
    encode_table,
)

TIMES = st.integers(0, 2**50)


@st.composite
def tables(draw: st.DrawFn) -> SegmentTable:
    tracks = draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=3, unique=True))
    timescales = tuple((track, draw(st.integers(1, 2**32 - 1))) for track in tracks)
    ticks = sorted(draw(st.sets(st.integers(0, 2**50), min_size=1, max_size=5)))
    walls = tuple(WallPoint(tick, draw(st.integers(0, 2**53))) for tick in ticks)
    offset = draw(st.integers(0, 2**40))
    fragments: list[Fragment] = []
    for _ in range(draw(st.integers(0, 20))):
        size = draw(st.integers(0, 2**30))
        fragments.append(
            Fragment(
                draw(st.sampled_from(tracks)),
                offset,
                size,
                draw(TIMES),
                draw(TIMES),
                draw(st.booleans()),
            )
        )
        offset += size
    return SegmentTable(timescales, walls, tuple(fragments))


@given(tables())
def test_a_table_comes_back(table: SegmentTable) -> None:
    assert decode_table(encode_table(table)) == table


@given(tables(), st.data())
def test_a_broken_blob_is_damage_or_another_table(table: SegmentTable, data: st.DataObject) -> None:
    blob = bytearray(encode_table(table))
    blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    del blob[data.draw(st.integers(0, len(blob))) :]
    try:
        decode_table(bytes(blob))
    except DamageFound:
        return


def a_minute() -> SegmentTable:
    """A minute of 4 Mbit/s in half seconds, with jitter, and of sound in blocks of 0.36 s."""
    fragments: list[Fragment] = []
    offset = 1100
    for number in range(120):
        jitter = number * 37 % 180
        size = 250_000 - number * 131
        fragments.append(Fragment(1, offset, size, 45_000 * number, 45_000 + jitter, True))
        offset += size
    for number in range(166):
        size = 2000 + number * 53 % 300
        fragments.append(Fragment(2, offset, size, 2880 * number, 2880, True))
        offset += size
    walls = (WallPoint(900_000, 1_700_000_000_000_000), WallPoint(6_300_000, 1_700_000_060_000_123))
    return SegmentTable(((1, 90_000), (2, 8000)), walls, tuple(fragments))


def test_a_minute_takes_at_most_one_and_a_half_kilobytes() -> None:
    assert len(encode_table(a_minute())) <= 1500


def test_instants_follow_the_points() -> None:
    table = a_minute()
    start, end = table.walls[0].wall_us, table.walls[1].wall_us
    assert table.wall_of(1, 900_000) == start
    assert table.wall_of(2, 80_000) == start
    assert table.wall_of(1, 6_300_000) == end
    assert table.wall_of(1, 3_600_000) == start + 30_000_061
    assert table.wall_of(1, 810_000) == start - 1_000_000
    assert table.wall_of(1, 6_390_000) == end + 1_000_000
    with pytest.raises(DamageFound):
        table.wall_of(3, 0)


def test_fragments_with_a_hole_between_them_are_refused() -> None:
    hole = (Fragment(1, 0, 10, 0, 1, True), Fragment(1, 11, 10, 1, 1, True))
    with pytest.raises(ValueError, match="follow one another"):
        encode_table(SegmentTable(((1, 90_000),), (WallPoint(0, 0),), hole))
