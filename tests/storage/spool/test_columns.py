"""Tables read all at once are the same as read one by one."""

import numpy as np
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
from bidwitness.storage.spool.columns import Columns, decode_columns, wall_times

LENGTHS = st.integers(0, 10**6)


@st.composite
def tables(draw: st.DrawFn) -> SegmentTable:
    """Tables of any shape, with figures as large as they can be in a year."""
    tracks = draw(st.lists(st.integers(1, 200), min_size=1, max_size=3, unique=True))
    timescales = tuple((track, draw(st.sampled_from([8000, 12800, 90_000]))) for track in tracks)
    ticks = sorted(draw(st.sets(st.integers(0, 2**34), min_size=1, max_size=5)))
    start = draw(st.integers(0, 2**51))
    walls = tuple(
        WallPoint(tick, start + place * draw(st.integers(1, 2**26)))
        for place, tick in enumerate(ticks)
    )
    offset = draw(st.integers(0, 2**40))
    fragments: list[Fragment] = []
    for _ in range(draw(st.integers(0, 20))):
        size = draw(st.integers(0, 2**30))
        track = draw(st.sampled_from(tracks))
        before = [f for f in fragments if f.track == track]
        goes_on = bool(before) and draw(st.booleans())
        dts = before[-1].end if goes_on else draw(st.integers(0, 2**34))
        fragments.append(Fragment(track, offset, size, dts, draw(LENGTHS), draw(st.booleans())))
        offset += size
    return SegmentTable(timescales, walls, tuple(fragments))


def table_of(columns: Columns, place: int) -> SegmentTable:
    scales = columns.timescales[place]
    fragments = [
        Fragment(
            *(scales[columns.slot[i]][0], int(columns.offset[i]), int(columns.size[i])),
            *(int(columns.dts[i]), int(columns.duration[i]), bool(columns.key[i])),
        )
        for i in np.flatnonzero(columns.table == place)
    ]
    return SegmentTable(scales, columns.walls[place], tuple(fragments))


@given(st.lists(tables(), max_size=6))
def test_the_same_as_one_by_one(made: list[SegmentTable]) -> None:
    columns = decode_columns([encode_table(table) for table in made])
    assert [table_of(columns, place) for place in range(len(made))] == made


@given(st.lists(tables().filter(lambda t: bool(t.fragments)), min_size=1, max_size=4))
def test_instants_are_the_same(made: list[SegmentTable]) -> None:
    columns = decode_columns([encode_table(table) for table in made])
    found = wall_times(columns, np.arange(len(columns.table)), columns.dts)
    wanted = [table.wall_of(f.track, f.dts) for table in made for f in table.fragments]
    assert found.tolist() == wanted


@given(st.lists(tables(), min_size=1, max_size=4), st.data())
def test_a_broken_blob_is_damage_or_the_same_other_table(
    made: list[SegmentTable], data: st.DataObject
) -> None:
    blobs = [bytearray(encode_table(table)) for table in made]
    blob = blobs[data.draw(st.integers(0, len(blobs) - 1))]
    blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    del blob[data.draw(st.integers(0, len(blob))) :]
    try:
        columns = decode_columns([bytes(b) for b in blobs])
    except DamageFound:
        return
    alone = [decode_table(bytes(b)) for b in blobs]
    assert [table_of(columns, place) for place in range(len(made))] == alone


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x80" * 20, b"\xff" * 30 + b"\x01", b"\x02\x00"])
def test_what_is_no_table(blob: bytes) -> None:
    with pytest.raises(DamageFound):
        decode_columns([blob])


def test_a_last_fragment_that_lacks_a_number_is_torn() -> None:
    fragments = (Fragment(1, 0, 10, 0, 64, False), Fragment(1, 10, 10, 64, 65, False))
    blob = encode_table(SegmentTable(((1, 8000),), (WallPoint(0, 0),), fragments))
    for decode in (decode_table, lambda data: decode_columns([data])):
        with pytest.raises(DamageFound):
            decode(blob[:-1])


def test_none() -> None:
    assert len(decode_columns([]).table) == 0
