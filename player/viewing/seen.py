"""What was sent in a viewing: by its entries in the audit trail, and the files they name."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.intervals import Interval, union
from bidwitness.storage.evidence.records import SegmentFacts, utc_day
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import AuditEntry, Record, Segment
from bidwitness.storage.watched import SEEN
from bidwitness.words import Medium

DAY_US = 86_400_000_000
# Files that follow one another may miss each other by less: ticks are rounded.
ROUNDING_US = 20_000
# Opening and ending a viewing, what was sent, and what was refused in it.
OF_A_VIEWING = "playback."

# Stream, run, number within the run.
Key = tuple[str, str, int]
Segments = Mapping[Key, tuple[Segment, Record]]
_Track = tuple[str, Medium]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the audit trail says was sent. ``parts``: of which file which times, by track.

    ``noted``: from when to when entries of a track were left.
    """

    entries: tuple[AuditEntry, ...]
    parts: Mapping[Key, Mapping[Medium, tuple[Interval, ...]]]
    noted: Mapping[_Track, tuple[int, int]]

    @property
    def files(self) -> dict[Key, tuple[Medium, ...]]:
        """Name the files of which something was sent, and which of their media."""
        return {key: tuple(sorted(media)) for key, media in self.parts.items()}

    def spans(self, segments: Segments) -> dict[_Track, list[Interval]]:
        """Give the times that were sent, by track: of each minute noted what its file holds."""
        found: dict[_Track, list[Interval]] = {}
        for key, media in self.parts.items():
            known = segments.get(key)
            held = None if known is None else _extent(known[0])
            for medium, spans in media.items():
                cut = [_within(span, held) for span in spans]
                found.setdefault((key[0], medium), []).extend(cut)
        return {track: union(spans, join_within=ROUNDING_US) for track, spans in found.items()}


def _extent(segment: Segment) -> Interval:
    return Interval(segment.from_us, max(segment.to_us, segment.from_us + 1))


def _within(span: Interval, held: Interval | None) -> Interval:
    """Give what of a noted time its file holds; all of it while that is not known."""
    shared = span.intersection(held) if held is not None else None
    return span if shared is None else shared


def sent_in(orm: Orm, playback_id: str) -> Sent:
    """Give what was sent in a viewing so far, with every entry about it."""
    query = select(AuditEntry).where(
        AuditEntry.subject == f"playback:{playback_id}",
        AuditEntry.action.startswith(OF_A_VIEWING),
    )
    entries = tuple(orm.scalars(query.order_by(AuditEntry.id)))
    parts: dict[Key, dict[Medium, list[Interval]]] = {}
    noted: dict[_Track, tuple[int, int]] = {}
    for entry in entries:
        if entry.action != SEEN or entry.facts is None:
            continue
        facts = entry.facts
        stream, medium = str(facts["stream"]), Medium(facts["medium"])
        key = (stream, str(facts["run"]), int(facts["run_seq"]))
        span = Interval(int(facts["from_us"]), int(facts["to_us"]))
        parts.setdefault(key, {}).setdefault(medium, []).append(span)
        first, last = noted.get((stream, medium), (entry.at_us, entry.at_us))
        noted[stream, medium] = (min(first, entry.at_us), max(last, entry.at_us))
    return Sent(
        entries,
        {key: {m: tuple(union(s)) for m, s in media.items()} for key, media in parts.items()},
        noted,
    )


def segments_of(orm: Orm, sent: Sent) -> dict[Key, tuple[Segment, Record]]:
    """Give the files that entries name, with their records; what is not stored yet is left out.

    By their records, which are indexed by day: those of files that were removed are as well.
    """
    found: dict[Key, tuple[Segment, Record]] = {}
    for stream in sorted({key[0] for key in sent.parts}):
        keys = [key for key in sent.parts if key[0] == stream]
        times = [span for key in keys for spans in sent.parts[key].values() for span in spans]
        first = min(span.start for span in times) - MAX_SEGMENT_US
        last = max(span.end for span in times) + DAY_US
        query = (
            select(Segment, Record)
            .join(Record, Record.id == Segment.record_id)
            .where(
                Record.stream_id == stream,
                Record.day.between(int(utc_day(first)), int(utc_day(last))),
                Record.kind == SegmentFacts.T,
                Segment.run_id.in_({run for _, run, _ in keys}),
            )
        )
        for segment, record in orm.execute(query):
            key = (stream, segment.run_id, segment.run_seq)
            if key in sent.parts:
                found[key] = (segment, record)
    return found
