"""Gather from index and log what a recording evidence report says of a session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness import __version__
from bidwitness.config import Settings
from bidwitness.errors import Conflict, NotFound
from bidwitness.intervals import Interval
from bidwitness.storage.evidence.records import read_record
from bidwitness.storage.evidence.session_records import (
    CloseFacts,
    CoverageFacts,
    HeadFacts,
    SupplementFacts,
)
from bidwitness.storage.evidence_report.circumstances import (
    access_to,
    keys_of,
    log_facts,
    states_in,
)
from bidwitness.storage.evidence_report.facts import (
    KeyFacts,
    LotFacts,
    MediumFacts,
    MissingFacts,
    PlaceFacts,
    ProbeFacts,
    ReportFacts,
    RootFacts,
    SittingFacts,
    Span,
    StreamFacts,
    TakenOffFacts,
)
from bidwitness.storage.evidence_report.footage import NOT_PROBED, stream_facts
from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Item,
    Lot,
    Project,
    Room,
    Seat,
    Session,
    SessionRecord,
    Stream,
)
from bidwitness.storage.ledger.proving import log_position
from bidwitness.storage.sessions.named import facts_of
from bidwitness.words import SessionState

SEALED = (SessionState.SEALED, SessionState.ARCHIVED, SessionState.TRANSFERRED)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session's records end: its close, the newest statement of its footage, the last of
    all. Of a session without a supplement the first two are one."""

    close: CloseFacts
    newest: CloseFacts | SupplementFacts
    root: RootFacts

    def claimed(self, stream: str) -> list[Interval]:
        """Give when the session claims a stream."""
        return [Interval(c.start, c.end) for c in self.close.claims if c.stream == stream]

    @property
    def heads(self) -> tuple[HeadFacts, ...]:
        return self.newest.heads


def ended_of(orm: Orm, session_id: str) -> Ended:
    """Give how a sealed session's records end. Raises ``NotFound``, ``Conflict`` if it is not sealed."""
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    rows = orm.scalars(
        select(SessionRecord)
        .where(SessionRecord.session_id == session_id)
        .order_by(SessionRecord.seq)
    ).all()
    stated = [
        facts
        for row in rows
        if row.kind in (CloseFacts.T, SupplementFacts.T)
        and isinstance(facts := read_record(row.body.encode()), CloseFacts | SupplementFacts)
    ]
    close = next((facts for facts in stated if isinstance(facts, CloseFacts)), None)
    if session.state not in SEALED or close is None:
        raise Conflict("The session is not sealed yet: its evidence report follows the seal.")
    last = rows[-1]
    return Ended(close, stated[-1], RootFacts(last.seq, last.kind, last.leaf.hex()))


def gather(
    orm: Orm,
    settings: Settings,
    session_id: str,
    number: str,
    now_us: int,
    probes: Mapping[str, ProbeFacts],
    signer: KeyFacts,
) -> ReportFacts:
    """Give all that the report says. ``signer``: the key that will sign it.

    Raises as ``ended_of``, ``BadRecord`` if a record is not readable, ``DamageFound`` and
    ``ConfigError`` as the log's reading does.
    """
    ended = ended_of(orm, session_id)
    session = orm.get_one(Session, session_id)
    report: Mapping[str, Any] = session.report or {"due": None, "cameras": []}
    streams = _streams(orm, ended, probes)
    names = {name for stream in streams for name in stream.recorders}
    position = log_position(orm, session_id)
    began = min([c.start for c in ended.close.claims], default=ended.close.started)
    span = Interval(began, max(ended.close.ended, began + 1))
    return ReportFacts(
        number=number,
        made=now_us,
        site=settings.site,
        issuer=settings.name,
        software=f"BidWitness {__version__}",
        sitting=_sitting(orm, session, ended, report),
        open_streams=tuple(report.get("open", ())),
        media=_media(report, ended.newest.coverage),
        taken_off=_taken_off(report),
        streams=streams,
        root=ended.root,
        log=log_facts(settings, position),
        keys=(*keys_of(orm, settings, position, names), signer),
        states=states_in(orm, session_id, [s.stream for s in streams], names, span),
        access=access_to(orm, session_id, [s.stream for s in streams], span),
    )


