"""Read from the index what a session's report is made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness import claims as pure
from bidwitness.config import Settings
from bidwitness.coverage import DueFacts, due_time
from bidwitness.intervals import Interval, intersect
from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Claim,
    Event,
    Room,
    Session,
    Stream,
)
from bidwitness.storage.index.reach import USUAL_CLAIM_US, reaches_into
from bidwitness.storage.sessions.loading import as_claim, margins, standing
from bidwitness.storage.sessions.reading import read_committed, with_what_is_open
from bidwitness.storage.sessions.report import (
    CameraReport,
    Footage,
    Report,
    camera_media,
    medium_report,
)
from bidwitness.words import ClaimClass, SessionState, StreamRole

# What the trading systems report of the business itself; the platform's own events do not count.
BUSINESS = "business."
# Of the last moments of a running session nothing can be known yet.
LAG_US = 5_000_000
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
    return _due_interval(due_facts(orm, settings, session), session, now_us)


def _due_interval(facts: DueFacts, session: Session, now_us: int) -> Interval | None:
    until = session.planned_to_us if session.state == SessionState.SCHEDULED else now_us
    times = due_time(facts, until, session.id, "", ()).intervals
    return times[0] if times else None


def known_until(session: Session, now_us: int) -> int:
    """Say up to when a session's footage is known: of its last moments nothing is, while it records."""
    return now_us if session.ended_us is not None else now_us - LAG_US


def session_report(
    orm: Orm,
    settings: Settings,
    session: Session,
    now_us: int,
    *,
    provisional: bool = True,
    committed: Mapping[str, Footage] | None = None,
) -> Report:
    """Compute a session's coverage and gaps, as far as the index knows now.

    While it records, the last moments before now are not counted. ``provisional`` adds what the
    recorder says of the segments it still writes; without it only what is committed counts.
    ``committed``: what ``read_committed`` gives of its claims, for whoever has it already.
    """
    if session.state == SessionState.CANCELLED:
        return Report(None)
    facts = due_facts(orm, settings, session)
    due = _due_interval(facts, session, now_us)
    if session.state in _PLANNED or due is None:
        return Report(due)
    reader = _Reader(orm, session, facts, now_us, provisional, committed)
    return Report(due, tuple(reader.cameras()))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one session's footage, camera by camera. ``provisional``: also what is not committed."""

    orm: Orm
    session: Session
    facts: DueFacts
    now_us: int
    provisional: bool
    committed: Mapping[str, Footage] | None

    @property
    def over(self) -> bool:
        return self.session.ended_us is not None

    @property
    def until_us(self) -> int:
        return known_until(self.session, self.now_us)

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
        by_camera: dict[str, tuple[Camera, Room, dict[StreamRole, str]]] = {}
        for stream, camera, room in self.orm.execute(query):
            by_camera.setdefault(camera.id, (camera, room, {}))[2][stream.role] = stream.id
        footage = self._footage(claims)
        others = self._others(claims)
        return [
            self._camera(camera, room, streams, claims, footage, others)
            for camera, room, streams in by_camera.values()
        ]

    def _footage(self, claims: Mapping[str, Sequence[Claim]]) -> dict[str, Footage]:
        found = self.committed
        if found is None:
            found = read_committed(self.orm, claims, self.until_us)
        if not self.provisional:
            return dict(found)
        return with_what_is_open(self.orm, found, self.until_us, self.now_us)

    def _others(self, streams: Iterable[str]) -> dict[str, list[pure.Claim]]:
        """Give what other sessions own of the streams, which is not due from this one."""
        rows = self.orm.scalars(
            select(Claim)
            .where(
                Claim.stream_id.in_(list(streams)),
                Claim.session_id != self.session.id,
                Claim.klass == ClaimClass.OWN,
                Claim.withdrawn_us.is_(None),
                reaches_into(
                    Claim.from_us,
                    Claim.to_us,
                    self._earliest(),
                    self._latest(),
                    usual_us=USUAL_CLAIM_US,
                    open_ended=True,
                ),
            )
            .order_by(Claim.from_us)
        )
        found: dict[str, list[pure.Claim]] = {}
        for row in rows:
            found.setdefault(row.stream_id, []).append(as_claim(row))
        return found

    def _camera(
        self,
        camera: Camera,
        room: Room,
        streams: dict[StreamRole, str],
        claims: dict[str, list[Claim]],
        footage: dict[str, Footage],
        all_others: dict[str, list[pure.Claim]],
    ) -> CameraReport:
        main = footage.get(streams.get(StreamRole.MAIN, ""))
        sub = footage.get(streams.get(StreamRole.SUB, ""))
        leading = main or sub
        assert leading is not None
        others = all_others.get(leading.stream_id, [])
        due = due_time(self.facts, self.until_us, self.session.id, leading.stream_id, others)
        here = intersect(due.intervals, self._present(claims[leading.stream_id]))
        return CameraReport(
            camera.id,
            camera.name,
            room.id,
            room.name,
            tuple(
                medium_report(medium, here, main, sub, over=self.over)
                for medium in camera_media([f for f in (main, sub) if f])
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

    def _latest(self) -> int:
        """Where the due time ends at the latest: what others own after it is not asked for."""
        end = self.session.ended_us
        return self.until_us if end is None else max(end, self.facts.last_event_us or end)

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
