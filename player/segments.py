"""The segments of a stream in a time, as the player reads them: committed ones by their rows, what
is being written by its table in the spool.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm import Session as Orm

from bidwitness.intervals import Interval
from bidwitness.player.cutting import TrackFragment
from bidwitness.seam import Piece
from bidwitness.storage.index.footage import MAX_SEGMENT_US, segments_in
from bidwitness.storage.index.models import Init, Segment
from bidwitness.storage.spool.blob import US, SegmentTable, wall_at
from bidwitness.storage.spool.reading import open_segments
from bidwitness.words import Medium

# A clock is not set back by more, or somebody has to look at it.
SET_BACK_US = 86_400_000_000

Tracks = tuple[tuple[Medium, int], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A segment that can be read: by its ``row``, or, not committed yet, by ``path``.

    ``tracks``: which track of the init is of which medium. ``table`` is given with ``path``.
    """

    run: str
    run_seq: int
    init: str
    tracks: Tracks
    from_us: int
    to_us: int
    finished: bool
    row: Segment | None = None
    path: str | None = None
    table: SegmentTable | None = None
    init_size: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.run, self.run_seq

    def track(self, medium: Medium) -> int | None:
        return next((number for found, number in self.tracks if found == medium), None)


def committed(orm: Orm, stream_id: str, from_us: int, to_us: int) -> list[Held]:
    """Give the committed segments of a stream that share an instant with the time.

    They are in the order in which they were recorded. If the clock was set back between them,
    those of later times that were recorded before the last of these are given too.
    """
    rows = segments_in(orm, stream_id, from_us, to_us)
    if rows:
        later = select(Segment).where(
            Segment.stream_id == stream_id,
            Segment.from_us.between(to_us, to_us + SET_BACK_US),
            Segment.id < max(row.id for row in rows),
        )
        rows += orm.scalars(later)
    return _held(orm, sorted(rows, key=lambda row: row.id))


def committed_one(orm: Orm, stream_id: str, time: Interval, run: str, run_seq: int) -> Held | None:
    """Give one committed segment of a stream, if it shares an instant with the time."""
    query = _within(stream_id, time).where(Segment.run_id == run, Segment.run_seq == run_seq)
    return next(iter(_held(orm, list(orm.scalars(query.limit(1))))), None)


def committed_with(orm: Orm, stream_id: str, time: Interval, init_id: str) -> Held | None:
    """Give a committed segment of a stream and time that begins with an init."""
    query = _within(stream_id, time).where(Segment.init_id == init_id)
    return next(iter(_held(orm, list(orm.scalars(query.limit(1))))), None)


def _within(stream_id: str, time: Interval) -> Select[Segment]:
    return select(Segment).where(
        Segment.stream_id == stream_id,
        Segment.from_us > time.start - MAX_SEGMENT_US,
        Segment.from_us < time.end,
        Segment.to_us > time.start,
        Segment.removed_us.is_(None),
    )


def _held(orm: Orm, rows: Sequence[Segment]) -> list[Held]:
    query = select(Init.id, Init.tracks).where(Init.id.in_({row.init_id for row in rows}))
    tracks: dict[str, Tracks] = {
        init_id: tuple((Medium(track["medium"]), int(track["id"])) for track in found)
        for init_id, found in orm.execute(query)
    }
    return [
        Held(
            *(row.run_id, row.run_seq, row.init_id, tracks[row.init_id]),
            *(row.from_us, row.to_us, True),
            row=row,
        )
        for row in rows
        if row.init_id in tracks
    ]


def being_written(volume: Path, stream_id: str, known: Collection[tuple[str, int]]) -> list[Held]:
    """Give the segments of a stream that are being written here and are not among ``known``."""
    out: list[Held] = []
    for found in open_segments(volume, stream_id):
        header = found.table.header
        if (header.run, header.run_seq) in known or not found.table.fragments:
            continue
        table = found.table.as_segment_table()
        walls = [table.wall_of(f.track, f.dts) for f in table.fragments[:1]]
        ends = [table.wall_of(f.track, f.end) for f in table.fragments[-2:]]
        out.append(
            Held(
                *(header.run, header.run_seq, header.init),
                tuple((Medium(medium), number) for number, medium, _, _ in header.tracks),
                *(min(walls), max(ends), False),
                path=found.path,
                table=table,
                init_size=header.init_size,
            )
        )
    return out


def track_fragments(table: SegmentTable, track: int) -> list[TrackFragment]:
    """Give the fragments of one track on the wall clock."""
    wall = _wall_clock(table, table.timescale(track))
    mine = (item for item in table.fragments if item.track == track)
    return [
        TrackFragment(
            *(ordinal, wall(item.dts), wall(item.dts + item.duration)),
            *(item.key, item.offset, item.size),
        )
        for ordinal, item in enumerate(mine)
    ]


def _wall_clock(table: SegmentTable, scale: int) -> Callable[[int], int]:
    """Give the function from ticks of a track to µs UTC; quick where one point ties the two."""
    first = table.timescales[0][1]
    walls = table.walls
    if len(walls) > 1:
        return lambda ticks: wall_at(walls, ticks * first // scale, first)
    at, wall_us = walls[0]
    return lambda ticks: wall_us + (ticks * first // scale - at) * US // first


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPiece(Piece):
    """A fragment with its segment's place in a list, as the seam wants to see it."""

    place: int
    fragment: TrackFragment


def pieces_of(segments: Sequence[tuple[Held, SegmentTable]]) -> list[SeenPiece]:
    """Give the fragments of all media of segments that follow one another, as recorded.

    A GOP may go on in the next segment of the same run.
    """
    out: list[SeenPiece] = []
    for medium in Medium:
        run: list[tuple[int, TrackFragment]] = []
        before: Held | None = None
        for place, (held, table) in enumerate(segments):
            track = held.track(medium)
            goes_on = before is not None and held.key == (before.run, before.run_seq + 1)
            if not goes_on:
                out += _with_gops(medium, run)
                run = []
            before = held
            if track is not None:
                run += [(place, fragment) for fragment in track_fragments(table, track)]
        out += _with_gops(medium, run)
    return sorted(out, key=lambda piece: (piece.place, piece.fragment.offset))


def _with_gops(medium: Medium, run: Iterable[tuple[int, TrackFragment]]) -> Iterator[SeenPiece]:
    gop: list[tuple[int, TrackFragment]] = []
    for place, fragment in run:
        if gop and (fragment.key or medium == Medium.SOUND):
            yield from _one_gop(medium, gop)
            gop = []
        gop.append((place, fragment))
    if gop:
        yield from _one_gop(medium, gop)


def _one_gop(medium: Medium, gop: Sequence[tuple[int, TrackFragment]]) -> Iterator[SeenPiece]:
    start = min(fragment.from_us for _, fragment in gop)
    end = max(fragment.to_us for _, fragment in gop)
    extent = Interval(start, max(end, start + 1))
    for place, fragment in gop:
        yield SeenPiece(
            medium=medium,
            start=fragment.from_us,
            end=max(fragment.to_us, fragment.from_us + 1),
            key=fragment.key or medium == Medium.SOUND,
            gop=extent,
            place=place,
            fragment=fragment,
        )
