"""The timeline of a session: what was due, recorded, missing, and what happened when."""

from fastapi import APIRouter, Response
from pydantic import Field

from bidwitness.api.deps import (
    CurrentUser,
    Me,
    Parts,
    TheClock,
    TheDatabase,
    ThePartsOf,
    TheSettings,
)
from bidwitness.api.openapi import gives
from bidwitness.api.schemas import Answer, IdPath
from bidwitness.api.seeing import check_may_read_about
from bidwitness.intervals import Interval
from bidwitness.player.timeline import MILLION, Lane, Note, Timeline, session_timeline
from bidwitness.player.timeline_files import TimelineFile, as_csv, as_json
from bidwitness.storage.index.audit import leave_audit_entry
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


@router.get("/{session_id}/timeline/csv", response_class=Response, responses=gives("text/csv"))
def timeline_csv(session_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The timeline as a CSV file for spreadsheets; audited, for it leaves the system."""
    data = as_csv(_file(parts, user, session_id, "csv"))
    return _download(data, "text/csv; charset=utf-8", f"timeline-{session_id}.csv")


@router.get(
    "/{session_id}/timeline/json", response_class=Response, responses=gives("application/json")
)
def timeline_json(session_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The timeline as a JSON file, with its times in words too; audited like the CSV."""
    data = as_json(_file(parts, user, session_id, "json"))
    return _download(data, "application/json", f"timeline-{session_id}.json")


def _file(parts: Parts, user: CurrentUser, session_id: str, form: str) -> TimelineFile:
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        check_may_read_about(orm, user, session_id, now)
        found = session_timeline(orm, parts.settings, session_id, now, user.roles, user.username)
    with parts.database.write() as orm:
        subject, facts = f"session:{session_id}", {"form": form}
        leave_audit_entry(orm, user.who, "timeline.fetch", subject, now, facts=facts)
    return TimelineFile(session_id, now, found)


def _download(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


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
