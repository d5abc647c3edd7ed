"""Reading fragmented MP4 (ISO/IEC 14496-12): pieces, tracks and fragments.

A stored file is ``ftyp moov (moof mdat)*``. Its *pieces* are the init (``ftyp+moov``) and each
fragment (``moof+mdat`` of one track). The bytes may come from anywhere: whatever they are, these
functions answer or raise ``DamageFound``.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bidwitness.errors import DamageFound
from bidwitness.storage.media.codecs import codec_of
from bidwitness.words import Medium

# More than any half second of any camera; keeps a hostile length from filling the memory.
PIECE_LIMIT = 256 * 1024 * 1024
SAMPLE_LIMIT = 1_000_000
_NON_SYNC = 0x00010000
_HANDLERS = {b"vide": Medium.PICTURE, b"soun": Medium.SOUND}


class Box(NamedTuple):
    """A box by its positions in the bytes it was found in."""

    type: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """The init or a fragment as bytes, with its place in the file."""

    offset: int
    data: bytes
    is_init: bool


@dataclass(frozen=True, slots=True)
class InitTrack:
    """A track as an init declares it. ``codec`` is its RFC 6381 name; sizes are 0 for sound."""

    id: int
    medium: Medium
    timescale: int
    codec: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FragmentFacts:
    """What a fragment holds. ``dts`` and ``duration`` are in ticks of its track."""

    track: int
    sequence: int
    dts: int
    duration: int
    samples: int
    key: bool


class SampleFacts(NamedTuple):
    """One sample: where its bytes are in the piece, and its time in ticks."""

    offset: int
    size: int
    dts: int
    duration: int
    cts: int
    key: bool


def read_boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Give the boxes that fill ``data[start:end]``.

    Raises ``DamageFound`` if they do not fill it exactly.
    """
    stop = len(data) if end is None else end
    while start < stop:
        kind, body, size = _header(data, start, stop)
        if start + size > stop:
            raise DamageFound(f"A box of {size} bytes does not fit where it stands.")
        yield Box(kind, start, body, start + size)
        start += size


def _header(data: bytes | bytearray, start: int, stop: int) -> tuple[bytes, int, int]:
    """Give type, start of the body and whole size of the box at ``start``."""
    if stop - start < 8:
        raise DamageFound("A box ends before its header does.")
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + 8
    if size == 1:
        if stop - start < 16:
            raise DamageFound("A box ends before its header does.")
        size = struct.unpack_from(">Q", data, body)[0]
        body += 8
    if size < body - start:
        raise DamageFound("A box is smaller than its header.")
    return kind, body, size


class Splitter:
    """Finds pieces in bytes that arrive bit by bit."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._first: bytes | None = None
        # Where the bytes not yet given out begin: the end of the last whole piece.
        self.whole_end = 0

    def feed(self, data: bytes) -> list[Piece]:
        """Take more bytes; give the pieces they complete. Raises ``DamageFound``."""
        self._held += data
        pieces: list[Piece] = []
        while (size := self._piece_size()) is not None:
            body = bytes(self._held[:size])
            pieces.append(Piece(self.whole_end, body, self.whole_end == 0))
            del self._held[:size]
            self.whole_end += size
        return pieces

    @property
    def pending(self) -> int:
        """Say how many bytes wait for the rest of their piece."""
        return len(self._held)

    def _piece_size(self) -> int | None:
        """Give the size of the piece at the front, or None while it is not whole."""
        wanted = (b"ftyp", b"moov") if self.whole_end == 0 else (b"moof", b"mdat")
        position = 0
        for kind in wanted:
            if len(self._held) < position + self._header_size(position):
                return None
            found, _, size = _header(self._held, position, len(self._held))
            if found != kind:
                raise DamageFound(f"A box {found!r} stands where {kind!r} belongs.")
            position += size
            if position > PIECE_LIMIT:
                raise DamageFound("A piece is larger than any camera makes them.")
        return position if position <= len(self._held) else None

    def _header_size(self, position: int) -> int:
        """A size of 1 says that the true one follows in eight more bytes."""
        return 16 if self._held[position : position + 4] == b"\0\0\0\1" else 8


def split_pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Give the pieces of a whole file. Raises ``DamageFound``, also if the last one is torn."""
    splitter = Splitter()
    for chunk in chunks:
        yield from splitter.feed(chunk)
    if splitter.pending:
        raise DamageFound(f"The file ends inside a piece, {splitter.pending} bytes into it.")


