"""Writing an init: ``ftyp`` and a ``moov`` that declares each track and no sample. Pure.

The bytes depend on the tracks alone, not on a library's version, a date or the run: the same
camera setting gives the same init for years, and its SHA-256 names it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.errors import DamageFound
from bidwitness.storage.media.bits import BitReader
from bidwitness.words import Medium

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_LANGUAGE = 0x55C4  # "und"
FLAC_BITS = 16
# Object type and stream type: AAC is an audio stream, JPEG a visual one.
_AAC, _JPEG = (0x40, 0x15), (0x6C, 0x11)


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """What an init says of a track.

    ``entry`` is the sample entry (``avc1``, ``hev1``, ``mp4v``, ``mp4a``, ``fLaC``, ``Opus``),
    ``config`` the body of its configuration: ``avcC``, ``hvcC``, nothing for JPEG,
    AudioSpecificConfig, STREAMINFO or ``dOps``.
    """

    id: int
    medium: Medium
    entry: str
    timescale: int
    config: bytes
    width: int = 0
    height: int = 0
    channels: int = 0


def write_init(tracks: Sequence[TrackSpec]) -> bytes:
    """Give the init of these tracks."""
    ftyp = _box(b"ftyp", b"iso5", struct.pack(">I", 512), b"iso5iso6mp41")
    last = max(track.id for track in tracks)
    mvhd = _full(
        b"mvhd",
        *(struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x00010000, 0x0100), _MATRIX),
        *(bytes(24), struct.pack(">I", last + 1)),
    )
    trexes = [_full(b"trex", struct.pack(">IIIII", track.id, 1, 0, 0, 0)) for track in tracks]
    moov = _box(b"moov", mvhd, *(_trak(track) for track in tracks), _box(b"mvex", *trexes))
    return ftyp + moov


def flac_config(rate: int, channels: int, block: int) -> bytes:
    """Give the STREAMINFO of 16-bit FLAC in blocks of ``block`` samples (RFC 9639, 8.2).

    Frame sizes, length and digest are not known while recording and stay 0.
    """
    packed = rate << 44 | (channels - 1) << 41 | (FLAC_BITS - 1) << 36
    return struct.pack(">HH6xQ16x", block, block, packed)


def opus_config(head: bytes) -> bytes:
    """Give the body of ``dOps`` out of an OpusHead (RFC 7845, 5.1), which counts in little endian.

    Raises ``DamageFound`` for anything but mono or stereo in one stream (mapping family 0).
    """
    if len(head) < 19 or head[:8] != b"OpusHead" or head[18]:
        raise DamageFound("The stream's Opus is not of a kind that is known.")
    channels, skip, rate, gain = struct.unpack_from("<BHIh", head, 9)
    return struct.pack(">BBHIhB", 0, channels, skip, rate, gain, 0)


def aac_format(config: bytes) -> tuple[int, int]:
    """Give rate and channels of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).

    Raises ``DamageFound`` if it is too short.
    """
    rates = (
        96000,
        88200,
        64000,
        48000,
        44100,
        32000,
        24000,
        22050,
        16000,
        12000,
        11025,
        8000,
        7350,
    )
    bits = BitReader(config)
    if bits.take(5) == 31:
        bits.take(6)
    index = bits.take(4)
    rate = bits.take(24) if index == 15 else rates[min(index, len(rates) - 1)]
    return rate, bits.take(4)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _trak(track: TrackSpec) -> bytes:
    picture = track.medium is Medium.PICTURE
    tkhd = _full(
        b"tkhd",
        struct.pack(">IIIII8xHHHH", 0, 0, track.id, 0, 0, 0, 0, 0 if picture else 0x0100, 0),
        _MATRIX,
        struct.pack(">II", track.width << 16, track.height << 16),
        flags=3,
    )
    mdhd = _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, track.timescale, 0, _LANGUAGE, 0))
    handler, name = (b"vide", b"VideoHandler\0") if picture else (b"soun", b"SoundHandler\0")
    hdlr = _full(b"hdlr", struct.pack(">4x4s12x", handler), name)
    header = _full(b"vmhd", bytes(8), flags=1) if picture else _full(b"smhd", bytes(4))
    dinf = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    empty = [_full(kind, bytes(4)) for kind in (b"stts", b"stsc")]
    empty += [_full(b"stsz", bytes(8)), _full(b"stco", bytes(4))]
    entry = _picture_entry(track) if picture else _sound_entry(track)
    stbl = _box(b"stbl", _full(b"stsd", struct.pack(">I", 1), entry), *empty)
    minf = _box(b"minf", header, dinf, stbl)
    return _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf))


def _picture_entry(track: TrackSpec) -> bytes:
    head = struct.pack(
        ">6xH16xHHIIIH32xHH",
        *(1, track.width, track.height, 0x00480000, 0x00480000, 0, 1, 24, 0xFFFF),
    )
    if track.entry == "mp4v":
        return _box(b"mp4v", head, _esds(track.id, _JPEG))
    box = {"avc1": b"avcC", "hev1": b"hvcC"}[track.entry]
    return _box(track.entry.encode(), head, _box(box, track.config))


def _sound_entry(track: TrackSpec) -> bytes:
    # The field holds 16 bits; decoders take higher rates from the configuration.
    rate = track.timescale if track.timescale < 1 << 16 else 0
    head = struct.pack(">6xH8xHHHHI", 1, track.channels, 16, 0, 0, rate << 16)
    if track.entry == "fLaC":
        block = struct.pack(">I", 0x80 << 24 | len(track.config)) + track.config
        return _box(b"fLaC", head, _full(b"dfLa", block))
    if track.entry == "Opus":
        return _box(b"Opus", head, _box(b"dOps", track.config))
    return _box(b"mp4a", head, _esds(track.id, _AAC, track.config))


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes((tag, len(body))) + body


def _esds(track: int, kind: tuple[int, int], config: bytes = b"") -> bytes:
    """Give the ES descriptor (ISO/IEC 14496-1, 7.2.6.5) of a kind of object; no rates said."""
    decoder = struct.pack(">BB3xII", *kind, 0, 0)
    if config:
        decoder += _descriptor(0x05, config)
    stream = struct.pack(">HB", track & 0xFFFF, 0) + _descriptor(0x04, decoder)
    return _full(b"esds", _descriptor(0x03, stream + _descriptor(0x06, b"\x02")))
