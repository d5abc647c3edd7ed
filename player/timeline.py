"""The timeline of a session: what was due, what each stream holds and lacks, what happened when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.coverage import explain
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval, intersect, subtract, union
from bidwitness.storage.happenings import markers_for
from bidwitness.storage.index.models import (
    Camera,
    Claim,
    Event,
    Marker,
    Room,
    Session,
    Stream,
    StreamStatus,
)
from bidwitness.storage.sessions.loading import standing
from bidwitness.storage.sessions.reading import read_committed
from bidwitness.storage.sessions.report import (
    JOIN_US,
    Footage,
    NotedGap,
    Report,
    camera_media,
)
from bidwitness.storage.sessions.reporting import known_until, session_report
from bidwitness.words import (
    GapCause,
    Health,
    MarkerAudience,
    Medium,
    Role,
    SessionState,
    StreamRole,
)

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """Footage of one run without a hole."""

    interval: Interval
    run: str


@dataclass(frozen=True, slots=True)
class LaneGap:
    """What is missing of a medium, or, without one, of the whole stream."""

    interval: Interval
    cause: GapCause
    medium: Medium | None


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the index knows of a stream in a session. ``runs``: its segments with their runs."""

    stream_id: str
    role: StreamRole
    camera_id: str
    camera: str
    room: str
    footage: Footage
    runs: tuple[tuple[Interval, str], ...]
    # What the session's report misses of the camera, with its causes.
    due_gaps: tuple[tuple[Medium, Interval, GapCause], ...] = ()


@dataclass(frozen=True, slots=True)
class Lane:
    """One stream's line: footage, gaps, and millionths held of what was wanted, by medium."""

    stream_id: str
    role: StreamRole
    camera_id: str
    camera: str
    room: str
    media: tuple[Medium, ...]
    ranges: tuple[Range, ...]
    gaps: tuple[LaneGap, ...]
    coverage_ppm: Mapping[Medium, int]


@dataclass(frozen=True, slots=True)
class Moment:
    at_us: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A marker as somebody may read it."""

    id: str
    at_us: int
    text: str
    author: str
    audience: MarkerAudience
    reason: str | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """``live_until_us``: while the session records, up to where its footage has come."""

    due: Interval | None
    coverage_ppm: int | None
    lanes: tuple[Lane, ...]
    events: tuple[Moment, ...]
    markers: tuple[Note, ...]
    live_until_us: int | None


def lane_of(facts: StreamFacts) -> Lane:
    """Draw a stream's line: ranges of footage, and a cause for all that is missing. Pure."""
    footage = facts.footage
    media = tuple(camera_media([footage]))
    missing: dict[Medium, list[tuple[Interval, GapCause]]] = {}
    ppm: dict[Medium, int] = {}
    for medium in media:
        due = [(interval, cause) for m, interval, cause in facts.due_gaps if m == medium]
        wanted = union([*footage.claims, *(interval for interval, _ in due)])
        held = footage.held(medium)
        noted = [(g.interval, g.cause) for g in footage.gaps if g.medium in (None, medium)]
        lacking = subtract(wanted, held)
        missing[medium] = [(m.interval, m.cause) for m in explain(lacking, [*noted, *due])]
        whole = sum(interval.duration for interval in wanted)
        found = sum(interval.duration for interval in intersect(wanted, held))
        ppm[medium] = found * MILLION // whole if whole else MILLION
    return Lane(
        *(facts.stream_id, facts.role, facts.camera_id, facts.camera, facts.room),
        media=media,
        ranges=tuple(_ranges(facts.runs, footage.claims)),
        gaps=tuple(_together(missing)),
        coverage_ppm=ppm,
    )


def _ranges(runs: Iterable[tuple[Interval, str]], claims: Sequence[Interval]) -> list[Range]:
    """Join the segments of each run, and cut them to what the session claims."""
    out: list[Range] = []
    ordered = sorted(runs, key=lambda item: (item[1], item[0]))
    for run, group in groupby(ordered, key=lambda item: item[1]):
        whole = union((interval for interval, _ in group), join_within=JOIN_US)
        out += [Range(interval, run) for interval in intersect(whole, claims)]
    return sorted(out, key=lambda item: item.interval)


def _together(missing: Mapping[Medium, list[tuple[Interval, GapCause]]]) -> list[LaneGap]:
    """Say once what is missing of every medium for the same cause.

    Media of one loss begin and end a little apart: within ``JOIN_US`` it is one gap, the longest.
    """
    if len(missing) == 1:
        (gaps,) = missing.values()
        return [LaneGap(interval, cause, None) for interval, cause in gaps]
    left = {medium: list(gaps) for medium, gaps in missing.items()}
    out: list[LaneGap] = []
    for gap in next(iter(missing.values()), []):
        same = {m: next((g for g in gaps if _is_one(gap, g)), None) for m, gaps in left.items()}
        ends = [found for found in same.values() if found is not None]
        if len(ends) == len(left):
            for medium, found in same.items():
                left[medium] = [other for other in left[medium] if other != found]
            out.append(LaneGap(union(interval for interval, _ in ends)[0], gap[1], None))
    for medium, gaps in left.items():
        out += [LaneGap(interval, cause, medium) for interval, cause in gaps]
    return sorted(out, key=lambda gap: (gap.interval, gap.medium or ""))


