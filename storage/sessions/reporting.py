"""Read from the index what a session's report is made of."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.coverage import DueFacts, due_time
from bidwitness.intervals import Interval, intersect
from bidwitness.storage.index.footage import committed_until, gaps_in, spans_in
from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Claim,
    Event,
    Init,
    Room,
    Session,
    Stream,
    StreamStatus,
    Track,
)
from bidwitness.storage.sessions.loading import margins, own_claims, standing
from bidwitness.storage.sessions.report import (
    CameraReport,
    Footage,
    NotedGap,
    Report,
    camera_media,
    medium_report,
)
from bidwitness.words import GapCause, Health, Medium, SessionState, StreamRole

# What the trading systems report of the business itself; the platform's own events do not count.
BUSINESS = "business."
# Of the last moments of a running session nothing can be known yet.
LAG_US = 5_000_000
# A recorder that was heard of since then still writes, as far as anybody can say.
FRESH_US = 15_000_000
LONG_AGO = -(2**62)
FAR_OFF = 2**62
_PLANNED = (SessionState.SCHEDULED, SessionState.CANCELLED)


def due_facts(orm: Orm, settings: Settings, session: Session) -> DueFacts:
    """Give what the session's due interval is computed from."""
    first, last = orm.execute(
        select(func.min(Event.at_us), func.max(Event.at_us)).where(
            Event.session_id == session.id, Event.kind.startswith(BUSINESS, autoescape=True)
        )
    ).one()
    return DueFacts(
        planned_from_us=session.planned_from_us,
        lead_in_us=margins(settings, session.kind).lead_in_us,
        started_us=session.started_us,
        ended_us=session.ended_us,
        first_event_us=first,
        last_event_us=last,
    )


def due_interval(orm: Orm, settings: Settings, session: Session, now_us: int) -> Interval | None:
    """Give when the session has to record: to its planned end until it starts, then to now or to
    its end. Nothing for a cancelled one."""
    if session.state == SessionState.CANCELLED:
        return None
    facts = due_facts(orm, settings, session)
    until = session.planned_to_us if session.state == SessionState.SCHEDULED else now_us
    times = due_time(facts, until, session.id, "", ()).intervals
    return times[0] if times else None


