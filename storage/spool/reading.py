"""Reading the spool from any process, also what is being written at this moment."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bidwitness.errors import DamageFound, InvalidInput, NotFound
from bidwitness.storage.media.boxes import read_fragment, read_init, split_pieces
from bidwitness.storage.spool.blob import Fragment, SegmentTable, WallPoint
from bidwitness.storage.spool.layout import (
    CLOSED,
    PART,
    TABLE,
    SegmentName,
    is_day,
    parse_name,
    segment_path,
    stream_dir,
)
from bidwitness.storage.spool.table import OpenTable, read_table
from bidwitness.storage.spool.volumes import volumes_of

_CHUNK = 1 << 20


@dataclass(frozen=True)
class OpenSegment:
    """A segment that is being written. ``path`` is the one it will have once closed: read by it."""

    path: str
    name: SegmentName
    table: OpenTable


def open_segments(volume: Path, stream: str) -> list[OpenSegment]:
    """Give the segments of a stream that are being written, oldest first.

    There is at most one while a recorder runs. Fragments listed in a table are whole in the file.
    """
    found = [segment for place in volumes_of(volume) for segment in _open_on(place, stream)]
    return sorted(found, key=lambda segment: segment.name.start_us)


def _open_on(volume: Path, stream: str) -> list[OpenSegment]:
    folder = stream_dir(volume, stream)
    if not folder.is_dir():
        return []
    found: list[OpenSegment] = []
    # A segment is closed within minutes: one begun before midnight is in the day before.
    days = sorted((day for day in folder.iterdir() if is_day(day.name)), reverse=True)[:2]
    for part in (part for day in days for part in day.glob(f"*{PART}")):
        name = parse_name(part.stem)
        if name is None:
            continue
        try:
            table = read_table(part.with_suffix(TABLE).read_bytes())
        except (FileNotFoundError, DamageFound):
            continue  # closed a moment ago, or its header is not written yet
        found.append(OpenSegment(segment_path(stream, part.parent.name, name), name, table))
    return found


def read_range(volume: Path, path: str, offset: int, size: int) -> bytes:
    """Give ``size`` bytes of a segment by its path within the volume, closed or not yet.

    Raises ``NotFound`` if the spool does not hold it (any more), ``DamageFound`` if it is shorter,
    ``InvalidInput`` for a path that leaves the volume.
    """
    _inside(volume, path)
    for place in volumes_of(volume):
        found = _read_on(_inside(place, path), offset, size)
        if found is not None:
            return found
    raise NotFound("The spool does not hold this segment any more.")


def _read_on(closed: Path, offset: int, size: int) -> bytes | None:
    # Renaming may come between looking for the one and for the other.
    for candidate in (closed, closed.with_suffix(PART), closed):
        try:
            handle = os.open(candidate, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            data = _read_exactly(handle, offset, size)
        finally:
            os.close(handle)
        return data
    return None


def _inside(volume: Path, path: str) -> Path:
    parts = path.split("/")
    named = len(parts) == 3 and is_day(parts[1]) and parts[2].endswith(CLOSED)
    if not named or parse_name(parts[2].removesuffix(CLOSED)) is None:
        raise InvalidInput("This is not the path of a segment.")
    return stream_dir(volume, parts[0]) / parts[1] / parts[2]


def _read_exactly(handle: int, offset: int, size: int) -> bytes:
    data = os.pread(handle, size, offset)
    while len(data) < size:
        more = os.pread(handle, size - len(data), offset + len(data))
        if not more:
            raise DamageFound("A segment is shorter than its table says.")
        data += more
    return data


def table_from_file(path: Path, walls: Sequence[WallPoint]) -> SegmentTable:
    """Make a segment's table again from its bytes and the instants that its record states.

    Raises ``DamageFound`` if the file is torn or is not a segment.
    """
    timescales: tuple[tuple[int, int], ...] = ()
    fragments: list[Fragment] = []
    with path.open("rb") as file:
        for piece in split_pieces(iter(lambda: file.read(_CHUNK), b"")):
            if piece.is_init:
                timescales = tuple((t.id, t.timescale) for t in read_init(piece.data))
                continue
            facts = read_fragment(piece.data)
            fragments.append(
                Fragment(
                    *(facts.track, piece.offset, len(piece.data)),
                    *(facts.dts, facts.duration, facts.key),
                )
            )
    return SegmentTable(timescales, tuple(walls), tuple(fragments))
