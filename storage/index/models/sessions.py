"""Sessions: sittings of lots in rooms, and the footage they claim."""

from sqlalchemy import Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import (
    Base,
    Id,
    Json,
    Number,
    Text_,
    Us,
    ref,
    word,
    word_type,
)
from bidwitness.words import (
    BookingRole,
    ClaimClass,
    Condition,
    Outcome,
    SessionKind,
    SessionState,
)
from bidwitness.words import Relation as RelationKind

# As in storage/index/reach.py.
_LONG_BOOKING = text("to_us - from_us > 86400000000")
_LONG = text("to_us IS NULL OR to_us - from_us > 86400000000")


class Session(Base):
    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_planned", "planned_from_us"),)
    id: Mapped[Id]
    kind: Mapped[SessionKind] = word(SessionKind)
    state: Mapped[SessionState] = mapped_column(word_type(SessionState), index=True)
    condition: Mapped[Condition] = word(Condition)
    outcome: Mapped[Outcome | None] = word(Outcome)
    # The bookings' earliest and latest.
    planned_from_us: Mapped[Us]
    planned_to_us: Mapped[Us]
    started_us: Mapped[Us | None]
    ended_us: Mapped[Us | None]
    # Until then `end` can be undone; `keep` seals after it.
    undo_until_us: Mapped[Us | None]
    sealed_us: Mapped[Us | None]
    # The close record's leaf in the site's log; empty until the log exists.
    log_position: Mapped[Us | None]
    # Due interval, coverage and gaps as they stood at the seal (storage/sessions/report.py).
    report: Mapped[Json | None]
    preflight: Mapped[Json | None]
    created_us: Mapped[Us]
    created_by: Mapped[str] = mapped_column(String(120))
    # Grows with every change: a writer who read an older one is refused.
    version: Mapped[int] = mapped_column(default=1)
    items: Mapped[list["Item"]] = relationship(back_populates="session")
    bookings: Mapped[list["Booking"]] = relationship(back_populates="session")
    claims: Mapped[list["Claim"]] = relationship(back_populates="session")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy reads a plain dict


class Item(Base):
    """A lot dealt with in a session; without times, for the whole of it."""

    __tablename__ = "items"
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    lot_id: Mapped[str] = ref("lots")
    from_us: Mapped[Us | None]
    to_us: Mapped[Us | None]
    session: Mapped[Session] = relationship(back_populates="items")


class Booking(Base):
    __tablename__ = "bookings"
    __table_args__ = (
        Index("ix_bookings_room_from", "room_id", "from_us"),
        Index(
            "ix_bookings_long",
            *("room_id", "from_us"),
            sqlite_where=_LONG_BOOKING,
            postgresql_where=_LONG_BOOKING,
        ),
    )
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    room_id: Mapped[str] = ref("rooms", index=False)
    # Seats of the room; empty: the room as a whole.
    seat_ids: Mapped[Json]
    from_us: Mapped[Us]
    to_us: Mapped[Us]
    role: Mapped[BookingRole] = word(BookingRole)
    # When the session left this room (a move); its claims end there.
    left_us: Mapped[Us | None]
    session: Mapped[Session] = relationship(back_populates="bookings")


class ClassifiedInterval(Base):
    """A time in which a room's streams are not pulled (涉密), as two persons have approved it.

    Written by the approval alone, which also brings ``to_us`` forward when the business ends
    earlier; the recorder obeys it. ``register_no`` is all that the records hold of the matter.
    """

    __tablename__ = "classified_intervals"
    __table_args__ = (Index("ix_classified_intervals_room_to", "room_id", "to_us"),)
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    room_id: Mapped[str] = ref("rooms", index=False)
    from_us: Mapped[Us]
    to_us: Mapped[Us]
    register_no: Mapped[str] = mapped_column(String(100))


class ConditionChange(Base):
    __tablename__ = "condition_changes"
    id: Mapped[Number]
    session_id: Mapped[str] = ref("sessions")
    condition: Mapped[Condition] = word(Condition)
    at_us: Mapped[Us]
    reason: Mapped[Text_ | None]
    decided_by: Mapped[str | None] = mapped_column(String(120))
    document_no: Mapped[str | None] = mapped_column(String(200))


class SessionRelation(Base):
    __tablename__ = "session_relations"
    session_id: Mapped[str] = ref("sessions", primary_key=True, index=False)
    other_id: Mapped[str] = ref("sessions", primary_key=True)
    kind: Mapped[RelationKind] = mapped_column(word_type(RelationKind), primary_key=True)


class SessionRecord(Base):
    """A session's evidence record (open, claim, condition, close, …), chained per session."""

    __tablename__ = "session_records"
    __table_args__ = (UniqueConstraint("session_id", "seq"),)
    id: Mapped[Number]
    session_id: Mapped[str] = ref("sessions", index=False)
    seq: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    body: Mapped[str] = mapped_column(Text)
    at_us: Mapped[Us]


class Claim(Base):
    """(session, stream, from, to). Open while the session records: ``to_us`` is empty.

    At any instant at most one ``own`` claim holds a stream: an exclusion constraint on
    PostgreSQL, a check inside the BEGIN IMMEDIATE transaction on SQLite
    (``storage.index.claims``).
    """

    __tablename__ = "claims"
    __table_args__ = (
        Index("ix_claims_stream_from", "stream_id", "from_us"),
        Index("ix_claims_long", "stream_id", "from_us", sqlite_where=_LONG, postgresql_where=_LONG),
    )
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    stream_id: Mapped[str] = ref("streams", index=False)
    booking_id: Mapped[str | None] = ref("bookings", index=False)
    from_us: Mapped[Us]
    to_us: Mapped[Us | None]
    klass: Mapped[ClaimClass] = mapped_column("class", word_type(ClaimClass))
    reason: Mapped[Text_ | None]
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    # A claim is never removed: it is withdrawn (moved to another session, made by mistake).
    withdrawn_us: Mapped[Us | None]
    session: Mapped[Session] = relationship(back_populates="claims")
