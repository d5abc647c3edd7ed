"""Payloads: what a sender cut up is put together again, whatever happens on the way."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip

from bidwitness.rtsp.jpeg_payload import JpegPayload
from bidwitness.rtsp.nal_payload import NalPayload, has_recovery_point
from bidwitness.rtsp.rtp import Payload
from bidwitness.rtsp.sound_payload import (
    AacPayload,
    LatmPayload,
    OpusPayload,
    PlainPayload,
    opus_samples,
)
from bidwitness.rtsp.units import Raw
from bidwitness.simulator.rtp import _fragments
from bidwitness.simulator.rtp_jpeg import jpeg_payloads

STEP = 3600


def nals_of(data: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        out.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    assert at == len(data), "lengths that do not add up"
    return out


Sent = tuple[bytes, int, bool]


def sent(codec: str, frames: int, mark: str = "right") -> list[Sent]:
    """Payloads, stamps and marks of a clip. ``mark``: ``right``, ``never``, or each ``slice``."""
    out: list[Sent] = []
    for number, picture in enumerate(make_clip(codec, frames).pictures):
        nals = nals_of(picture.data)
        payloads = [_fragments(nal, hevc=codec == "hevc") for nal in nals]
        flat = [piece for pieces in payloads for piece in pieces]
        for index, piece in enumerate(flat):
            last = index == len(flat) - 1
            marked = {"right": last, "never": False, "slice": index % 2 == 1 or last}[mark]
            out.append((piece, number * STEP, marked))
    return out


def taken(payload: Payload, packets: list[Sent], lost: frozenset[int] = frozenset()) -> list[Raw]:
    out: list[Raw] = []
    missing = False
    for number, (data, stamp, marked) in enumerate(packets):
        if number in lost:
            missing = True
            continue
        out += payload.take(b"xx" + data + b"y", 2, 2 + len(data), stamp, marked, missing) or []
        missing = False
    return out + (payload.rest() or [])


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("mark", ["right", "never", "slice"])
def test_pictures_come_out_as_they_went_in(codec: str, mark: str) -> None:
    pictures = make_clip(codec, 40).pictures
    units = taken(NalPayload(hevc=codec == "hevc"), sent(codec, 40, mark))
    # Without marks the last picture might still have gone on.
    expected = pictures if mark != "never" else pictures[:-1]
    assert [unit.data for unit in units] == [picture.data for picture in expected]
    assert [unit.key for unit in units] == [picture.key for picture in expected]
    assert [unit.stamp for unit in units] == [n * STEP for n in range(len(expected))]


def test_a_marked_picture_does_not_wait_for_the_next() -> None:
    payload = NalPayload(hevc=False)
    late = 0
    for number, (data, stamp, marked) in enumerate(sent("h264", 10)):
        units = payload.take(data, 0, len(data), stamp, marked, False) or []
        late += sum(unit.stamp != stamp for unit in units)
        assert number < 10 or not marked or [unit.stamp for unit in units] == [stamp]
    # Only the first few, while it is not known whether marks can be trusted.
    assert late == 3


@settings(max_examples=60)
@given(st.frozensets(st.integers(0, 400), max_size=30), st.sampled_from(["h264", "hevc"]))
def test_losses_harm_only_the_pictures_they_are_in(lost: frozenset[int], codec: str) -> None:
    packets = sent(codec, 40)
    pictures = {n * STEP: picture.data for n, picture in enumerate(make_clip(codec, 40).pictures)}
    harmed = {packets[number][1] for number in lost if number < len(packets)}
    units = taken(NalPayload(hevc=codec == "hevc"), packets, lost)
    for unit in units:
        nals_of(unit.data)
        if unit.stamp not in harmed and unit.stamp - STEP not in harmed:
            assert unit.data == pictures[unit.stamp]
    whole = set(pictures) - harmed - {stamp + STEP for stamp in harmed}
    assert whole - {39 * STEP} <= {unit.stamp for unit in units}


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_several_nal_units_in_one_packet(codec: str) -> None:
    nals = nals_of(make_clip(codec, 40).pictures[0].data)
    head = bytes((24,)) if codec == "h264" else bytes((48 << 1, 1))
    together = head + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)
    (unit,) = taken(NalPayload(hevc=codec == "hevc"), [(together, 0, True)])
    assert nals_of(unit.data) == nals and unit.key


def test_decoding_order_numbers_are_taken_out() -> None:
    nal = bytes((19 << 1, 1)) + bytes(range(100))
    payload = NalPayload(hevc=True, with_order=True)
    single = nal[:2] + b"\0\7" + nal[2:]
    aggregate = bytes((48 << 1, 1)) + b"\0\7" + struct.pack(">H", len(nal)) + nal
    aggregate += b"\1" + struct.pack(">H", len(nal)) + nal
    first = bytes((49 << 1, 1, 0x80 | 19)) + b"\0\7" + nal[2:50]
    last = bytes((49 << 1, 1, 0x40 | 19)) + b"\0\7" + nal[50:]
    packets = [(single, 0, True), (aggregate, 1, True), (first, 2, False), (last, 2, True)]
    units = taken(payload, packets)
    assert [nals_of(unit.data) for unit in units] == [[nal], [nal, nal], [nal]]


def test_a_recovery_point_is_a_place_to_begin() -> None:
    assert has_recovery_point(bytes((6, 6, 1, 0xC0, 0x80)))
    assert has_recovery_point(bytes((6, 5, 2, 0, 0, 6, 1, 0xC0, 0x80)))
    assert not has_recovery_point(bytes((6, 5, 2, 6, 1, 0x80)))
    assert not has_recovery_point(bytes((6, 255, 255)))
    packets = [(bytes((6, 6, 1, 0xC0, 0x80)), 0, False), (b"\x41" + bytes(20), 0, True)]
    assert [unit.key for unit in taken(NalPayload(hevc=False), packets)] == [True]


@settings(max_examples=300)
@given(
    st.sampled_from(["h264", "hevc", "donl", "jpeg", "aac", "latm", "opus", "plain"]),
    st.lists(
        st.tuples(st.binary(max_size=60), st.integers(0, 3), st.booleans(), st.booleans()),
        max_size=30,
    ),
)
def test_no_payload_breaks_the_reading(
    kind: str, packets: list[tuple[bytes, int, bool, bool]]
) -> None:
    payload: Payload = {
        "h264": lambda: NalPayload(hevc=False),
        "hevc": lambda: NalPayload(hevc=True),
        "donl": lambda: NalPayload(hevc=True, with_order=True),
        "jpeg": JpegPayload,
        "aac": lambda: AacPayload({}),
        "latm": LatmPayload,
        "opus": OpusPayload,
        "plain": lambda: PlainPayload(4),
    }[kind]()
    for data, stamp, marked, lost in packets:
        for unit in payload.take(data, 0, len(data), stamp, marked, lost) or []:
            assert unit.data
            if kind in ("h264", "hevc", "donl"):
                nals_of(unit.data)


def test_samples_that_follow_each_other_are_one_block() -> None:
    payload = PlainPayload(1)
    packets = [(bytes([n]) * 160, n * 160 + (n >= 3) * 800, False) for n in range(5)]
    units = taken(payload, packets)
    assert [(unit.stamp, unit.duration) for unit in units] == [(0, 480), (1280, 320)]
    assert b"".join(unit.data for unit in units) == b"".join(data for data, _, _ in packets)


def test_aac_frames_together_and_in_parts() -> None:
    frames = [bytes([n]) * (40 + n) for n in range(3)]
    heads = b"".join(struct.pack(">H", len(frame) << 3) for frame in frames)
    together = struct.pack(">H", 16 * len(frames)) + heads + b"".join(frames)
    units = taken(AacPayload({}), [(together, 7, True)])
    assert [unit.data for unit in units] == frames
    assert [unit.stamp for unit in units] == [7, 7 + 1024, 7 + 2048]
    long = bytes(range(256)) * 8
    head = struct.pack(">HH", 16, len(long) << 3)
    (unit,) = taken(AacPayload({}), [(head + long[:1400], 9, False), (head + long[1400:], 9, True)])
    assert unit.data == long


def test_latm_frames() -> None:
    frames = [bytes(300), bytes(255), bytes(7)]
    packed = b"\xff\x2d" + frames[0] + b"\xff\x00" + frames[1] + b"\x07" + frames[2]
    units = taken(LatmPayload(), [(packed[:200], 5, False), (packed[200:], 5, True)])
    assert [unit.data for unit in units] == frames


@pytest.mark.parametrize(
    ("packet", "samples"), [("fc", 960), ("fd", 1920), ("fb04", 3840), ("08", 960), ("80", 120)]
)
def test_how_long_an_opus_packet_is(packet: str, samples: int) -> None:
    assert opus_samples(bytes.fromhex(packet)) == samples


@pytest.mark.parametrize("limit", [200, 1400])
def test_a_jpeg_picture_decodes_to_the_same(limit: int) -> None:
    import cv2
    import numpy as np

    image = np.random.default_rng(1).integers(0, 255, (96, 160, 3)).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    payloads = jpeg_payloads(bytes(coded), limit)
    packets = [(data, 0, index == len(payloads) - 1) for index, data in enumerate(payloads)]
    (unit,) = taken(JpegPayload(), packets)
    theirs = cv2.imdecode(np.asarray(coded), cv2.IMREAD_COLOR)
    ours = cv2.imdecode(np.frombuffer(unit.data, np.uint8), cv2.IMREAD_COLOR)
    assert ours is not None and np.array_equal(ours, theirs)
