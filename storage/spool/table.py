"""The fragment table of a segment that is still being written.

It lies beside the ``.part`` file, grows with it, and lets other processes read what has just been
recorded. After a crash it says which bytes are whole, when they were received, and what is in no
MP4 box: instants, and the digests of the G.711 behind each sound fragment.

Each entry is framed as ``kind u8, length u16, payload, CRC-32 of all that, u32`` (little endian),
so that a torn end is seen and left.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bidwitness.errors import DamageFound
from bidwitness.storage.spool.blob import US, Fragment, SegmentTable, WallPoint

_HEADER, _FRAGMENT, _ANCHOR = 0, 1, 2
_FRAME = struct.Struct("<BH")
_CRC = struct.Struct("<I")
_ENTRY = struct.Struct("<QIBBQIIq32s")
_ANCHOR_ENTRY = struct.Struct("<QqqBq")
_VERSION = 1
_LIMIT = 0xFFFF


@dataclass(frozen=True, slots=True)
class OpenHeader:
    """What is known of a segment when it begins.

    ``tracks``: (track id, medium, codec as RFC 6381, ticks a second), in the order of the init;
    ``source_codec`` is G.711's or PCM's name if the sound came as that. ``missing`` is the cause for which
    footage was missing before a run's first segment, if it was.
    """

    stream: str
    run: str
    run_seq: int
    run_started_us: int
    init: str
    init_size: int
    tracks: tuple[tuple[int, str, str, int], ...]
    source_codec: str | None = None
    missing: str | None = None

    @property
    def timescales(self) -> tuple[tuple[int, int], ...]:
        return tuple((number, scale) for number, _, _, scale in self.tracks)


@dataclass(frozen=True, slots=True)
class OpenFragment:
    """A fragment that is in the file: where, what, when, and its leaf hash (SHA-256).

    ``g711`` is the digest of the G.711 bytes whose samples it holds, ``zeros`` the positions of
    µ-law's negative zeros among them.
    """

    place: Fragment
    samples: int
    wall_us: int
    leaf: bytes
    g711: bytes | None = None
    zeros: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AnchorPoint:
    """One tie between the first track's ticks and the clocks, all in µs but ``ticks``."""

    ticks: int
    monotonic_us: int
    recorder_us: int
    camera_us: int | None


@dataclass(frozen=True)
class OpenTable:
    """All that a table says up to its first torn entry, which begins at ``whole_end``."""

    header: OpenHeader
    fragments: tuple[OpenFragment, ...]
    anchors: tuple[AnchorPoint, ...]
    whole_end: int

    def as_segment_table(self) -> SegmentTable:
        """Give it in the form of closed segments, for whoever reads both alike."""
        walls = wall_points(self.header, self.anchors, self.fragments)
        places = tuple(fragment.place for fragment in self.fragments)
        return SegmentTable(self.header.timescales, walls, places)


def wall_points(
    header: OpenHeader, anchors: Sequence[AnchorPoint], fragments: Sequence[OpenFragment]
) -> tuple[WallPoint, ...]:
    """Give what ties ticks to the wall: the anchors, or the fragments where there is none."""
    known = best_anchors(header, anchors, fragments)
    points = [WallPoint(anchor.ticks, anchor.recorder_us) for anchor in known]
    scale = header.timescales[0][1]
    scales = dict(header.timescales)
    for item in fragments if not points else ():
        ticks = item.place.dts * scale // scales.get(item.place.track, scale)
        if not points or ticks > points[-1].ticks:
            points.append(WallPoint(ticks, item.wall_us))
    return tuple(points) or (WallPoint(0, header.run_started_us),)


def in_force(anchors: Sequence[AnchorPoint]) -> list[AnchorPoint]:
    """Give the anchors with rising ticks: a later one replaces those at its tick or behind it.

    That happens when it turns out that the camera's clock had stood still.
    """
    kept: list[AnchorPoint] = []
    for anchor in anchors:
        while kept and kept[-1].ticks >= anchor.ticks:
            kept.pop()
        kept.append(anchor)
    return kept


def best_anchors(
    header: OpenHeader, anchors: Sequence[AnchorPoint], fragments: Sequence[OpenFragment]
) -> list[AnchorPoint]:
    """Give the anchors in force, the first one as early as all that came since makes it.

    A run's first picture comes late: the camera had to be asked for it. Until the run settles, and
    writes its first anchor anew, each fragment is placed by the least delayed picture so far.
    """
    known = in_force(anchors)
    if header.run_seq > 0 or len(anchors) != 1:
        return known
    first, (leading, scale) = known[0], header.timescales[0]
    late = [
        first.recorder_us + (item.place.dts - first.ticks) * US // scale - item.wall_us
        for item in fragments
        if item.place.track == leading
    ]
    shift = max([0, *late])
    return [
        replace(
            first,
            monotonic_us=first.monotonic_us - shift,
            recorder_us=first.recorder_us - shift,
        )
    ]


