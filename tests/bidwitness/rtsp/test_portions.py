"""Packets that come together are read as they would be one by one, whatever is wrong with them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.rtsp.interleaved import Interleaved
from bidwitness.rtsp.nal_payload import NalPayload
from bidwitness.rtsp.rtp import TrackReader
from bidwitness.rtsp.sound_payload import PlainPayload
from bidwitness.rtsp.units import MAX_UNIT
from bidwitness.simulator.rtp import _fragments

STEP = 3600
# How a NAL unit of a picture begins, by whether it is H.265.
HEADS = {False: b"\x65", True: b"\x26\x01"}


def frame(number: int, payload: bytes, *, marked: bool, stamp: int, channel: int = 0) -> bytes:
    kind = 96 | (0x80 if marked else 0)
    rtp = struct.pack(">BBHII", 0x80, kind, number & 0xFFFF, stamp, 7) + payload
    return b"$" + bytes((channel,)) + len(rtp).to_bytes(2) + rtp


def sent(sizes: list[int], *, hevc: bool) -> list[bytes]:
    """Pictures of one slice each, as frames of the connection. Numbers begin before they wrap."""
    frames: list[bytes] = []
    for number, size in enumerate(sizes):
        nal = HEADS[hevc] + bytes((number + index) & 0xFF for index in range(size))
        pieces = _fragments(nal, hevc=hevc)
        frames += [
            frame(
                65_530 + len(frames) + index,
                piece,
                marked=index == len(pieces) - 1,
                stamp=number * STEP,
            )
            for index, piece in enumerate(pieces)
        ]
    return frames


def readers(*, hevc: bool) -> dict[int, TrackReader]:
    return {
        0: TrackReader(NalPayload(hevc=hevc), 96, 90_000),
        1: TrackReader(PlainPayload(1), 96, 8000),
    }


def read(portions: list[bytes], *, hevc: bool) -> tuple[object, ...]:
    """Give the units, and what the readers count."""
    tracks = readers(hevc=hevc)
    apart = Interleaved({0: (0, tracks[0]), 2: (1, tracks[1])})
    found = [
        (place, unit.data, unit.stamp, unit.key)
        for portion in portions
        for place, units in apart.feed(portion, 0)
        for unit in units
    ]
    rest = [(0, unit.data, unit.stamp, unit.key) for unit in tracks[0].rest()]
    counts = [(t.received, t.lost, t.strange, t.highest) for t in tracks.values()]
    return found, rest, counts


HARM = st.sampled_from(["drop", "twice", "swap", "mark", "padded", "other", "cut", "type", "begin"])


def harmed(frames: list[bytes], harms: list[tuple[str, int]]) -> list[bytes]:
    out = list(frames)
    for harm, place in harms:
        at = place % len(out)
        own = bytearray(out[at])
        if harm == "drop" and len(out) > 1:
            del out[at]
            continue
        if harm == "twice":
            out.insert(at, out[at])
            continue
        if harm == "swap" and at:
            out[at - 1], out[at] = out[at], out[at - 1]
            continue
        if harm == "other":
            out.insert(at, frame(at, b"sound", marked=False, stamp=at * 5, channel=2))
            continue
        if harm == "cut":
            own = own[: max(16, len(own) // 2)]
            own[2:4] = (len(own) - 4).to_bytes(2)
        elif harm == "mark":
            own[5] ^= 0x80
        elif harm == "padded":
            own[4] ^= 0x20
        elif harm == "type":
            own[5] ^= 0x01
        elif harm == "begin" and len(own) > 17:
            own[17] ^= 0x80
        out[at] = bytes(own)
    return out


@pytest.mark.parametrize("hevc", [False, True])
@given(
    st.lists(st.integers(1, 9_000), min_size=1, max_size=6),
    st.lists(st.tuples(HARM, st.integers(0, 99)), max_size=6),
    st.integers(1, 40_000),
)
def test_together_is_as_one_by_one(
    hevc: bool, sizes: list[int], harms: list[tuple[str, int]], portion: int
) -> None:
    frames = harmed(sent(sizes, hevc=hevc), harms)
    whole = b"".join(frames)
    one_by_one = read(frames, hevc=hevc)
    assert read([whole], hevc=hevc) == one_by_one
    cut = [whole[at : at + portion] for at in range(0, len(whole), portion)]
    assert read(cut, hevc=hevc) == one_by_one


def test_a_picture_without_end_is_let_go() -> None:
    nal = HEADS[False] + bytes(MAX_UNIT + 300_000)
    pieces = _fragments(nal, hevc=False)
    frames = [frame(n, piece, marked=False, stamp=0) for n, piece in enumerate(pieces)]
    track = readers(hevc=False)[0]
    apart = Interleaved({0: (0, track)})
    whole = b"".join(frames)
    held = 0
    for at in range(0, len(whole), 1 << 18):
        assert list(apart.feed(whole[at : at + (1 << 18)], 0)) == []
        payload = track._payload
        assert isinstance(payload, NalPayload)
        held = max(held, payload._size)
    assert held <= MAX_UNIT + (1 << 18)
    assert track.rest() == []