def session_report(
    orm: Orm, settings: Settings, session: Session, now_us: int, *, provisional: bool = True
) -> Report:
    """Compute a session's coverage and gaps, as far as the index knows now.

    While it records, the last moments before now are not counted. ``provisional`` adds what the
    recorder says of the segments it still writes; without it only what is committed counts.
    """
    due = due_interval(orm, settings, session, now_us)
    if session.state in _PLANNED or due is None:
        return Report(due)
    facts = due_facts(orm, settings, session)
    reader = _Reader(orm, session, facts, now_us, provisional)
    return Report(due, tuple(reader.cameras()))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one session's footage, camera by camera. ``provisional``: also what is not committed."""

    orm: Orm
    session: Session
    facts: DueFacts
    now_us: int
    provisional: bool

    @property
    def over(self) -> bool:
        return self.session.ended_us is not None

    @property
    def until_us(self) -> int:
        return self.now_us if self.over else self.now_us - LAG_US

    def cameras(self) -> list[CameraReport]:
        claims: dict[str, list[Claim]] = {}
        for claim in standing(self.session):
            claims.setdefault(claim.stream_id, []).append(claim)
        query = (
            select(Stream, Camera, Room)
            .join(Camera, Camera.id == Stream.camera_id)
            .join(Room, Room.id == Camera.room_id)
            .where(Stream.id.in_(claims))
            .order_by(Room.name, Camera.name, Camera.id)
        )
        by_camera: dict[str, tuple[Camera, Room, dict[StreamRole, Stream]]] = {}
        for stream, camera, room in self.orm.execute(query):
            by_camera.setdefault(camera.id, (camera, room, {}))[2][stream.role] = stream
        return [
            self._camera(camera, room, streams, claims)
            for camera, room, streams in by_camera.values()
        ]

    def _camera(
        self,
        camera: Camera,
        room: Room,
        streams: dict[StreamRole, Stream],
        claims: dict[str, list[Claim]],
    ) -> CameraReport:
        footage = {role: self._footage(s, claims[s.id]) for role, s in streams.items()}
        main, sub = footage.get(StreamRole.MAIN), footage.get(StreamRole.SUB)
        leading = main or sub
        assert leading is not None
        others = own_claims(self.orm, leading.stream_id, self._earliest(), self.until_us)
        due = due_time(self.facts, self.until_us, self.session.id, leading.stream_id, others)
        here = intersect(due.intervals, self._present(claims[leading.stream_id]))
        return CameraReport(
            camera.id,
            camera.name,
            room.id,
            room.name,
            tuple(
                medium_report(medium, here, main, sub, over=self.over)
                for medium in camera_media(footage.values())
            ),
            tuple(here),
            sub.stream_id if sub else None,
            tuple(
                (clip.session_id, part)
                for clip in due.clips
                for part in intersect([clip.interval], self._present(claims[leading.stream_id]))
            ),
        )

    def _earliest(self) -> int:
        return min(
            self.facts.planned_from_us - self.facts.lead_in_us,
            self.facts.started_us or FAR_OFF,
            self.facts.first_event_us or FAR_OFF,
        )

    def _present(self, claims: list[Claim]) -> list[Interval]:
        """Say when the session was where this stream looks, by the bookings that claimed it.

        A room of the first bookings counts from the due start on, whatever was claimed; a room
        entered later, or a camera that came later, from its claim on.
        """
        bookings = {booking.id: booking for booking in self.session.bookings}
        first_made = min(
            (c.made_us for c in standing(self.session) if c.booking_id), default=LONG_AGO
        )
        if all(claim.booking_id is None for claim in claims):
            # Claimed by hand only: nothing was due of it but what was claimed.
            return [Interval(claim.from_us, claim.to_us or FAR_OFF) for claim in claims]
        windows: list[Interval] = []
        for claim in claims:
            booking = bookings.get(claim.booking_id or "")
            if booking is None:
                continue
            from_start = claim.made_us == first_made and self._is_first(booking)
            start = LONG_AGO if from_start else claim.from_us
            end = FAR_OFF if booking.left_us is None else booking.left_us
            if end > start:
                windows.append(Interval(start, end))
        return windows

    def _is_first(self, booking: Booking) -> bool:
        return booking.from_us <= self.session.planned_from_us

    def _footage(self, stream: Stream, claims: list[Claim]) -> Footage:
        spans = [
            Interval(claim.from_us, end)
            for claim in claims
            if (end := min(claim.to_us or self.until_us, self.until_us)) > claim.from_us
        ]
        found = {
            row for span in spans for row in spans_in(self.orm, stream.id, span.start, span.end)
        }
        media = self._media_of({init for _, _, init in found})
        gaps: dict[int, NotedGap] = {}
        for span in spans:
            for gap in gaps_in(self.orm, stream.id, span.start, span.end):
                medium = Medium(gap.medium) if gap.medium in set(Medium) else None
                gaps[gap.id] = NotedGap(Interval(gap.from_us, gap.to_us), gap.cause, medium)
        tracks = self.orm.scalars(select(Track.medium).where(Track.stream_id == stream.id))
        known = Footage(
            stream.id,
            tuple(spans),
            tuple(
                (Interval(start, end), media.get(init, frozenset()))
                for start, end, init in sorted(found)
                if end > start
            ),
            tuple(gaps.values()),
            frozenset(tracks),
        )
        return self._with_what_is_open(known) if self.provisional else known

    def _media_of(self, inits: Iterable[str]) -> dict[str, frozenset[Medium]]:
        rows = self.orm.execute(select(Init.id, Init.tracks).where(Init.id.in_(set(inits))))
        return {key: frozenset(Medium(t["medium"]) for t in tracks) for key, tracks in rows}

    def _with_what_is_open(self, footage: Footage) -> Footage:
        """Add what the recorder says of the segment it still writes, or of a silence."""
        status = self.orm.get(StreamStatus, footage.stream_id)
        if status is None or status.last_us is None:
            return footage
        committed = committed_until(self.orm, footage.stream_id)
        if status.state in (Health.OK, Health.DEGRADED):
            begins = max(status.since_us, committed)
            fresh = self.now_us - status.last_us <= FRESH_US
            end = max(status.last_us, self.until_us) if fresh else status.last_us
            media = footage.media or frozenset({Medium.PICTURE})
            if end > begins:
                open_ = (Interval(begins, end), media)
                return replace(footage, segments=(*footage.segments, open_))
            return footage
        begins = max(status.last_us, committed)
        if self.until_us > begins:
            cause = status.cause or GapCause.OFFLINE
            silent = NotedGap(Interval(begins, self.until_us), cause)
            return replace(footage, gaps=(*footage.gaps, silent))
        return footage
