"""Users, logins, what they were allowed to see, what they saw and did."""

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import (
    Base,
    BigInt,
    Id,
    Json,
    Long,
    Number,
    Text_,
    Us,
    number_ref,
    ref,
    word,
    word_type,
)
from bidwitness.words import AccountKind, Factor, GrantKind, LoginWay, Medium, RegisterKind, Role


class User(Base):
    __tablename__ = "users"
    id: Mapped[Id]
    username: Mapped[str] = mapped_column(String(120), unique=True)
    name: Mapped[Text_]
    password_hash: Mapped[Text_]
    must_change_password: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_us: Mapped[Us]
    password_set_us: Mapped[Us] = mapped_column(default=0)
    kind: Mapped[AccountKind] = mapped_column(word_type(AccountKind), default=AccountKind.PERSON)
    # The person who is answerable for a service account.
    owner_id: Mapped[str | None] = ref("users", index=False)
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
    # What was given besides the password, if anything was.
    factor: Mapped[Factor | None] = word(Factor)
    way: Mapped[LoginWay] = mapped_column(word_type(LoginWay), default=LoginWay.PASSWORD)
    # The nonce of a security key's registration that is under way; each serves once.
    challenge: Mapped[bytes | None] = mapped_column(LargeBinary(64))
    challenge_us: Mapped[Us | None]
    # The registered display that she signed in on: it is good there alone.
    display_id: Mapped[str | None] = ref("displays")


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
    # The supervising department agrees to what is secret still.
    department_us: Mapped[Us | None]
    department_by: Mapped[str | None] = mapped_column(String(120))
    # Empty: all streams of the session.
    stream_ids: Mapped[Json | None]
    # How often a viewing may be opened by it; empty: as often as one likes until it ends.
    views: Mapped[int | None]
    # What several people agreed to.
    approval_id: Mapped[str | None] = ref("approvals")
    # Known to these user names alone, and to the director and the audit administrator.
    confidential: Mapped[bool] = mapped_column(default=False)
    officers: Mapped[Json] = mapped_column(default=list)


class GrantUse(Base):
    """A viewing that was opened by a grant with a number of views: it took one of them."""

    __tablename__ = "grant_uses"
    grant_id: Mapped[str] = ref("grants", primary_key=True, index=False)
    playback_id: Mapped[str] = ref("playbacks", primary_key=True)
    at_us: Mapped[Us]


class RegisterEntry(Base):
    """A row of the access and copy register (调阅登记). Rows are only ever added (a trigger refuses
    more).

    A numbered row is a grant or a refusal; what comes of it later are rows ``about`` it. ``facts``
    has what the columns, which are there to be searched, have not.
    """

    __tablename__ = "register_entries"
    __table_args__ = (UniqueConstraint("number"), Index("ix_register_entries_at", "at_us"))
    id: Mapped[Number]
    kind: Mapped[RegisterKind] = word(RegisterKind)
    # Counted within the year, without holes.
    number: Mapped[str | None] = mapped_column(String(16))
    about_id: Mapped[int | None] = number_ref("register_entries", index=True)
    grant_id: Mapped[str | None] = ref("grants")
    session_id: Mapped[str | None] = ref("sessions")
    at_us: Mapped[Us]
    # Who wrote it.
    by: Mapped[str] = mapped_column(String(120))
    person: Mapped[Text_]
    unit: Mapped[Text_ | None]
    case_no: Mapped[str | None] = mapped_column(String(200))
    document_no: Mapped[str | None] = mapped_column(String(200))
    content: Mapped[Long]
    reason: Mapped[Text_]
    confidential: Mapped[bool] = mapped_column(default=False)
    officers: Mapped[Json] = mapped_column(default=list)
    facts: Mapped[Json | None]


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


class PlaybackTicket(Base):
    """An address by which a player outside the browser opens a playback, for some minutes.

    Kept as its SHA-256; good while the login it was made by is, and from the same address alone.
    """

    __tablename__ = "playback_tickets"
    id: Mapped[Id]
    playback_id: Mapped[str] = ref("playbacks")
    login_id: Mapped[str] = ref("logins", index=False)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    address: Mapped[str] = mapped_column(String(64))
    made_us: Mapped[Us]
    expires_us: Mapped[Us]
    used_us: Mapped[Us | None]
    revoked_us: Mapped[Us | None]


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


class AuditRound(Base):
    """One walk of the audit trail against the log, and what it found.

    ``wanted_us``: a person asked for it; ``begun_us``, ``ended_us``: empty until then. ``faults``:
    how many findings no honest run leaves; ``findings``: all of them, as far as there is room.
    """

    __tablename__ = "audit_rounds"
    id: Mapped[Number]
    wanted_us: Mapped[Us | None]
    wanted_by: Mapped[str | None] = mapped_column(String(120))
    begun_us: Mapped[Us | None]
    ended_us: Mapped[Us | None]
    looked_at: Mapped[int] = mapped_column(BigInt, default=0)
    faults: Mapped[int] = mapped_column(default=0)
    findings: Mapped[Json]


class Layout(Base):
    """A wall's arrangement of tiles, kept for a user or shared with a role."""

    __tablename__ = "layouts"
    id: Mapped[Id]
    user_id: Mapped[str | None] = ref("users")
    role: Mapped[Role | None] = word(Role)
    name: Mapped[Text_]
    body: Mapped[Json]
    changed_us: Mapped[Us]
