"""The fragment table of an open segment."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.errors import DamageFound
from bidwitness.storage.spool.blob import Fragment
from bidwitness.storage.spool.table import (
    AnchorPoint,
    OpenFragment,
    OpenHeader,
    encode_anchor,
    encode_fragment,
    encode_header,
    read_table,
)

HEADER = OpenHeader(
    stream="cam1main",
    run="run1",
    run_seq=3,
    run_started_us=1_700_000_000_000_000,
    init="ab" * 32,
    init_size=1100,
    tracks=((1, "picture", "avc1.640028", 90_000), (2, "sound", "flac", 8000)),
    source_codec="pcm_mulaw",
)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1)
FRAGMENTS = st.builds(
    OpenFragment,
    st.builds(Fragment, st.integers(1, 2), U64, U32, U64, U32, st.booleans()),
    U32,
    U64,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.lists(st.integers(0, 2**16 - 1), max_size=20).map(tuple),
) | st.builds(
    OpenFragment,
    st.builds(Fragment, st.integers(1, 2), U64, U32, U64, U32, st.booleans()),
    U32,
    U64,
    st.binary(min_size=32, max_size=32),
)
ANCHORS = st.builds(AnchorPoint, U64, U64, U64, st.none() | U64)


@given(st.lists(FRAGMENTS, max_size=5), st.lists(ANCHORS, max_size=3), st.integers(1, 30))
def test_it_reads_back_up_to_its_torn_end(
    fragments: list[OpenFragment], anchors: list[AnchorPoint], torn: int
) -> None:
    data = encode_header(HEADER) + b"".join(map(encode_anchor, anchors))
    data += b"".join(map(encode_fragment, fragments))
    table = read_table(data)
    assert (table.header, list(table.fragments), list(table.anchors)) == (
        HEADER,
        fragments,
        anchors,
    )
    assert table.whole_end == len(data)
    if fragments:
        shorter = read_table(data[: -min(torn, 50)])
        assert list(shorter.fragments) == fragments[:-1]


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 255))
def test_noise_is_damage_or_left_out(noise: bytes, at: int, byte: int) -> None:
    with pytest.raises(DamageFound):
        read_table(noise)
    data = bytearray(encode_header(HEADER) + encode_anchor(AnchorPoint(1, 2, 3, None)))
    data[at % len(data)] ^= byte or 1
    try:
        table = read_table(bytes(data))
    except DamageFound:
        return
    assert table.header == HEADER and table.anchors == ()


def test_instants_come_from_anchors_or_else_from_fragments() -> None:
    fragment = OpenFragment(Fragment(2, 1100, 10, 8000, 2880, True), 5, 77_000_000, bytes(32))
    without = read_table(encode_header(HEADER) + encode_fragment(fragment)).as_segment_table()
    assert without.wall_of(2, 8000) == 77_000_000
    anchor = encode_anchor(AnchorPoint(90_000, 5, 99_000_000, 98_000_000))
    tied = read_table(encode_header(HEADER) + anchor + encode_fragment(fragment))
    assert tied.as_segment_table().wall_of(2, 16_000) == 100_000_000


def test_until_a_run_settles_its_least_delayed_picture_ties_it() -> None:
    first = encode_anchor(AnchorPoint(90_000, 5_000_000, 99_000_000, None))
    fragments = [
        OpenFragment(Fragment(1, 1100, 10, 90_000 + ticks, 45_000, True), 12, wall, bytes(32))
        for ticks, wall in ((0, 99_000_000), (45_000, 99_340_000), (90_000, 99_840_000))
    ]
    young = (
        encode_header(replace(HEADER, run_seq=0))
        + first
        + b"".join(map(encode_fragment, fragments))
    )
    assert read_table(young).as_segment_table().wall_of(1, 90_000) == 98_840_000
    # Settled: what the anchor says now is meant.
    again = encode_anchor(AnchorPoint(90_000, 5_000_000, 99_000_000, None))
    assert read_table(young + again).as_segment_table().wall_of(1, 90_000) == 99_000_000