def read_fragment(piece: bytes) -> FragmentFacts:
    """Read what a fragment holds. Raises ``DamageFound``."""
    track, sequence, samples = _read_moof(piece)
    return FragmentFacts(
        track=track,
        sequence=sequence,
        dts=samples[0].dts,
        duration=sum(sample.duration for sample in samples),
        samples=len(samples),
        key=samples[0].key,
    )


def read_samples(piece: bytes) -> list[SampleFacts]:
    """Read each sample of a fragment. Raises ``DamageFound``."""
    return _read_moof(piece)[2]


def _child(data: bytes, box: Box, kind: bytes, skip: int = 0) -> Box:
    for child in read_boxes(data, box.body + skip, box.end):
        if child.type == kind:
            return child
    raise DamageFound(f"There is no {kind!r} in {box.type!r}.")


def _take(data: bytes, box: Box, form: str, at: int = 0) -> tuple[int, ...]:
    """Unpack ``form`` from a box's body. Raises ``DamageFound`` if it is too short."""
    if box.body + at + struct.calcsize(form) > box.end:
        raise DamageFound(f"{box.type!r} is too short.")
    return struct.unpack_from(form, data, box.body + at)


def _read_moof(piece: bytes) -> tuple[int, int, list[SampleFacts]]:
    boxes = list(read_boxes(piece))
    if [box.type for box in boxes] != [b"moof", b"mdat"]:
        raise DamageFound("A fragment is one moof and one mdat.")
    moof, mdat = boxes
    sequence = _take(piece, _child(piece, moof, b"mfhd"), ">4xI")[0]
    trafs = [box for box in read_boxes(piece, moof.body, moof.end) if box.type == b"traf"]
    if len(trafs) != 1:
        raise DamageFound("A fragment holds exactly one track.")
    traf = trafs[0]
    track, defaults = _read_tfhd(piece, _child(piece, traf, b"tfhd"))
    tfdt = _child(piece, traf, b"tfdt")
    version = _take(piece, tfdt, ">B")[0]
    dts = _take(piece, tfdt, ">Q" if version == 1 else ">I", 4)[0]
    samples: list[SampleFacts] = []
    for run in read_boxes(piece, traf.body, traf.end):
        if run.type == b"trun":
            samples += _read_trun(piece, run, mdat, defaults, dts, samples)
    if not samples:
        raise DamageFound("A fragment holds no sample.")
    return track, sequence, samples


class _Defaults(NamedTuple):
    duration: int | None
    size: int | None
    flags: int | None


def _read_tfhd(piece: bytes, box: Box) -> tuple[int, _Defaults]:
    flags, track = _take(piece, box, ">II")
    flags &= 0xFFFFFF
    if flags & 0x000001:
        raise DamageFound("A fragment points outside itself.")
    at = 8 + (4 if flags & 0x000002 else 0)
    values: list[int | None] = []
    for bit in (0x000008, 0x000010, 0x000020):
        if flags & bit:
            values.append(_take(piece, box, ">I", at)[0])
            at += 4
        else:
            values.append(None)
    return track, _Defaults(*values)


def _read_trun(
    piece: bytes, box: Box, mdat: Box, defaults: _Defaults, dts: int, before: list[SampleFacts]
) -> list[SampleFacts]:
    head, count = _take(piece, box, ">II")
    flags = head & 0xFFFFFF
    at = 8
    position = before[-1].offset + before[-1].size if before else mdat.body
    if flags & 0x000001:
        # From the start of the moof, which is the start of the piece.
        position = _take(piece, box, ">i", at)[0]
        at += 4
    first_flags: int | None = None
    if flags & 0x000004:
        first_flags = _take(piece, box, ">I", at)[0]
        at += 4
    present = [bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800)]
    width = 4 * sum(present)
    if count > SAMPLE_LIMIT or box.body + at + count * width > box.end:
        raise DamageFound("A fragment declares more samples than it holds.")
    if before:
        dts = before[-1].dts + before[-1].duration
    samples: list[SampleFacts] = []
    for index in range(count):
        values = iter(struct.unpack_from(f">{width // 4}I", piece, box.body + at + index * width))
        duration = next(values) if present[0] else defaults.duration
        size = next(values) if present[1] else defaults.size
        sample_flags = next(values) if present[2] else defaults.flags
        cts = next(values) if present[3] else 0
        if index == 0 and first_flags is not None:
            sample_flags = first_flags
        if duration is None or size is None or sample_flags is None:
            raise DamageFound("A fragment leaves a default to another box.")
        if position < mdat.body or position + size > mdat.end:
            raise DamageFound("A sample lies outside the fragment's mdat.")
        cts = cts - (1 << 32) if cts >> 31 and head >> 24 else cts
        key = not sample_flags & _NON_SYNC
        samples.append(SampleFacts(position, size, dts, duration, cts, key))
        position += size
        dts += duration
    return samples


