"""Events, markers, steps and alarms."""

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from bidwitness.storage.index.models.base import Base, Id, Json, Long, Number, Text_, Us, ref, word
from bidwitness.words import MarkerAudience


class Event(Base):
    """Something a system reported: a state change, a clock step, a door, a score submitted."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_session_at", "session_id", "at_us"),)
    id: Mapped[Number]
    session_id: Mapped[str | None] = ref("sessions", index=False)
    room_id: Mapped[str | None] = ref("rooms")
    stream_id: Mapped[str | None] = ref("streams")
    at_us: Mapped[Us]
    kind: Mapped[str] = mapped_column(String(64))
    text: Mapped[Long | None]
    facts: Mapped[Json | None]
    source: Mapped[str] = mapped_column(String(120))


class Marker(Base):
    """What a person notes at an instant. Taken back, it is shown no more; the row stays."""

    __tablename__ = "markers"
    __table_args__ = (Index("ix_markers_session_at", "session_id", "at_us"),)
    id: Mapped[Id]
    session_id: Mapped[str | None] = ref("sessions", index=False)
    room_id: Mapped[str | None] = ref("rooms")
    at_us: Mapped[Us]
    text: Mapped[Long]
    reason: Mapped[Text_ | None]
    author: Mapped[str] = mapped_column(String(120))
    audience: Mapped[MarkerAudience] = word(MarkerAudience)
    made_us: Mapped[Us]
    removed_us: Mapped[Us | None]
    remove_reason: Mapped[Text_ | None]


class Step(Base):
    """One step of the attestor's record (见证记录)."""

    __tablename__ = "steps"
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    position: Mapped[int]
    name: Mapped[Text_]
    planned_us: Mapped[Us | None]
    actual_us: Mapped[Us | None]
    late: Mapped[bool | None]
    regular: Mapped[bool | None]
    note: Mapped[Long | None]
    signer: Mapped[str | None] = mapped_column(String(120))
    signed_us: Mapped[Us | None]


class Alarm(Base):
    """At most one open alarm a (kind, subject): raising it again changes nothing."""

    __tablename__ = "alarms"
    __table_args__ = (
        Index("ix_alarms_open", "kind", "subject", "cleared_us"),
        Index("ix_alarms_told", "told"),
        # Two processes that notice the same thing at once make one alarm of it.
        Index(
            "uq_alarms_open",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("cleared_us IS NULL"),
            postgresql_where=text("cleared_us IS NULL"),
        ),
    )
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(64))
    # What it is about: "stream:ID", "session:ID", "volume:NAME", "store".
    subject: Mapped[str] = mapped_column(String(120))
    # Why, in English for logs and mail; ``facts`` says the same for the pages to word.
    cause: Mapped[Text_ | None]
    facts: Mapped[Json | None]
    room_id: Mapped[str | None] = ref("rooms")
    raised_us: Mapped[Us]
    cleared_us: Mapped[Us | None]
    acknowledged_us: Mapped[Us | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String(120))
    # Which of its two moments have been handed to whoever is told outside: none, raised, cleared.
    told: Mapped[str | None] = mapped_column(String(16))
