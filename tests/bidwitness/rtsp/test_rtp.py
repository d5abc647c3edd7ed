"""A track's packets: numbers that wrap, losses that are counted, reports that tell the time."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.rtsp.datagrams import LATEST_US, Reorder
from bidwitness.rtsp.interleaved import Interleaved, TooStrange
from bidwitness.rtsp.rtp import Report, TrackReader, receiver_report
from bidwitness.rtsp.sound_payload import OpusPayload, PlainPayload
from bidwitness.simulator.rtp import sender_report

FRAME = b"\xfcabc"


def packet(number: int, stamp: int, data: bytes = FRAME, ssrc: int = 1, kind: int = 96) -> bytes:
    return struct.pack(">BBHII", 0x80, kind, number & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + data


def reader() -> TrackReader:
    return TrackReader(OpusPayload(), 96, 48_000)


def stamps(into: TrackReader, packets: list[bytes]) -> list[int]:
    units = [unit for data in packets for unit in into.take(data, 0, len(data), 0)]
    return [into.extended(unit.stamp) for unit in units]


def test_stamps_do_not_wrap() -> None:
    start = (1 << 32) - 2000
    found = stamps(reader(), [packet(n, start + 960 * n) for n in range(10)])
    assert found == [start + 960 * n for n in range(10)]


def test_losses_repeats_and_late_ones_are_told_apart() -> None:
    track = reader()
    numbers = [65_533, 65_534, 2, 3, 3, 65_535, 4]
    assert len(stamps(track, [packet(n, n * 960) for n in numbers])) == 5
    assert (track.received, track.lost, track.strange) == (5, 3, 2)


def test_a_camera_that_counts_anew_is_followed_at_its_second_packet() -> None:
    track = reader()
    numbers = [1000, 1001, 500, 501, 502]
    assert len(stamps(track, [packet(n, n * 960) for n in numbers])) == 4


def test_padding_sources_and_extensions_are_taken_off() -> None:
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 96, 1, 0, 1)
    extended = head + bytes(8) + struct.pack(">HH", 0xABAC, 1) + bytes(4) + FRAME + b"\0\0\3"
    units = reader().take(extended, 0, len(extended), 0)
    assert [unit.data for unit in units] == [FRAME]


@given(st.binary(max_size=80))
def test_no_packet_breaks_the_reading(data: bytes) -> None:
    track = reader()
    track.take(data, 0, len(data), 0)
    track.take(b"\xb0\x60" + data, 0, 2 + len(data), 0)
    track.take_report(data, 0, len(data))
    track.take_report(b"\x80\xc8" + data, 0, 2 + len(data))


def test_a_sender_report_tells_the_cameras_time() -> None:
    track = reader()
    assert track.camera_us(0) is None
    utc = 1_795_000_000_123_456
    report = sender_report(ssrc=1, utc_us=utc, timestamp=4_294_967_000, packets=1, octets=1)
    assert not track.take_report(report, 0, len(report))
    assert track.report == Report(utc - 1, 4_294_967_000) or track.report == Report(
        utc, 4_294_967_000
    )
    found = track.camera_us((4_294_967_000 + 48_000) & 0xFFFFFFFF)
    assert found is not None and abs(found - utc - 1_000_000) <= 1
    goodbye = report + struct.pack(">BBHI", 0x81, 203, 1, 1)
    assert track.take_report(goodbye, 0, len(goodbye))


def test_a_report_before_the_first_packet_counts() -> None:
    track = reader()
    report = sender_report(ssrc=1, utc_us=10**15, timestamp=0, packets=0, octets=0)
    track.take_report(report, 0, len(report))
    track.take(packet(1, 0), 0, 16, 0)
    assert track.camera_us(0) is not None


def test_another_sender_forgets_the_report() -> None:
    track = reader()
    track.take(packet(1, 0), 0, 16, 0)
    report = sender_report(ssrc=1, utc_us=10**15, timestamp=0, packets=1, octets=1)
    track.take_report(report, 0, len(report))
    track.take(packet(2, 960, ssrc=2), 0, 16, 0)
    assert track.report is None


def test_jitter_is_measured() -> None:
    steady, shaken = reader(), reader()
    for number in range(200):
        data = packet(number, number * 960)
        steady.take(data, 0, len(data), number * 20_000)
        shaken.take(data, 0, len(data), number * 20_000 + number % 2 * 5000)
    assert steady.jitter <= 1 and 200 < shaken.jitter < 260


def test_a_receiver_report_has_the_standards_form() -> None:
    track = reader()
    stamps(track, [packet(n, n * 960) for n in (5, 9)])
    said = receiver_report(7, track)
    kind, length = said[1], struct.unpack_from(">H", said, 2)[0]
    assert (kind, length) == (201, 7) and said[8:12] == track.ssrc
    assert struct.unpack_from(">II", said, 12) == (3, 9)
    assert len(said) % 4 == 0 and said[33] == 202


def framed(channel: int, data: bytes) -> bytes:
    return b"$" + bytes((channel,)) + struct.pack(">H", len(data)) + data


@given(st.data())
def test_bytes_may_come_in_any_portions(data: st.DataObject) -> None:
    """Frames, answers between them, another channel's frames: whatever the network's cuts."""
    sent = b""
    for number in range(20):
        sent += framed(0, packet(number, number * 960, FRAME + bytes([number])))
        if number % 5 == 0:
            sent += b"RTSP/1.0 200 OK\r\nCSeq: 4\r\nContent-Length: 3\r\n\r\n$$$"
            sent += framed(9, b"other")
    apart = Interleaved({0: (0, reader())})
    found, at = [], 0
    while at < len(sent):
        size = data.draw(st.integers(1, 200))
        for place, units in apart.feed(sent[at : at + size], 0):
            assert place == 0
            found += [unit.data[-1] for unit in units]
        at += size
    assert found == list(range(20))
    assert [message.status for message in apart.messages] == [200] * 4


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_no_bytes_break_the_taking_apart(portions: list[bytes]) -> None:
    apart = Interleaved({0: (0, reader())})
    try:
        for portion in portions:
            list(apart.feed(portion, 0))
    except TooStrange:
        return


def test_after_garbage_it_finds_its_way_again() -> None:
    apart = Interleaved({0: (0, reader())})
    frames = [framed(0, packet(n, n * 960)) for n in range(10)]
    sent = b"".join(frames[:3]) + bytes(range(37, 200)) * 3 + b"".join(frames[3:])
    assert sum(len(units) for _, units in apart.feed(sent, 0)) >= 9


def test_garbage_without_end_ends_the_connection() -> None:
    apart = Interleaved({0: (0, reader())})
    try:
        for _ in range(40):
            list(apart.feed(b"\x01" * 65_536, 0))
    except TooStrange:
        return
    raise AssertionError("two megabytes of nothing were taken")


@given(st.permutations(range(12)), st.integers(0, 65_535))
def test_datagrams_are_put_in_order(order: list[int], first: int) -> None:
    """All that come within the time are given in order, if the first one comes first."""
    reorder = Reorder()
    arrivals = [0, *[n for n in order if n]]
    given_numbers = [
        struct.unpack_from(">H", data, 2)[0]
        for at, n in enumerate(arrivals)
        for data in reorder.push(packet(first + n, n * 960), at * 1000)
    ]
    assert given_numbers == [(first + n) & 0xFFFF for n in range(12)]
    assert reorder.due_us is None


def test_a_lost_datagram_is_waited_for_and_then_given_up() -> None:
    reorder = Reorder()
    assert len(list(reorder.push(packet(0, 0), 0))) == 1
    assert [len(list(reorder.push(packet(n, 0), n))) for n in (2, 3, 5)] == [0, 0, 0]
    assert list(reorder.late(LATEST_US)) == []
    assert len(list(reorder.late(2 + LATEST_US))) == 2
    assert len(list(reorder.push(packet(4, 0), LATEST_US))) == 2


def test_the_rest_of_a_block_is_given_when_it_is_asked_for() -> None:
    track = TrackReader(PlainPayload(1), 8, 8000)
    for number in range(3):
        data = packet(number, number * 160, bytes(160), kind=8)
        assert track.take(data, 0, len(data), 0) == []
    assert [unit.duration for unit in track.rest()] == [480] and track.rest() == []
