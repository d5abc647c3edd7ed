"""The forms of sessions in requests and answers."""

from typing import Annotated, Any

from pydantic import Field

from bidwitness.api.schemas import Answer, Body, IdText, Name, Reason, Short, Text, Us
from bidwitness.storage.index.models import Claim, Session
from bidwitness.storage.ledger.proving import LogPosition
from bidwitness.storage.sessions.plan import NewBooking, NewItem, NewSession
from bidwitness.storage.sessions.views import Details, SessionView
from bidwitness.words import (
    BookingRole,
    ClaimClass,
    Condition,
    Outcome,
    Relation,
    SessionKind,
    SessionState,
)

From = Annotated[Us, Field(alias="from")]
OptionalFrom = Annotated[Us | None, Field(alias="from")]
AnswerFrom = Annotated[int, Field(serialization_alias="from")]
AnswerOptionalFrom = Annotated[int | None, Field(serialization_alias="from")]


class ItemBody(Body):
    project_code: Name
    lot_code: Name | None = None
    from_: OptionalFrom = None
    to: Us | None = None

    def new(self) -> NewItem:
        return NewItem(self.project_code, self.lot_code, self.from_, self.to)


class BookingBody(Body):
    room_id: IdText
    seat_ids: Annotated[tuple[IdText, ...], Field(max_length=200)] = ()
    from_: From
    to: Us
    role: BookingRole = BookingRole.MAIN

    def new(self) -> NewBooking:
        return NewBooking(self.room_id, self.from_, self.to, self.role, self.seat_ids)


Items = Annotated[list[ItemBody], Field(max_length=200)]
Bookings = Annotated[list[BookingBody], Field(max_length=50)]


class SessionBody(Body):
    items: Items
    kind: SessionKind
    bookings: Bookings
    classified: bool = False

    def new(self) -> NewSession:
        return NewSession(
            items=tuple(item.new() for item in self.items),
            kind=self.kind,
            bookings=tuple(booking.new() for booking in self.bookings),
            classified=self.classified,
        )


class Seen(Body):
    """``version``: the session's version that the caller saw; another one is refused."""

    version: Annotated[int, Field(ge=1)] | None = None


class StartBody(Seen):
    takes_over: IdText | None = None


class ConditionBody(Seen):
    reason: Text | None = None
    decided_by: Name | None = None
    document_no: Short | None = None


class ExtendBody(Seen):
    planned_to: Us


class MoveBody(Seen):
    bookings: Bookings
    reason: Reason | None = None


class EndBody(Seen):
    outcome: Outcome | None = None


class CancelBody(Seen):
    reason: Text | None = None


class ClaimBody(Seen):
    stream_ids: Annotated[list[IdText], Field(min_length=1, max_length=500)]
    from_: From
    # Up to what the session has already, if not given.
    to: Us | None = None
    reason: Reason


class RelationBody(Body):
    other_id: IdText
    kind: Relation


class ChangeBody(Seen):
    items: Items | None = None
    kind: SessionKind | None = None
    bookings: Bookings | None = None
    reason: Reason


class ItemAnswer(Answer):
    project_code: str
    project_name: str
    lot_id: str
    lot_code: str
    lot_name: str
    from_: AnswerOptionalFrom
    to: int | None


class BookingAnswer(Answer):
    room_id: str
    room_name: str
    seat_ids: list[str]
    from_: AnswerFrom
    to: int
    role: BookingRole
    left_at: int | None


class DueAnswer(Answer):
    from_: AnswerFrom
    to: int


class SessionAnswer(Answer):
    id: str
    state: SessionState
    condition: Condition
    kind: SessionKind
    outcome: Outcome | None
    items: list[ItemAnswer]
    bookings: list[BookingAnswer]
    planned_from: int
    planned_to: int
    started_at: int | None
    ended_at: int | None
    undo_until: int | None
    sealed_at: int | None
    # Recorded ÷ due, 0 to 1, rounded down: 1 is without a gap.
    coverage: float | None
    gaps: int
    due: DueAnswer | None
    version: int


class SessionPage(Answer):
    items: list[SessionAnswer]
    next_cursor: str | None


class ClaimAnswer(Answer):
    id: str
    stream_id: str
    klass: Annotated[ClaimClass, Field(serialization_alias="class")]
    from_: AnswerFrom
    to: int | None
    reason: str | None
    made_at: int
    made_by: str


