"""What the packetiser cuts, a receiver written from the RFCs puts together again."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.simulator.loopfile import Loop
from bidwitness.simulator.rtp import (
    MAX_PAYLOAD,
    NTP_OFFSET,
    datagrams,
    fill,
    on_channel,
    picture_templates,
    sender_report,
    sound_templates,
)
from bidwitness.simulator.stamps import FrameStamp, read_sei, stamp_text

STAMP = FrameStamp(7, 8, "cam-1", "main")
SETS = {"h264": [b"\x67\x42\xc0\x28", b"\x68\xce"], "h265": [b"\x40\x01v", b"\x42\x01s", b"\x44\x01p"]}  # fmt: skip
SLICE = {"h264": b"\x41", "h265": b"\x02\x01"}


def loop_of(codec: str, sizes: list[int]) -> Loop:
    unit = tuple(SLICE[codec] + bytes(n % 251 for n in range(size)) for size in sizes)
    header = {"codec": codec, "keys": [0], "sets": [s.hex() for s in SETS[codec]]}
    return Loop(header, (unit,))


def receive(packets: list[bytes], hevc: bool) -> list[bytes]:
    """Depacketise: RFC 6184 sections 5.6 and 5.8, RFC 7798 sections 4.4.1 and 4.4.3."""
    nals: list[bytes] = []
    for packet in packets:
        payload = packet[12:]
        kind = payload[0] >> 1 & 0x3F if hevc else payload[0] & 0x1F
        if kind != (49 if hevc else 28):
            nals.append(payload)
            continue
        fu = payload[2 if hevc else 1]
        if fu & 0x80:
            if hevc:
                head = bytes((payload[0] & 0x81 | (fu & 0x3F) << 1, payload[1]))
            else:
                head = bytes((payload[0] & 0xE0 | fu & 0x1F,))
            nals.append(head)
        nals[-1] += payload[3 if hevc else 2 :]
    return nals


@given(
    st.sampled_from(["h264", "h265"]),
    st.lists(st.integers(1, 5 * MAX_PAYLOAD), min_size=1, max_size=4),
    st.integers(0, 0xFFFF),
    st.integers(0, 1 << 40),
)
def test_a_picture_survives_its_packets(
    codec: str, sizes: list[int], sequence: int, timestamp: int
) -> None:
    loop = loop_of(codec, sizes)
    (template,) = picture_templates(loop, 96)
    data = fill(
        template, sequence=sequence, timestamp=timestamp, ssrc=0xABCD, text=stamp_text(STAMP)
    )
    packets = [bytes(p) for p in datagrams(data, template.starts)]
    sets = len(SETS[codec])
    nals = receive(packets, codec == "h265")
    assert nals[:sets] == SETS[codec]
    assert read_sei(nals[sets]) == STAMP
    assert tuple(nals[sets + 1 :]) == loop.units[0]
    for index, packet in enumerate(packets):
        version, marked, number, at, ssrc = struct.unpack_from(">BBHII", packet)
        assert (version, marked & 0x7F, ssrc) == (0x80, 96, 0xABCD)
        assert bool(marked & 0x80) is (index == len(packets) - 1)
        assert number == (sequence + index) & 0xFFFF
        assert at == timestamp & 0xFFFFFFFF
        assert len(packet) <= MAX_PAYLOAD + 12
    assert template.octets == sum(len(p) - 12 for p in packets)


def test_interleaved_framing_names_channel_and_length() -> None:
    (template,) = picture_templates(loop_of("h264", [3000]), 96)
    data = fill(template, sequence=1, timestamp=2, ssrc=3, text=stamp_text(STAMP))
    framed = on_channel(data, template.starts, 6)
    at = 0
    for packet in datagrams(data, template.starts):
        assert framed[at : at + 2] == b"$\x06"
        assert int.from_bytes(framed[at + 2 : at + 4]) == len(packet)
        at += 4 + len(packet)
    assert at == len(framed)


def test_aac_packets_name_the_size_of_their_unit() -> None:
    unit = bytes(range(200))
    (template,) = sound_templates(Loop({"sound": "aac"}, ((unit,),)), 97)
    (packet,) = datagrams(template.data, template.starts)
    assert struct.unpack(">HH", packet[12:16]) == (16, 200 << 3)
    assert packet[16:] == unit


@pytest.mark.parametrize("utc_us", [0, 1_700_000_000_000_000, 1_700_000_000_999_999])
def test_a_sender_report_ties_timestamp_to_utc_within_a_microsecond(utc_us: int) -> None:
    report = sender_report(ssrc=5, utc_us=utc_us, timestamp=1 << 33 | 77, packets=9, octets=10)
    seconds, fraction, timestamp, packets, octets = struct.unpack_from(">IIIII", report, 8)
    back = (seconds - NTP_OFFSET) * 1_000_000 + (fraction * 1_000_000 >> 32)
    assert abs(back - utc_us) <= 1
    assert (timestamp, packets, octets) == (77, 9, 10)
    # Compound: a report, then a description; lengths count words after the first.
    assert report[1] == 200 and report[29] == 202
    assert len(report) == 28 + (int.from_bytes(report[30:32]) + 1) * 4
