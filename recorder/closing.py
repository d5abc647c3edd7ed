"""What a closed segment's record states, out of its bytes and its table. Pure but for hashing."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.merkle import SHA256, SM3, Tree
from bidwitness.storage.evidence.records import (
    Anchor,
    Digests,
    FileFacts,
    G711Facts,
    MediaFacts,
    Place,
    SegmentFacts,
    TrackFacts,
)
from bidwitness.storage.media.g711 import ALAW, MULAW
from bidwitness.storage.spool.blob import SegmentTable, encode_table
from bidwitness.storage.spool.table import AnchorPoint, OpenFragment, OpenHeader, wall_points
from bidwitness.words import ClockQuality, Medium


class SegmentDigest:
    """Grows with a file: the trees over its pieces and the digest of all its bytes."""

    def __init__(self) -> None:
        self._sha256 = Tree(SHA256)
        self._sm3 = Tree(SM3)
        self._file = hashlib.sha256()
        self.size = 0

    def add(self, piece: bytes) -> bytes:
        """Take the next piece; give its leaf hash (SHA-256)."""
        self._file.update(piece)
        self._sm3.append(piece)
        self.size += len(piece)
        return self._sha256.append(piece)

    @property
    def pieces(self) -> int:
        return self._sha256.size

    @property
    def root(self) -> Digests:
        return Digests(self._sha256.root().hex(), self._sm3.root().hex())

    @property
    def file(self) -> FileFacts:
        return FileFacts(self.size, self._file.hexdigest())


def segment_facts(
    place: Place,
    header: OpenHeader,
    fragments: Sequence[OpenFragment],
    anchors: Sequence[AnchorPoint],
    quality: ClockQuality,
    digest: SegmentDigest,
) -> SegmentFacts:
    """Give the record's facts. ``anchors`` are the segment's first instant to its end."""
    sound_codec = header.source_codec
    tracks = tuple(
        TrackFacts(
            *(number, medium, codec, scale),
            sound_codec if medium == Medium.SOUND.value else None,
        )
        for number, medium, codec, scale in header.tracks
    )
    start, end = anchors[0].recorder_us, anchors[-1].recorder_us
    return SegmentFacts(
        place=place,
        run=header.run,
        run_seq=header.run_seq,
        init=header.init,
        tracks=tracks,
        media=tuple(
            media
            for track in tracks
            if (media := _media(track.id, [f for f in fragments if f.place.track == track.id]))
        ),
        wall=(start, max(end, start + 1)),
        anchors=tuple(
            Anchor(point.ticks, point.camera_us, point.monotonic_us, point.recorder_us)
            for point in anchors
        ),
        quality=quality.value,
        pieces=digest.pieces,
        root=digest.root,
        file=digest.file,
        g711=_g711(sound_codec, fragments),
    )


def _media(track: int, fragments: Sequence[OpenFragment]) -> MediaFacts | None:
    if not fragments:
        return None
    first = fragments[0].place.dts
    length = max(fragment.place.end for fragment in fragments) - first
    return MediaFacts(track, first, length, sum(fragment.samples for fragment in fragments))


def _g711(codec: str | None, fragments: Sequence[OpenFragment]) -> G711Facts | None:
    if codec not in (ALAW, MULAW):
        return None  # PCM's samples are its bytes
    sounds = [f for f in fragments if f.g711 is not None]
    return G711Facts(
        codec,
        tuple((f.g711 or b"").hex() for f in sounds),
        tuple(f.zeros for f in sounds),
    )


def segment_table(
    header: OpenHeader, fragments: Sequence[OpenFragment], anchors: Sequence[AnchorPoint]
) -> SegmentTable:
    """Give the fragments in the form of closed segments."""
    walls = wall_points(header, anchors, fragments)
    return SegmentTable(header.timescales, walls, tuple(f.place for f in fragments))


def index_facts(
    path: PurePosixPath, header: OpenHeader, table: SegmentTable
) -> dict[str, JsonValue]:
    """Give what the index needs besides the record."""
    return {
        "path": str(path),
        "init_size": header.init_size,
        "run_started_us": header.run_started_us,
        "table": base64.b64encode(encode_table(table)).decode(),
    }