def _sitting(orm: Orm, session: Session, ended: Ended, report: Mapping[str, Any]) -> SittingFacts:
    due = report["due"]
    return SittingFacts(
        session=session.id,
        kind=session.kind,
        state=session.state,
        outcome=session.outcome,
        lots=lots_of(orm, session.id),
        places=places_of(orm, session.id),
        planned=Span(session.planned_from_us, session.planned_to_us),
        started=ended.close.started,
        ended=ended.close.ended,
        sealed=ended.close.place.at,
        due=Span(due["from"], due["to"]) if due else None,
    )


def lots_of(orm: Orm, session_id: str) -> tuple[LotFacts, ...]:
    """Give the lots that a session is about, with their projects."""
    query = (
        select(Project.code, Project.name, Lot.code, Lot.name)
        .join(Lot, Lot.project_id == Project.id)
        .join(Item, Item.lot_id == Lot.id)
        .where(Item.session_id == session_id)
        .order_by(Project.code, Lot.code)
    )
    return tuple(
        LotFacts(project, name, lot, lot_name or "")
        for project, name, lot, lot_name in orm.execute(query)
    )


def places_of(orm: Orm, session_id: str) -> tuple[PlaceFacts, ...]:
    """Give the rooms and seats that are booked for a session, and when."""
    rows = orm.execute(
        select(Booking, Room)
        .join(Room, Room.id == Booking.room_id)
        .where(Booking.session_id == session_id)
        .order_by(Booking.from_us, Room.name)
    ).all()
    wanted = [seat for booking, _ in rows for seat in booking.seat_ids]
    seats = {
        row.id: row.name
        for row in orm.execute(select(Seat.id, Seat.name).where(Seat.id.in_(wanted)))
    }
    return tuple(
        PlaceFacts(
            room.name,
            room.kind,
            booking.role,
            tuple(seats.get(seat, seat) for seat in booking.seat_ids),
            booking.from_us,
            booking.left_us or booking.to_us,
        )
        for booking, room in rows
    )


def _media(report: Mapping[str, Any], coverage: Iterable[CoverageFacts]) -> tuple[MediumFacts, ...]:
    """Give each medium with the close's own figures: those a verifier computes again."""
    stated = {(item.stream, item.medium): item for item in coverage}
    found: list[MediumFacts] = []
    for camera in report["cameras"]:
        for medium in camera["media"]:
            figures = stated.get((medium["stream_id"], medium["medium"]))
            due = figures.due_us if figures else medium["due_us"]
            recorded = figures.recorded_us if figures else medium["recorded_us"]
            degraded = figures.degraded_us if figures else medium["degraded_us"]
            found.append(
                MediumFacts(
                    camera=camera["camera"],
                    room=camera["room"],
                    stream=medium["stream_id"],
                    medium=medium["medium"],
                    due_us=due,
                    recorded_us=recorded,
                    degraded_us=degraded,
                    gaps=medium["gap_count"],
                    missing=tuple(
                        MissingFacts(gap["from"], gap["to"], gap["cause"]) for gap in medium["gaps"]
                    ),
                )
            )
    return tuple(found)


def _taken_off(report: Mapping[str, Any]) -> tuple[TakenOffFacts, ...]:
    return tuple(
        TakenOffFacts(c["camera"], c["room"], clip["session_id"], clip["from"], clip["to"])
        for c in report["cameras"]
        for clip in c["clips"]
    )


def _streams(orm: Orm, ended: Ended, probes: Mapping[str, ProbeFacts]) -> tuple[StreamFacts, ...]:
    records = facts_of(orm, ended.heads)
    ids = list(dict.fromkeys(claim.stream for claim in ended.close.claims))
    query = (
        select(Stream, Camera, Room)
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .where(Stream.id.in_(ids))
        .order_by(Room.name, Camera.name, Stream.role)
    )
    return tuple(
        stream_facts(
            stream.id,
            (camera.name, room.name, stream.role),
            records.get(stream.id, []),
            ended.claimed(stream.id),
            probes.get(stream.id, NOT_PROBED),
        )
        for stream, camera, room in orm.execute(query)
    )


def streams_of(ended: Ended) -> Sequence[str]:
    """Name the streams that a session claims, each once."""
    return list(dict.fromkeys(claim.stream for claim in ended.close.claims))