def encode_header(header: OpenHeader) -> bytes:
    """Give a table's first entry."""
    facts = {
        "v": _VERSION,
        "stream": header.stream,
        "run": header.run,
        "run_seq": header.run_seq,
        "run_started_us": header.run_started_us,
        "init": header.init,
        "init_size": header.init_size,
        "tracks": [list(track) for track in header.tracks],
        "source_codec": header.source_codec,
        "missing": header.missing,
    }
    return _framed(_HEADER, json.dumps(facts, separators=(",", ":")).encode())


def encode_fragment(item: OpenFragment) -> bytes:
    """Give the entry of a fragment. Raises ``ValueError`` for more zeros than an entry can hold."""
    place = item.place
    payload = _ENTRY.pack(
        *(place.offset, place.size, place.track, place.key, place.dts, place.duration),
        *(item.samples, item.wall_us, item.leaf),
    )
    if item.g711 is not None:
        payload += item.g711 + struct.pack(f"<{len(item.zeros)}H", *item.zeros)
    if len(payload) > _LIMIT:
        raise ValueError("a sound fragment is too long for its entry")
    return _framed(_FRAGMENT, payload)


def encode_anchor(anchor: AnchorPoint) -> bytes:
    """Give the entry of an anchor."""
    camera = anchor.camera_us
    payload = _ANCHOR_ENTRY.pack(
        *(anchor.ticks, anchor.monotonic_us, anchor.recorder_us),
        *(camera is not None, camera or 0),
    )
    return _framed(_ANCHOR, payload)


def _framed(kind: int, payload: bytes) -> bytes:
    framed = _FRAME.pack(kind, len(payload)) + payload
    return framed + _CRC.pack(zlib.crc32(framed))


def read_table(data: bytes) -> OpenTable:
    """Read a table up to its first torn entry.

    Raises ``DamageFound`` if not even its header is whole.
    """
    header: OpenHeader | None = None
    fragments: list[OpenFragment] = []
    anchors: list[AnchorPoint] = []
    at = 0
    while (entry := _entry_at(data, at)) is not None:
        kind, payload = entry
        try:
            if header is None:
                header = _header(kind, payload)
            elif kind == _FRAGMENT:
                fragments.append(_fragment(payload))
            elif kind == _ANCHOR:
                anchors.append(_anchor(payload))
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise DamageFound(f"A fragment table holds what none writes: {error}") from None
        at += _FRAME.size + len(payload) + _CRC.size
    if header is None:
        raise DamageFound("A fragment table has no header.")
    return OpenTable(header, tuple(fragments), tuple(anchors), at)


def _entry_at(data: bytes, at: int) -> tuple[int, bytes] | None:
    if at + _FRAME.size + _CRC.size > len(data):
        return None
    kind, size = _FRAME.unpack_from(data, at)
    end = at + _FRAME.size + size
    if end + _CRC.size > len(data) or _CRC.unpack_from(data, end)[0] != zlib.crc32(data[at:end]):
        return None
    return kind, data[at + _FRAME.size : end]


def _header(kind: int, payload: bytes) -> OpenHeader:
    facts = json.loads(payload)
    if kind != _HEADER or facts.pop("v") != _VERSION:
        raise ValueError("its first entry is no header")
    tracks = tuple((int(n), str(m), str(c), int(s)) for n, m, c, s in facts.pop("tracks"))
    if not tracks or any(scale < 1 for *_, scale in tracks):
        raise ValueError("it lists no track")
    return OpenHeader(tracks=tracks, **facts)


def _fragment(payload: bytes) -> OpenFragment:
    offset, size, track, key, dts, duration, samples, wall_us, leaf = _ENTRY.unpack_from(payload)
    rest = payload[_ENTRY.size :]
    g711, zeros = (rest[:32], rest[32:]) if rest else (None, b"")
    return OpenFragment(
        Fragment(track, offset, size, dts, duration, bool(key)),
        samples,
        wall_us,
        leaf,
        g711,
        struct.unpack(f"<{len(zeros) // 2}H", zeros),
    )


def _anchor(payload: bytes) -> AnchorPoint:
    ticks, monotonic_us, recorder_us, has_camera, camera_us = _ANCHOR_ENTRY.unpack(payload)
    return AnchorPoint(ticks, monotonic_us, recorder_us, camera_us if has_camera else None)