class ClaimsAnswer(Answer):
    items: list[ClaimAnswer]


class ConditionAnswer(Answer):
    condition: Condition
    at: int
    reason: str | None
    decided_by: str | None
    document_no: str | None


class RelationAnswer(Answer):
    session_id: str
    other_id: str
    kind: Relation


class SessionAlarm(Answer):
    id: str
    kind: str
    cause: str | None
    raised_at: int


class LogAnswer(Answer):
    """Where the close record stands. ``covered``: its footage is covered by signed epochs too."""

    shard: str
    position: int
    checkpoint_at: int
    # SHA-256 of the public key that signs this shard of the log.
    key: str
    covered: bool


class OneSessionAnswer(SessionAnswer):
    created_at: int
    created_by: str
    claims: list[ClaimAnswer]
    conditions: list[ConditionAnswer]
    relations: list[RelationAnswer]
    alarms: list[SessionAlarm]
    log: LogAnswer | None
    # The commands that this state knows; a role may still not give them.
    possible: list[str]
    # Per camera and medium: what was due, what is recorded, every gap with its cause.
    cameras: list[dict[str, Any]]


def session_answer(view: SessionView) -> SessionAnswer:
    """Give a session's line in the list."""
    return SessionAnswer(**_line(view))


def one_session_answer(view: SessionView, details: Details) -> OneSessionAnswer:
    """Give all that the page of one session shows."""
    session = view.session
    return OneSessionAnswer(
        **_line(view),
        created_at=session.created_us,
        created_by=session.created_by,
        claims=claim_answers(session.claims),
        conditions=[
            ConditionAnswer(
                condition=row.condition,
                at=row.at_us,
                reason=row.reason,
                decided_by=row.decided_by,
                document_no=row.document_no,
            )
            for row in details.conditions
        ],
        relations=[
            RelationAnswer(session_id=row.session_id, other_id=row.other_id, kind=row.kind)
            for row in details.relations
        ],
        alarms=[
            SessionAlarm(id=row.id, kind=row.kind, cause=row.cause, raised_at=row.raised_us)
            for row in details.alarms
        ],
        log=_log_answer(details.log),
        possible=list(details.possible),
        cameras=list(view.report["cameras"]),
    )


def _log_answer(found: LogPosition | None) -> LogAnswer | None:
    if found is None:
        return None
    return LogAnswer(
        shard=found.shard,
        position=found.position,
        checkpoint_at=found.checkpoint_us,
        key=found.key,
        covered=found.covered,
    )


def claim_answers(claims: list[Claim]) -> list[ClaimAnswer]:
    """Give the claims that have not been withdrawn, as answered."""
    return [
        ClaimAnswer(
            id=row.id,
            stream_id=row.stream_id,
            klass=row.klass,
            from_=row.from_us,
            to=row.to_us,
            reason=row.reason,
            made_at=row.made_us,
            made_by=row.made_by,
        )
        for row in sorted(claims, key=lambda c: (c.from_us, c.stream_id))
        if row.withdrawn_us is None
    ]


def _line(view: SessionView) -> dict[str, Any]:
    session: Session = view.session
    due = view.due
    return {
        "id": session.id,
        "state": session.state,
        "condition": session.condition,
        "kind": session.kind,
        "outcome": session.outcome,
        "items": [
            ItemAnswer(
                project_code=item.project_code,
                project_name=item.project_name,
                lot_id=item.lot_id,
                lot_code=item.lot_code,
                lot_name=item.lot_name,
                from_=item.from_us,
                to=item.to_us,
            )
            for item in view.items
        ],
        "bookings": [
            BookingAnswer(
                room_id=row.room_id,
                room_name=view.rooms[row.room_id],
                seat_ids=list(row.seat_ids),
                from_=row.from_us,
                to=row.to_us,
                role=row.role,
                left_at=row.left_us,
            )
            for row in sorted(session.bookings, key=lambda b: (b.from_us, b.id))
        ],
        "planned_from": session.planned_from_us,
        "planned_to": session.planned_to_us,
        "started_at": session.started_us,
        "ended_at": session.ended_us,
        "undo_until": session.undo_until_us,
        "sealed_at": session.sealed_us,
        "coverage": view.coverage,
        "gaps": view.gaps,
        "due": DueAnswer(from_=due.start, to=due.end) if due else None,
        "version": session.version,
    }