def read_init(init: bytes) -> tuple[InitTrack, ...]:
    """Read the tracks that an init declares, in the order of the file. Raises ``DamageFound``."""
    moov = _moov(init)
    tracks = tuple(
        _read_trak(init, box)
        for box in read_boxes(init, moov.body, moov.end)
        if box.type == b"trak"
    )
    if not tracks or len({track.id for track in tracks}) != len(tracks):
        raise DamageFound("An init declares at least one track, each with its own number.")
    return tracks


def _moov(init: bytes) -> Box:
    boxes = list(read_boxes(init))
    if [box.type for box in boxes] != [b"ftyp", b"moov"]:
        raise DamageFound("An init is one ftyp and one moov.")
    return boxes[1]


def _track_id(data: bytes, trak: Box) -> int:
    tkhd = _child(data, trak, b"tkhd")
    version = _take(data, tkhd, ">B")[0]
    return _take(data, tkhd, ">I", 20 if version == 1 else 12)[0]


def _read_trak(data: bytes, trak: Box) -> InitTrack:
    mdia = _child(data, trak, b"mdia")
    mdhd = _child(data, mdia, b"mdhd")
    version = _take(data, mdhd, ">B")[0]
    timescale = _take(data, mdhd, ">I", 20 if version == 1 else 12)[0]
    hdlr = _child(data, mdia, b"hdlr")
    _take(data, hdlr, ">12x")
    handler = data[hdlr.body + 8 : hdlr.body + 12]
    if handler not in _HANDLERS:
        raise DamageFound(f"A track of the kind {handler!r} is not known.")
    if timescale < 1:
        raise DamageFound("A track has no timescale.")
    stbl = _child(data, _child(data, mdia, b"minf"), b"stbl")
    stsd = _child(data, stbl, b"stsd")
    entries = list(read_boxes(data, stsd.body + 8, stsd.end))
    if len(entries) != 1:
        raise DamageFound("A track has exactly one sample entry.")
    entry = entries[0]
    medium = _HANDLERS[handler]
    picture = medium is Medium.PICTURE
    width, height = _take(data, entry, ">HH", 24) if picture else (0, 0)
    skip = 78 if picture else 28
    _take(data, entry, f">{skip}x")
    children = {
        child.type: data[child.body : child.end]
        for child in read_boxes(data, entry.body + skip, entry.end)
    }
    return InitTrack(
        _track_id(data, trak), medium, timescale, codec_of(entry.type, children), width, height
    )


def one_track_init(init: bytes, track: int) -> bytes:
    """Give the init of one track alone: ``ftyp`` and ``moov`` without the others' trak and trex.

    A pure function of the stored init, so that a verifier can make it too. Raises
    ``DamageFound`` if the init is broken or has no such track.
    """
    moov = _moov(init)
    parts: list[bytes] = []
    found = False
    for box in read_boxes(init, moov.body, moov.end):
        if box.type == b"trak":
            if _track_id(init, box) != track:
                continue
            found = True
        if box.type == b"mvex":
            parts.append(_one_trex(init, box, track))
        else:
            parts.append(init[box.start : box.end])
    if not found:
        raise DamageFound(f"The init has no track {track}.")
    body = b"".join(parts)
    return init[: moov.start] + struct.pack(">I4s", 8 + len(body), b"moov") + body


def _one_trex(init: bytes, mvex: Box, track: int) -> bytes:
    kept = [
        init[box.start : box.end]
        for box in read_boxes(init, mvex.body, mvex.end)
        if box.type != b"trex" or _take(init, box, ">I", 4)[0] == track
    ]
    body = b"".join(kept)
    return struct.pack(">I4s", 8 + len(body), b"mvex") + body
