"""The fragment tables of segments, and how whole segments are cut: loaded, made, remembered."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select

from bidwitness.player.cache import Lru
from bidwitness.player.cutting import Cut, cut_all
from bidwitness.player.plans import UNSURE, Plan, Unsure, plan_many
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
class WholeSource:
    """A closed segment of which the viewer may see all; a ``playlist.Source``.

    ``fresh`` makes its cuts after a hole, which is seldom asked for.
    """

    run: str
    run_seq: int
    init: str
    plan: Plan
    fresh: Callable[[], tuple[Cut, ...]]
    finished: bool = True

    @property
    def from_us(self) -> int:
        return self.plan.from_us

    @property
    def to_us(self) -> int:
        return self.plan.to_us

    def cuts(self, *, continues: bool, finished: bool) -> Sequence[Cut]:
        return self.plan.continuing if continues else self.fresh()

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
        cut_all(fragments, continues=True, finished=True),
    )


class Tables:
    """Gives tables and plans. Plans are small and remembered for days of footage."""

    def __init__(self, database: Database, footage: Reader) -> None:
        self._database = database
        self._footage = footage
        self._tables: Lru[int, SegmentTable] = Lru(TABLES)
        # An empty tuple stands for a segment that holds nothing of the medium.
        self._plans: Lru[tuple[int, Medium], Plan | tuple[()]] = Lru(PLANS)

    def table(self, held: Held) -> SegmentTable:
        """Give a segment's table. Raises ``DamageFound`` if it cannot be had."""
        if held.table is not None:
            return held.table
        row = held.row
        assert row is not None
        return self._tables.get_or_make(row.id, lambda: self._load(row))

    def fresh(self, held: Held, medium: Medium) -> tuple[Cut, ...]:
        """Cut a whole segment's track as it is cut after a hole."""
        track = held.track(medium)
        if track is None:
            return ()
        fragments = track_fragments(self.table(held), track)
        return cut_all(fragments, continues=False, finished=True)

    def plans(self, held: Iterable[Held], medium: Medium) -> dict[tuple[str, int], Plan]:
        """Give the plans of a medium for committed segments, by their keys."""
        out: dict[tuple[str, int], Plan] = {}
        missing: list[tuple[Held, Segment, int]] = []
        for item in held:
            track = item.track(medium)
            if item.row is None or track is None:
                continue
            found = self._plans.get((item.row.id, medium))
            if found is None:
                missing.append((item, item.row, track))
            elif isinstance(found, Plan):
                out[item.key] = found
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            plans = self._plan([(row, track) for _, row, track in batch])
            for (item, row, _), plan in zip(batch, plans, strict=True):
                self._plans.put((row.id, medium), plan if plan is not None else ())
                if plan is not None:
                    out[item.key] = plan
        return out

    def _plan(self, batch: Sequence[tuple[Segment, int]]) -> list[Plan | None]:
        blobs = self._blobs([row for row, _ in batch])
        known = [(row, track) for row, track in batch if row.id in blobs]
        quick = plan_many([blobs[row.id] for row, _ in known], [track for _, track in known])
        planned = {row.id: plan for (row, _), plan in zip(known, quick, strict=True)}
        out: list[Plan | None] = []
        for row, track in batch:
            plan = planned.get(row.id, UNSURE)
            out.append(plan_of(self._load(row), track) if isinstance(plan, Unsure) else plan)
        return out

    def _blobs(self, rows: Iterable[Segment]) -> dict[int, bytes]:
        ids = [row.id for row in rows]
        with self._database.read() as orm:
            query = select(FragmentTable).where(FragmentTable.segment_id.in_(ids))
            return {found.segment_id: found.body for found in orm.scalars(query)}

    def _load(self, row: Segment) -> SegmentTable:
        blob = self._blobs([row]).get(row.id)
        return decode_table(blob) if blob is not None else self._from_file(row)

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
