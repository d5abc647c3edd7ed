"""The fragment tables of segments, and how whole segments are cut: loaded, made, remembered."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sqlalchemy import select

from bidwitness.player.cache import Lru
from bidwitness.player.cutting import Cut, cut_all
from bidwitness.player.segments import Held, track_fragments
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import FragmentTable, Record, Segment
from bidwitness.storage.media.boxes import read_fragment, read_init, split_pieces
from bidwitness.storage.spool.blob import Fragment, SegmentTable, WallPoint, decode_table
from bidwitness.words import Medium

# A table of a minute takes about 60 KB of memory, a plan about 2 KB.
TABLES = 200
PLANS = 20_000
BATCH = 400


class Reader(Protocol):
    """The one seam to the bytes of committed segments."""

    def read(self, segment: Segment, offset: int, length: int) -> bytes: ...

    def open_stream(self, segment: Segment) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How one track of a closed segment is cut, if all of it is shown.

    ``fresh``: after a hole; ``continuing``: after the segment before. ``opens``: it begins with a
    key frame, so nothing of it belongs to a GOP of the segment before.
    """

    from_us: int
    to_us: int
    opens: bool
    fresh: tuple[Cut, ...]
    continuing: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class WholeSource:
    """A closed segment of which the viewer may see all; a ``playlist.Source``."""

    run: str
    run_seq: int
    init: str
    plan: Plan
    finished: bool = True

    @property
    def from_us(self) -> int:
        return self.plan.from_us

    @property
    def to_us(self) -> int:
        return self.plan.to_us

    def cuts(self, *, continues: bool, finished: bool) -> Sequence[Cut]:
        return self.plan.continuing if continues else self.plan.fresh

    def first_key_us(self) -> int | None:
        return None


def plan_of(table: SegmentTable, track: int) -> Plan | None:
    """Plan the cuts of one track of a closed segment; none if it holds nothing of the track."""
    fragments = track_fragments(table, track)
    if not fragments:
        return None
    return Plan(
        fragments[0].from_us,
        fragments[-1].to_us,
        fragments[0].key,
        cut_all(fragments, continues=False, finished=True),
        cut_all(fragments, continues=True, finished=True),
    )


class Tables:
    """Gives tables and plans. Plans are small and remembered for days of footage."""

    def __init__(self, database: Database, footage: Reader) -> None:
        self._database = database
        self._footage = footage
        self._tables: Lru[int, SegmentTable] = Lru(TABLES)
        self._plans: Lru[int, dict[Medium, Plan]] = Lru(PLANS)

    def table(self, held: Held) -> SegmentTable:
        """Give a segment's table. Raises ``DamageFound`` if it cannot be had."""
        if held.table is not None:
            return held.table
        assert held.row is not None
        found = self._tables.get(held.row.id)
        return next(iter(self._load([held.row])))[1] if found is None else found

    def plans(self, held: Iterable[Held]) -> dict[tuple[str, int], dict[Medium, Plan]]:
        """Give the plans of committed segments, by their keys."""
        out: dict[tuple[str, int], dict[Medium, Plan]] = {}
        missing: dict[int, Held] = {}
        for item in held:
            assert item.row is not None
            found = self._plans.get(item.row.id)
            if found is not None:
                out[item.key] = found
            else:
                missing[item.row.id] = item
        rows = [item.row for item in missing.values() if item.row is not None]
        for row, table in self._load(rows):
            item = missing[row.id]
            plans = {medium: plan_of(table, track) for medium, track in item.tracks}
            kept = {medium: plan for medium, plan in plans.items() if plan is not None}
            out[item.key] = self._plans.put(row.id, kept)
        return out

    def _load(self, rows: Sequence[Segment]) -> Iterator[tuple[Segment, SegmentTable]]:
        left = iter(rows)
        while batch := list(islice(left, BATCH)):
            with self._database.read() as orm:
                query = select(FragmentTable).where(
                    FragmentTable.segment_id.in_([row.id for row in batch])
                )
                blobs = {found.segment_id: found.body for found in orm.scalars(query)}
            for row in batch:
                blob = blobs.get(row.id)
                table = decode_table(blob) if blob is not None else self._from_file(row)
                if len(rows) == 1:
                    self._tables.put(row.id, table)
                yield row, table

    def _from_file(self, row: Segment) -> SegmentTable:
        """Make a table that was dropped again, from the bytes and the instants of the record."""
        with self._database.read() as orm:
            record = orm.get(Record, row.record_id)
        body = json.loads(record.body) if record is not None and record.body else {}
        walls = [WallPoint(a["pts"], a["recorder_us"]) for a in body.get("anchors", ())]
        timescales: tuple[tuple[int, int], ...] = ()
        fragments: list[Fragment] = []
        for piece in split_pieces(self._footage.open_stream(row)):
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
        if not walls:
            first = min((f.dts for f in fragments if f.track == timescales[0][0]), default=0)
            walls = [WallPoint(first, row.from_us)]
        return SegmentTable(timescales, tuple(walls), tuple(fragments))
