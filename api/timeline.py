"""The timeline of a session: what was due, recorded, missing, and what happened when."""

from fastapi import APIRouter
from pydantic import Field

from bidwitness.api.deps import Me, TheClock, TheDatabase, TheSettings
from bidwitness.api.schemas import Answer, IdPath
from bidwitness.api.seeing import check_may_read_about
from bidwitness.intervals import Interval
from bidwitness.player.timeline import MILLION, Lane, Note, Timeline, session_timeline
from bidwitness.words import GapCause, MarkerAudience, Medium, StreamRole

router = APIRouter(prefix="/sessions", tags=["sessions"])


class IntervalAnswer(Answer):
    from_us: int = Field(serialization_alias="from")
    to_us: int = Field(serialization_alias="to")


class SegmentAnswer(IntervalAnswer):
    run: str


class GapAnswer(IntervalAnswer):
    cause: GapCause
    cause_name: str
    medium: Medium | None


class LaneAnswer(Answer):
    stream_id: str
    camera_id: str
    camera: str
    room: str
    role: StreamRole
    tracks: list[Medium]
    coverage: dict[Medium, float]
    segments: list[SegmentAnswer]
    gaps: list[GapAnswer]


class EventAnswer(Answer):
    at: int
    kind: str
    text: str


class MarkerAnswer(Answer):
    id: str
    at: int
    text: str
    author: str
    audience: MarkerAudience
    reason: str | None


class TimelineAnswer(Answer):
    due: IntervalAnswer | None
    coverage: float | None
    streams: list[LaneAnswer]
    events: list[EventAnswer]
    markers: list[MarkerAnswer]
    live_until: int | None


@router.get("/{session_id}/timeline")
def timeline(
    session_id: IdPath, user: Me, database: TheDatabase, clock: TheClock, settings: TheSettings
) -> TimelineAnswer:
    """What a session was to record, what it holds and lacks, with events and markers."""
    now = clock.utc_us()
    with database.read() as orm:
        check_may_read_about(orm, user, session_id, now)
        found = session_timeline(orm, settings, session_id, now, user.roles, user.username)
    return _answer(found)


def _answer(found: Timeline) -> TimelineAnswer:
    return TimelineAnswer(
        due=_interval(found.due) if found.due else None,
        coverage=None if found.coverage_ppm is None else found.coverage_ppm / MILLION,
        streams=[_lane(lane) for lane in found.lanes],
        events=[EventAnswer(at=e.at_us, kind=e.kind, text=e.text) for e in found.events],
        markers=[_marker(note) for note in found.markers],
        live_until=found.live_until_us,
    )


def _marker(note: Note) -> MarkerAnswer:
    return MarkerAnswer(
        id=note.id,
        at=note.at_us,
        text=note.text,
        author=note.author,
        audience=note.audience,
        reason=note.reason,
    )


def _interval(interval: Interval) -> IntervalAnswer:
    return IntervalAnswer(from_us=interval.start, to_us=interval.end)


def _lane(lane: Lane) -> LaneAnswer:
    return LaneAnswer(
        stream_id=lane.stream_id,
        camera_id=lane.camera_id,
        camera=lane.camera,
        room=lane.room,
        role=lane.role,
        tracks=list(lane.media),
        coverage={medium: ppm / MILLION for medium, ppm in lane.coverage_ppm.items()},
        segments=[
            SegmentAnswer(from_us=r.interval.start, to_us=r.interval.end, run=r.run)
            for r in lane.ranges
        ],
        gaps=[
            GapAnswer(
                from_us=gap.interval.start,
                to_us=gap.interval.end,
                cause=gap.cause,
                cause_name=gap.cause.zh,
                medium=gap.medium,
            )
            for gap in lane.gaps
        ],
    )
