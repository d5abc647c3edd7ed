"""Codec names, against examples of the standards."""

import struct

import pytest

from bidwitness.errors import DamageFound
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.media.codecs import codec_of
from bidwitness.storage.media.init import TrackSpec, opus_config, write_init
from bidwitness.words import Medium


def test_h264_names_profile_constraints_and_level() -> None:
    assert codec_of(b"avc1", {b"avcC": bytes.fromhex("01640028ffe1")}) == "avc1.640028"


def test_h265_follows_annex_e() -> None:
    """ISO/IEC 14496-15 gives hev1.1.6.L93.B0 for Main profile, level 3.1, progressive."""
    record = bytes.fromhex("0101 60000000 b00000000000 5d".replace(" ", ""))
    assert codec_of(b"hev1", {b"hvcC": record}) == "hev1.1.6.L93.B0"
    high = bytes.fromhex("01a1 60000000 000000000000 78".replace(" ", ""))
    assert codec_of(b"hvc1", {b"hvcC": high}) == "hvc1.B1.6.H120"


def test_aac_names_its_object_type() -> None:
    def esds(config: bytes) -> bytes:
        info = bytes((5, len(config))) + config
        decoder = bytes((4, 13 + len(info), 0x40, 0x15)) + bytes(11) + info
        # A length may be written in four bytes.
        return bytes(4) + bytes((3, 0x80, 0x80, 0x80, 3 + len(decoder), 0, 1, 0)) + decoder

    assert codec_of(b"mp4a", {b"esds": esds(b"\x12\x10")}) == "mp4a.40.2"
    assert codec_of(b"mp4a", {b"esds": esds(b"\x2b\x10")}) == "mp4a.40.5"
    assert codec_of(b"mp4a", {b"esds": esds(b"\xf9\x46")}) == "mp4a.40.42"


def test_sound_without_parameters_has_a_plain_name() -> None:
    assert codec_of(b"fLaC", {}) == "flac"
    assert codec_of(b"Opus", {}) == "opus"


def test_jpeg_is_named_by_its_kind_of_object() -> None:
    init = write_init([TrackSpec(1, Medium.PICTURE, "mp4v", 90_000, b"", 640, 360)])
    (track,) = read_init(init)
    assert (track.codec, track.width, track.height) == ("mp4v.6C", 640, 360)


def test_opus_is_described_as_its_head_says() -> None:
    head = b"OpusHead\1\2" + struct.pack("<HIhB", 312, 48_000, -256, 0)
    assert opus_config(head) == bytes((0, 2)) + struct.pack(">HIhB", 312, 48_000, -256, 0)
    for broken in (head[:-1], b"x" + head[1:], head[:-1] + b"\1"):
        with pytest.raises(DamageFound):
            opus_config(broken)


@pytest.mark.parametrize("entry", [b"avc1", b"hvc1", b"mp4a", b"jpeg"])
def test_what_is_not_known_or_not_configured_is_damage(entry: bytes) -> None:
    with pytest.raises(DamageFound):
        codec_of(entry, {})
