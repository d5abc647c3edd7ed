"""One playable file of a camera: picture and sound of a session, copied without re-encoding.

Of a source without a picture it is the sound.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream

from bidwitness.errors import DamageFound, NotFound
from bidwitness.player.cutting import HOLE_US
from bidwitness.player.segments import SeenPiece
from bidwitness.player.selection import Selected
from bidwitness.player.tables import Reader
from bidwitness.storage.media.boxes import read_fragment, read_init, read_samples
from bidwitness.words import Medium

# Fragments that follow one another in the file are read together, up to so many bytes.
READ_AT_ONCE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClipReport:
    """What was written: pictures, seconds from the first to the end of the last, holes between.

    Without a picture, ``frames`` counts the packets of sound.
    """

    path: Path
    frames: int
    seconds: float
    gaps: int
    bytes: int
    sha256: str


def write_clip(
    footage: Reader,
    segments: Sequence[Selected],
    init_of: Callable[[str], bytes],
    target: Path,
) -> ClipReport:
    """Write the selected pieces as an MP4 whose times begin at 0 and keep the distance of gaps.

    Nothing is re-encoded. Raises ``NotFound`` if there is nothing to write, or sound alone of a
    stream that has a picture; ``DamageFound`` if the footage is not what its table says or the
    camera's settings changed on the way.
    """
    parts = [segment for segment in segments if segment.pieces]
    media = {piece.medium for part in parts for piece in part.pieces}
    sees = any(part.held.track(Medium.PICTURE) is not None for part in parts)
    if not media or (sees and Medium.PICTURE not in media):
        raise NotFound("There is no picture to write.")
    partial = target.with_name(target.name + ".part")
    try:
        tally = _write(footage, parts, init_of, partial)
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = partial.stat().st_size
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    length = (tally.end_us - tally.start_us) / 1_000_000
    return ClipReport(target, tally.frames, length, tally.gaps, size, digest)


@dataclass
class _Tally:
    # What is counted: the picture, or the sound where there is none.
    medium: Medium
    start_us: int
    end_us: int
    frames: int = 0
    gaps: int = 0


@dataclass
class _Track:
    """A track of the file that is being written."""

    stream: Stream
    timescale: int
    last_dts: int = -1


def _write(
    footage: Reader, parts: Sequence[Selected], init_of: Callable[[str], bytes], target: Path
) -> _Tally:
    first = min(piece.start for part in parts for piece in part.pieces)
    pieces = [piece for part in parts for piece in part.pieces]
    leading = min((piece.medium for piece in pieces), key=list(Medium).index)
    begun = next(piece.start for piece in pieces if piece.medium == leading)
    tally = _Tally(leading, begun, begun)
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as out:
        tracks: dict[int, _Track] = {}
        init = ""
        run = ""
        shift_us = 0
        for part in parts:
            if not init:
                init = part.held.init
                tracks = _add_tracks(out, footage, parts, init_of(init))
            elif part.held.init != init:
                raise DamageFound("The camera's settings changed: ask for a shorter interval.")
            if part.held.run != run:
                run = part.held.run
                shift_us = run_start_us(part) - first
            for piece, data in read_pieces(footage, part):
                count = _mux(out, tracks[read_fragment(data).track], data, shift_us)
                _count(tally, piece, count)
    return tally


def run_start_us(part: Selected) -> int:
    """Give what to add to media time (µs) to get the wall clock, where a run begins."""
    main = part.table.timescales[0][0]
    at = next((f for f in part.table.fragments if f.track == main), part.table.fragments[0])
    scale = part.table.timescale(at.track)
    return part.table.wall_of(at.track, at.dts) - at.dts * 1_000_000 // scale


def _add_tracks(
    out: OutputContainer, footage: Reader, parts: Sequence[Selected], init: bytes
) -> dict[int, _Track]:
    """Open the first fragments of each track as a file, to learn what libav calls them."""
    wanted = {piece.medium for part in parts for piece in part.pieces}
    sample = init
    missing = set(wanted)
    for part in parts:
        for piece, data in read_pieces(footage, part):
            if piece.medium in missing:
                missing.discard(piece.medium)
                sample += data
        if not missing:
            break
    tracks: dict[int, _Track] = {}
    with av.open(io.BytesIO(sample), format="mp4") as source:
        for track, stream in zip(read_init(init), source.streams, strict=True):
            if track.medium in wanted:
                added = out.add_stream_from_template(stream, opaque=True)
                added.time_base = Fraction(1, track.timescale)
                tracks[track.id] = _Track(added, track.timescale)
    return tracks


def read_pieces(footage: Reader, part: Selected) -> Iterator[tuple[SeenPiece, bytes]]:
    """Give the bytes of each piece, read in long strides."""
    for group in _groups(part.pieces):
        start = group[0].fragment.offset
        end = group[-1].fragment.offset + group[-1].fragment.size
        data = footage.read(part.row, start, end - start)
        for piece in group:
            at = piece.fragment.offset - start
            yield piece, data[at : at + piece.fragment.size]


def _groups(pieces: Sequence[SeenPiece]) -> Iterator[list[SeenPiece]]:
    group: list[SeenPiece] = []
    for piece in pieces:
        if group:
            end = group[-1].fragment.offset + group[-1].fragment.size
            long = end - group[0].fragment.offset > READ_AT_ONCE
            if long or piece.fragment.offset != end:
                yield group
                group = []
        group.append(piece)
    if group:
        yield group


def _mux(out: OutputContainer, track: _Track, data: bytes, shift_us: int) -> int:
    """Write a fragment's samples; give how many there were."""
    shift = shift_us * track.timescale // 1_000_000
    samples = read_samples(data)
    for sample in samples:
        packet = av.Packet(data[sample.offset : sample.offset + sample.size])
        packet.stream = track.stream
        packet.time_base = Fraction(1, track.timescale)
        # Where two runs meet, clocks may differ by a tick; the file needs rising times.
        dts = max(sample.dts + shift, track.last_dts + 1)
        packet.dts = dts
        packet.pts = dts + sample.cts
        packet.duration = sample.duration
        packet.is_keyframe = sample.key
        track.last_dts = dts
        out.mux(packet)
    return len(samples)


def _count(tally: _Tally, piece: SeenPiece, frames: int) -> None:
    if piece.medium != tally.medium:
        return
    if tally.frames and piece.start - tally.end_us >= HOLE_US:
        tally.gaps += 1
    tally.frames += frames
    tally.end_us = max(tally.end_us, piece.end)
