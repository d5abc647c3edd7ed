"""The stamp is found in any wrapping and needs no emulation prevention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.simulator.stamps import FrameStamp, read_sei, stamp_nal

STAMPS = st.builds(
    FrameStamp,
    st.integers(0, 10**12 - 1),
    st.integers(0, 10**16 - 1),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", fullmatch=True),
    st.sampled_from(["main", "sub"]),
)


@given(STAMPS, st.booleans(), st.booleans())
def test_a_stamp_is_read_from_both_wrappings(stamp: FrameStamp, hevc: bool, annex_b: bool) -> None:
    nals = [b"\x09\xf0", stamp_nal(stamp, hevc=hevc), bytes(range(1, 200))]
    if annex_b:
        unit = b"".join(b"\0\0\0\1" + nal for nal in nals)
    else:
        unit = b"".join(len(nal).to_bytes(4) + nal for nal in nals)
    assert read_sei(unit) == stamp


@given(STAMPS, st.booleans())
def test_nothing_in_a_stamp_can_be_taken_for_a_start_code(stamp: FrameStamp, hevc: bool) -> None:
    assert b"\0\0" not in stamp_nal(stamp, hevc=hevc)


@pytest.mark.parametrize("hevc", [False, True])
def test_all_stamps_are_equally_long(hevc: bool) -> None:
    short, long = FrameStamp(0, 0, "a", "sub"), FrameStamp(10**11, 10**15, "b" * 32, "main")
    assert len(stamp_nal(short, hevc=hevc)) == len(stamp_nal(long, hevc=hevc))


def test_a_unit_without_or_with_half_a_stamp_gives_none() -> None:
    nal = stamp_nal(FrameStamp(5, 6, "cam", "main"), hevc=False)
    assert read_sei(b"") is None
    assert read_sei(b"\0\0\0\1\x65" + bytes(500)) is None
    assert read_sei(nal[:30]) is None
