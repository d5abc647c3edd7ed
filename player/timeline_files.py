"""A session's timeline as files to take away: CSV for spreadsheets, JSON for programs. Pure.

Instants are µs UTC, as they are kept, with the same in words of China's time (UTC+8). Shares are
millionths, so that no number is rounded twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bidwitness.intervals import Interval, intersect, union
from bidwitness.player.snapshot import iso
from bidwitness.player.timeline import Lane, LaneGap, Moment, Note, Range, Timeline
from bidwitness.storage.trail.sheets import BOM, lines_of
from bidwitness.words import Medium

SCHEMA = "bidwitness.timeline/1"
CSV_FILE, JSON_FILE = "timeline.csv", "timeline.json"
HEAD = (
    "类别 kind",
    "从 from (UTC+8)",
    "至 to (UTC+8)",
    "从 from (µs UTC)",
    "至 to (µs UTC)",
    "时长 duration (µs)",
    "场地 room",
    "摄像机 camera",
    "码流 role",
    "媒体 medium",
    "原因代码 cause",
    "原因 cause (zh)",
    "覆盖率 coverage (ppm)",
    "内容 text",
    "记录人 author",
    "码流编号 stream",
    "连接编号 run",
)
# The media of one row that speaks of all of a stream.
ALL_MEDIA = "all"


@dataclass(frozen=True, slots=True)
class TimelineFile:
    """What is written down. ``made_us``: when; what a running session still records is not in it."""

    session_id: str
    made_us: int
    timeline: Timeline


def narrowed(
    timeline: Timeline, spans: Mapping[str, Mapping[Medium, Sequence[Interval]]]
) -> Timeline:
    """Give what a timeline says of some streams, media and times, and nothing of the rest.

    The shares are those of what is left; what was due of the whole session is not told.
    """
    lanes = tuple(
        _narrowed_lane(lane, spans[lane.stream_id])
        for lane in timeline.lanes
        if lane.stream_id in spans
    )
    times = union(one for media in spans.values() for some in media.values() for one in some)

    def within(at_us: int) -> bool:
        return any(time.contains(at_us) for time in times)

    return replace(
        timeline,
        due=None,
        coverage_ppm=None,
        lanes=lanes,
        events=tuple(event for event in timeline.events if within(event.at_us)),
        markers=tuple(note for note in timeline.markers if within(note.at_us)),
        live_until_us=None,
    )


def _narrowed_lane(lane: Lane, spans: Mapping[Medium, Sequence[Interval]]) -> Lane:
    every = union(one for some in spans.values() for one in some)
    gaps: list[LaneGap] = []
    for gap in lane.gaps:
        hers = every if gap.medium is None else spans.get(gap.medium, ())
        gaps += [replace(gap, interval=part) for part in intersect([gap.interval], hers)]
    media = tuple(medium for medium in lane.media if medium in spans)
    ranges = [
        replace(found, interval=part)
        for found in lane.ranges
        for part in intersect([found.interval], every)
    ]
    return replace(lane, media=media, ranges=tuple(ranges), gaps=tuple(gaps), coverage_ppm={})


def as_csv(file: TimelineFile) -> bytes:
    """Give the timeline as CSV (RFC 4180, UTF-8 with a mark, which Excel needs to read Chinese)."""
    return BOM.encode() + lines_of([HEAD, *(row.cells() for row in _rows(file.timeline))])


def as_json(file: TimelineFile) -> bytes:
    """Give the timeline as JSON."""
    timeline, live = file.timeline, file.timeline.live_until_us
    body: dict[str, object] = {
        "schema": SCHEMA,
        "session": file.session_id,
        "made_at": _instant(file.made_us),
        "due": None if timeline.due is None else _span(timeline.due),
        "coverage_ppm": timeline.coverage_ppm,
        "live_until": None if live is None else _instant(live),
        "streams": [_lane(lane) for lane in timeline.lanes],
        "events": [_moment(event) for event in timeline.events],
        "markers": [_note(note) for note in timeline.markers],
    }
    return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    kind: str
    from_us: int | None = None
    to_us: int | None = None
    lane: Lane | None = None
    medium: str = ""
    cause: str = ""
    cause_name: str = ""
    ppm: int | None = None
    text: str = ""
    author: str = ""
    run: str = ""

    def cells(self) -> tuple[str, ...]:
        lane, start, end = self.lane, self.from_us, self.to_us
        length = None if start is None or end is None else end - start
        where = (lane.room, lane.camera, str(lane.role)) if lane is not None else ("", "", "")
        return (
            self.kind,
            *("" if at is None else iso(at) for at in (start, end)),
            *("" if number is None else str(number) for number in (start, end, length)),
            *where,
            *(self.medium, self.cause, self.cause_name),
            "" if self.ppm is None else str(self.ppm),
            *(self.text, self.author, "" if lane is None else lane.stream_id, self.run),
        )


def _rows(timeline: Timeline) -> Iterator[_Row]:
    if timeline.due is not None:
        start, end = timeline.due.start, timeline.due.end
        yield _Row(kind="due", from_us=start, to_us=end, ppm=timeline.coverage_ppm)
    for lane in timeline.lanes:
        for medium, ppm in lane.coverage_ppm.items():
            yield _Row(kind="coverage", lane=lane, medium=str(medium), ppm=ppm)
        yield from _footage(lane, lane.ranges)
        yield from _gaps(lane, lane.gaps)
    for event in timeline.events:
        yield _Row(kind=f"event:{event.kind}", from_us=event.at_us, text=event.text)
    for note in timeline.markers:
        yield _Row(kind="marker", from_us=note.at_us, text=note.text, author=note.author)


def _footage(lane: Lane, ranges: Iterable[Range]) -> Iterator[_Row]:
    for found in ranges:
        start, end = found.interval.start, found.interval.end
        yield _Row(kind="footage", lane=lane, from_us=start, to_us=end, run=found.run)


def _gaps(lane: Lane, gaps: Iterable[LaneGap]) -> Iterator[_Row]:
    for gap in gaps:
        yield _Row(
            kind="gap",
            lane=lane,
            from_us=gap.interval.start,
            to_us=gap.interval.end,
            medium=ALL_MEDIA if gap.medium is None else str(gap.medium),
            cause=str(gap.cause),
            cause_name=gap.cause.zh,
        )


def _lane(lane: Lane) -> dict[str, object]:
    return {
        "stream": lane.stream_id,
        "room": lane.room,
        "camera": lane.camera,
        "role": lane.role,
        "media": list(lane.media),
        "coverage_ppm": dict(lane.coverage_ppm),
        "footage": [{**_span(one.interval), "run": one.run} for one in lane.ranges],
        "gaps": [
            {
                **_span(gap.interval),
                "medium": gap.medium,
                "cause": gap.cause,
                "cause_zh": gap.cause.zh,
            }
            for gap in lane.gaps
        ],
    }


def _moment(event: Moment) -> dict[str, object]:
    return {"at": _instant(event.at_us), "kind": event.kind, "text": event.text}


def _note(note: Note) -> dict[str, object]:
    return {
        "at": _instant(note.at_us),
        "text": note.text,
        "author": note.author,
        "audience": note.audience,
    }


def _span(interval: Interval) -> dict[str, object]:
    return {"from": _instant(interval.start), "to": _instant(interval.end)}


def _instant(at_us: int) -> dict[str, object]:
    return {"us": at_us, "utc8": iso(at_us)}
