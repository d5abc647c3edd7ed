"""What a session had to hold of each camera, what it holds, and why the rest is missing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bidwitness.coverage import MILLION, Missing, coverage, explain, late_and_early
from bidwitness.intervals import Interval, intersect, subtract, union
from bidwitness.words import GapCause, Medium

# Times of two segments of a run may be a frame apart, and of a slow camera's a long one.
JOIN_US = 100_000
# So many gaps of a medium are listed; all are counted.
MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class NotedGap:
    """A gap as the recorder noted it; without ``medium`` it is the whole stream's."""

    interval: Interval
    cause: GapCause
    medium: Medium | None = None


@dataclass(frozen=True, slots=True)
class Footage:
    """What is known of a stream in a session: claims, segments by the media in them, gaps.

    ``media``: what the stream's tracks are, segments or not. ``runs``: the segments by run.
    """

    stream_id: str
    claims: tuple[Interval, ...]
    segments: tuple[tuple[Interval, frozenset[Medium]], ...] = ()
    gaps: tuple[NotedGap, ...] = ()
    media: frozenset[Medium] = frozenset()
    runs: tuple[tuple[Interval, str], ...] = ()

    def held(self, medium: Medium) -> list[Interval]:
        """Give what is claimed and recorded of a medium."""
        spans = [span for span, media in self.segments if medium in media]
        whole = union(spans, join_within=JOIN_US)
        holes = [gap.interval for gap in self.gaps if gap.medium in (None, medium)]
        return intersect(subtract(whole, holes), self.claims)

    def known(self) -> list[Interval]:
        """Give the time of which the recorder has said something."""
        spans = [span for span, _ in self.segments]
        return union([*spans, *(gap.interval for gap in self.gaps)], join_within=JOIN_US)

    def has(self, medium: Medium) -> bool:
        return medium in self.media or any(medium in media for _, media in self.segments)


@dataclass(frozen=True, slots=True)
class MediumReport:
    """Due and recorded time (µs) of a medium. ``gaps`` lists the first; ``gap_count`` counts all."""

    medium: Medium
    stream_id: str
    due_us: int
    recorded_us: int
    degraded_us: int
    gap_count: int
    gaps: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """One camera in a session. ``clips``: due time that another session's own claim took off;
    ``sub``: its sub-stream, if the session has one."""

    camera_id: str
    camera: str
    room_id: str
    room: str
    media: tuple[MediumReport, ...]
    due: tuple[Interval, ...] = ()
    sub: str | None = None
    clips: tuple[tuple[str, Interval], ...] = ()

    @property
    def gap_count(self) -> int:
        """Count gaps; sound that is missing together with the picture is one gap with it."""
        picture = [m for m in self.media if m.medium == Medium.PICTURE]
        seen = [gap.interval for m in picture for gap in m.gaps]
        count = sum(m.gap_count for m in picture)
        for medium in self.media:
            if medium.medium != Medium.PICTURE:
                alone = subtract([gap.interval for gap in medium.gaps], seen)
                count += sum(part.duration > JOIN_US for part in alone)
        return count


@dataclass(frozen=True, slots=True)
class Report:
    """A session's figures: ``due`` is empty for one that is not to record."""

    due: Interval | None
    cameras: tuple[CameraReport, ...] = ()

    @property
    def coverage_ppm(self) -> int | None:
        """Millionths of the due time recorded, over all cameras and media; empty if none is due."""
        due = sum(m.due_us for camera in self.cameras for m in camera.media)
        if not due:
            return None
        return sum(m.recorded_us for c in self.cameras for m in c.media) * MILLION // due

    @property
    def gap_count(self) -> int:
        return sum(camera.gap_count for camera in self.cameras)


def medium_report(
    medium: Medium,
    due: Sequence[Interval],
    main: Footage | None,
    sub: Footage | None,
    *,
    over: bool,
) -> MediumReport:
    """Compare what was due of a camera's medium with what its streams hold of it.

    ``over``: the session has ended, so that missing time at its end is an early end.
    """
    leading = main or sub
    assert leading is not None
    # Sound is recorded from main; from sub only if main has none, and is then as good.
    if medium != Medium.PICTURE and main and sub and not main.has(medium) and sub.has(medium):
        leading, main, sub = sub, sub, None
    held = main.held(medium) if main else []
    spare = sub.held(medium) if sub else []
    found = coverage(due, held, spare)
    missing = explain(found.gaps, _causes(medium, due, leading, over))
    return MediumReport(
        medium,
        leading.stream_id,
        found.due_us,
        found.recorded_us,
        found.degraded_us,
        len(missing),
        tuple(missing[:MAX_LISTED]),
    )


def _causes(
    medium: Medium, due: Sequence[Interval], footage: Footage, over: bool
) -> list[tuple[Interval, GapCause]]:
    """Give all that is known of why footage is missing: the recorder's word, then the edges."""
    noted = [(g.interval, g.cause) for g in footage.gaps if g.medium in (None, medium)]
    edges = late_and_early(due, footage.claims) + late_and_early(due, footage.known())
    late = [edge for edge in edges if over or edge[1] == GapCause.LATE_START]
    explained = [interval for interval, _ in noted]
    rest = [(part, cause) for span, cause in late for part in subtract([span], explained)]
    return noted + rest


def camera_media(streams: Iterable[Footage]) -> list[Medium]:
    """Give the media that a camera is to record: the picture, unless it has sound alone.

    Of one that was never seen a picture is missing, as far as anybody knows.
    """
    known = list(streams)
    found = [medium for medium in Medium if any(stream.has(medium) for stream in known)]
    return found or [Medium.PICTURE]


def report_json(report: Report) -> dict[str, object]:
    """Give a report as it is stored at the seal and served."""
    return {
        "due": _span(report.due) if report.due else None,
        "coverage_ppm": report.coverage_ppm,
        "gaps": report.gap_count,
        "cameras": [
            {
                "camera_id": camera.camera_id,
                "camera": camera.camera,
                "room_id": camera.room_id,
                "room": camera.room,
                "media": [_medium_json(medium) for medium in camera.media],
                "clips": [{"session_id": other, **_span(i)} for other, i in camera.clips],
            }
            for camera in report.cameras
        ],
    }


def _medium_json(medium: MediumReport) -> Mapping[str, object]:
    return {
        "medium": medium.medium,
        "stream_id": medium.stream_id,
        "due_us": medium.due_us,
        "recorded_us": medium.recorded_us,
        "degraded_us": medium.degraded_us,
        "gap_count": medium.gap_count,
        "gaps": [{**_span(gap.interval), "cause": gap.cause} for gap in medium.gaps],
    }


def _span(interval: Interval) -> dict[str, object]:
    return {"from": interval.start, "to": interval.end}