def _is_one(gap: tuple[Interval, GapCause], other: tuple[Interval, GapCause]) -> bool:
    (a, cause), (b, other_cause) = gap, other
    near = abs(a.start - b.start) <= JOIN_US and abs(a.end - b.end) <= JOIN_US
    return cause == other_cause and near and a.overlaps(b)


def session_timeline(
    orm: Orm, settings: Settings, session_id: str, now_us: int, roles: frozenset[Role], name: str
) -> Timeline:
    """Give the timeline of a session, with the markers that such a person may read.

    Raises ``NotFound``.
    """
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    recording = session.state == SessionState.RECORDING
    until = known_until(session, now_us)
    claims: dict[str, list[Claim]] = {}
    for claim in standing(session):
        claims.setdefault(claim.stream_id, []).append(claim)
    footage = read_committed(orm, claims, until)
    report = session_report(orm, settings, session, now_us, committed=footage)
    facts = _streams(orm, footage, report, until)
    live = None
    if recording:
        ends = [i.end for stream in facts for i, _ in stream.runs]
        live = min(max(ends, default=now_us), now_us)
    return Timeline(
        due=report.due,
        coverage_ppm=report.coverage_ppm,
        lanes=tuple(lane_of(stream) for stream in facts),
        events=tuple(_events(orm, session_id)),
        markers=tuple(_markers(orm, session_id, roles, name)),
        live_until_us=live,
    )


def _streams(
    orm: Orm, committed: Mapping[str, Footage], report: Report, until: int
) -> list[StreamFacts]:
    query = (
        select(Stream, Camera, Room)
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .where(Stream.id.in_(committed))
        .order_by(Room.name, Camera.name, Camera.id, Stream.role)
    )
    out: list[StreamFacts] = []
    for stream, camera, room in orm.execute(query):
        known = committed[stream.id]
        footage = _with_the_open(orm, replace(known, claims=tuple(union(known.claims))), until)
        gaps = [
            (medium.medium, gap.interval, gap.cause)
            for found in report.cameras
            if found.camera_id == camera.id
            for medium in found.media
            for gap in medium.gaps
        ]
        out.append(
            StreamFacts(
                *(stream.id, stream.role, camera.id, camera.name, room.name),
                footage=footage,
                runs=footage.runs,
                due_gaps=tuple(gaps),
            )
        )
    return out


def _with_the_open(orm: Orm, footage: Footage, until: int) -> Footage:
    """Add what is being written, where the session still has the stream."""
    if not footage.claims or footage.claims[-1].end < until:
        return footage
    runs, noted = list(footage.runs), list(footage.gaps)
    newest = max((interval.end for interval, _ in runs), default=footage.claims[0].start)
    written = _being_written(orm, footage.stream_id, newest, until, noted)
    parts = list(footage.segments)
    if written is not None:
        parts.append((written, footage.media))
        runs.append((written, runs[-1][1] if runs else ""))
    return replace(footage, segments=tuple(parts), gaps=tuple(noted), runs=tuple(runs))


def _being_written(
    orm: Orm, stream_id: str, newest: int, until: int, noted: list[NotedGap]
) -> Interval | None:
    """Give what the recorder says it has written since ``newest``; note the gap of a silence."""
    status = orm.get(StreamStatus, stream_id)
    if status is None:
        return None
    known = max([newest, *(gap.interval.end for gap in noted if gap.medium is None)])
    if status.state in (Health.OK, Health.DEGRADED):
        start, end = max(known, status.since_us), status.last_us or 0
        return Interval(start, end) if end > start else None
    start = max(known, status.last_us or 0)
    if until > start:
        noted.append(NotedGap(Interval(start, until), status.cause or GapCause.OFFLINE))
    return None


def _events(orm: Orm, session_id: str) -> list[Moment]:
    query = select(Event).where(Event.session_id == session_id).order_by(Event.at_us, Event.id)
    return [Moment(row.at_us, row.kind, row.text or "") for row in orm.scalars(query)]


def _markers(orm: Orm, session_id: str, roles: frozenset[Role], name: str) -> list[Note]:
    """Give the markers meant for such a person, and her own."""
    query = select(Marker).where(Marker.session_id == session_id, markers_for(name, roles))
    return [
        Note(row.id, row.at_us, row.text, row.author, row.audience, row.reason)
        for row in orm.scalars(query.order_by(Marker.at_us))
    ]
