"""The fragments of a stream that may be handed out: for clips and exports, of committed segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidwitness.intervals import Interval
from bidwitness.player.rights import Permission
from bidwitness.player.segments import Held, SeenPiece, committed, pieces_of
from bidwitness.player.tables import Tables
from bidwitness.seam import visible
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.spool.blob import SegmentTable
from bidwitness.words import Medium

# Footage is looked at so far beyond an edge, to see whose a GOP on it is.
AROUND_US = 120_000_000


@dataclass(frozen=True, slots=True)
class Selected:
    """A segment and its fragments that may be handed out, in the order of the file."""

    held: Held
    table: SegmentTable
    pieces: tuple[SeenPiece, ...]

    @property
    def row(self) -> Segment:
        assert self.held.row is not None
        return self.held.row

    def piece_numbers(self) -> frozenset[int]:
        """Give the fragments' numbers among the segment's pieces, of which the init is 0."""
        numbers = {item.offset: place for place, item in enumerate(self.table.fragments, start=1)}
        return frozenset(numbers[piece.fragment.offset] for piece in self.pieces)

    @property
    def whole(self) -> bool:
        return len(self.pieces) == len(self.table.fragments)


def select_stream(
    database: Database,
    tables: Tables,
    stream_id: str,
    window: Interval,
    permissions: Mapping[Medium, Permission],
) -> list[Selected]:
    """Give each segment of a stream that shares an instant with the window, in order.

    Its pieces are those of the permitted media that lie in the window and that the seam shows.
    """
    with database.read() as orm:
        start, end = window.start - AROUND_US, window.end + AROUND_US
        held = committed(orm, stream_id, start, end)
    loaded = [(found, tables.table(found)) for found in held]
    pieces = pieces_of(loaded)
    kept: dict[int, list[SeenPiece]] = {}
    for medium, permission in permissions.items():
        for piece in visible(permission.spans, permission.others, pieces):
            if piece.medium == medium and piece.gop.overlaps(window):
                kept.setdefault(piece.place, []).append(piece)
    return [
        Selected(found, table, _in_file_order(kept.get(place, ())))
        for place, (found, table) in enumerate(loaded)
        if Interval(found.from_us, max(found.to_us, found.from_us + 1)).overlaps(window)
    ]


def _in_file_order(pieces: Sequence[SeenPiece]) -> tuple[SeenPiece, ...]:
    return tuple(sorted(pieces, key=lambda piece: piece.fragment.offset))
