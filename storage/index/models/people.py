"""Users, logins, what they were allowed to see, what they saw and did."""

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import (
    Base,
    Id,
    Json,
    Long,
    Number,
    Text_,
    Us,
    ref,
    word,
    word_type,
)
from bidwitness.words import GrantKind, Medium, Role


class User(Base):
    __tablename__ = "users"
    id: Mapped[Id]
    username: Mapped[str] = mapped_column(String(120), unique=True)
    name: Mapped[Text_]
    password_hash: Mapped[Text_]
    must_change_password: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_us: Mapped[Us]
    roles: Mapped[list["UserRole"]] = relationship()


class UserRole(Base):
    __tablename__ = "user_roles"
    user_id: Mapped[str] = ref("users", primary_key=True, index=False)
    role: Mapped[Role] = mapped_column(word_type(Role), primary_key=True)


class Login(Base):
    """A sign-in. The cookie's token is kept only as its SHA-256."""

    __tablename__ = "logins"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_us: Mapped[Us]
    seen_us: Mapped[Us]
    expires_us: Mapped[Us]
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[Text_ | None]
    ended_us: Mapped[Us | None]


class Grant(Base):
    """A right to see or copy, for one user: media × actions, of a session or streams, in a time."""

    __tablename__ = "grants"
    id: Mapped[Id]
    kind: Mapped[GrantKind] = word(GrantKind)
    user_id: Mapped[str] = ref("users")
    session_id: Mapped[str | None] = ref("sessions")
    # The footage it covers; empty: the session's claims.
    from_us: Mapped[Us | None]
    to_us: Mapped[Us | None]
    media: Mapped[Json]
    actions: Mapped[Json]
    reason: Mapped[Text_]
    document_no: Mapped[str | None] = mapped_column(String(200))
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    expires_us: Mapped[Us | None]
    revoked_us: Mapped[Us | None]


class RegisterEntry(Base):
    """A row of the access and copy register (调阅登记): reason, content, person, unit."""

    __tablename__ = "register_entries"
    id: Mapped[Number]
    grant_id: Mapped[str] = ref("grants")
    at_us: Mapped[Us]
    person: Mapped[Text_]
    unit: Mapped[Text_ | None]
    content: Mapped[Long]
    reason: Mapped[Text_]


class Playback(Base):
    """One person's opened viewing; checked again at every request."""

    __tablename__ = "playbacks"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    session_id: Mapped[str | None] = ref("sessions")
    grant_id: Mapped[str | None] = ref("grants", index=False)
    from_us: Mapped[Us]
    # Empty: up to now, while the session still records.
    to_us: Mapped[Us | None]
    opened_us: Mapped[Us]
    closed_us: Mapped[Us | None]
    streams: Mapped[list["PlaybackStream"]] = relationship()


class PlaybackStream(Base):
    __tablename__ = "playback_streams"
    playback_id: Mapped[str] = ref("playbacks", primary_key=True, index=False)
    stream_id: Mapped[str] = ref("streams", primary_key=True)
    medium: Mapped[Medium] = mapped_column(word_type(Medium), primary_key=True)


class AuditEntry(Base):
    """Who did or saw what, when, from where, why. Rows are only ever added (a trigger refuses more)."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_at", "at_us"),)
    id: Mapped[Number]
    at_us: Mapped[Us]
    user_id: Mapped[str | None] = ref("users")
    who: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(64))
    # What it was done to: "session:ID", "stream:ID", …
    subject: Mapped[str] = mapped_column(String(200), index=True)
    allowed: Mapped[bool]
    address: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[Text_ | None]
    facts: Mapped[Json | None]


class Layout(Base):
    """A wall's arrangement of tiles, kept for a user or shared with a role."""

    __tablename__ = "layouts"
    id: Mapped[Id]
    user_id: Mapped[str | None] = ref("users")
    role: Mapped[Role | None] = word(Role)
    name: Mapped[Text_]
    body: Mapped[Json]
    changed_us: Mapped[Us]
