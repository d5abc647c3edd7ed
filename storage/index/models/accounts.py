"""What a person signs in with, what acts in her name, and what several people have to agree to."""

from sqlalchemy import LargeBinary, String, UniqueConstraint
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
from bidwitness.words import ApprovalState, LoginWay


class OldPassword(Base):
    """A password that somebody had before, as its hash: it may not be taken again."""

    __tablename__ = "old_passwords"
    id: Mapped[Number]
    user_id: Mapped[str] = ref("users")
    password_hash: Mapped[Text_]
    ended_us: Mapped[Us]


class KnownDevice(Base):
    """A browser that somebody has signed in with; strangers' failures do not count against it."""

    __tablename__ = "known_devices"
    __table_args__ = (UniqueConstraint("user_id", "token_sha256"),)
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users", index=False)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    seen_us: Mapped[Us]


class HalfLogin(Base):
    """A password was given and the second factor is awaited. It opens nothing."""

    __tablename__ = "half_logins"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    made_us: Mapped[Us]
    failures: Mapped[int] = mapped_column(default=0)
    challenge: Mapped[bytes | None] = mapped_column(LargeBinary(64))
    ended_us: Mapped[Us | None]
    way: Mapped[LoginWay] = mapped_column(word_type(LoginWay), default=LoginWay.PASSWORD)


class OidcLink(Base):
    """Whom the OpenID provider means by a subject: one account of ours, and it has no other."""

    __tablename__ = "oidc_links"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    user_id: Mapped[str] = ref("users", primary_key=True, index=False)
    issuer: Mapped[Text_]
    subject: Mapped[str] = mapped_column(String(255))
    # What she is called there; shown, and nothing hangs on it.
    label: Mapped[str] = mapped_column(String(120))
    linked_us: Mapped[Us]
    used_us: Mapped[Us | None]


class Authenticator(Base):
    """A program that makes one-time codes (TOTP); it counts from when a code of it was given."""

    __tablename__ = "authenticators"
    user_id: Mapped[str] = ref("users", primary_key=True, index=False)
    secret: Mapped[bytes] = mapped_column(LargeBinary(200))
    made_us: Mapped[Us]
    confirmed_us: Mapped[Us | None]
    # The newest step whose code was taken: it and all before it are spent.
    last_step: Mapped[Us]


class SecurityKey(Base):
    """A WebAuthn credential."""

    __tablename__ = "security_keys"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    name: Mapped[str] = mapped_column(String(120))
    credential: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(2000))
    sign_count: Mapped[Us]
    # The host it was registered under, which it answers to alone.
    site: Mapped[str] = mapped_column(String(255))
    transports: Mapped[Json]
    made_us: Mapped[Us]
    used_us: Mapped[Us | None]


class RecoveryCode(Base):
    """A code on paper that serves once in place of a second factor, as its SHA-256."""

    __tablename__ = "recovery_codes"
    id: Mapped[Number]
    user_id: Mapped[str] = ref("users")
    code_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    used_us: Mapped[Us | None]


class ApiToken(Base):
    """A program's right to act for somebody, within a scope and a time. Kept as its SHA-256."""

    __tablename__ = "api_tokens"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    name: Mapped[str] = mapped_column(String(40))
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    # Empty: all areas.
    areas: Mapped[Json]
    read_only: Mapped[bool]
    made_us: Mapped[Us]
    expires_us: Mapped[Us]
    used_us: Mapped[Us | None]
    used_from: Mapped[str | None] = mapped_column(String(64))
    revoked_us: Mapped[Us | None]
    # From where it may be used (CIDR); empty: from anywhere.
    networks: Mapped[Json] = mapped_column(default=list)
    # When it was last used from elsewhere.
    refused_us: Mapped[Us | None]


class Approval(Base):
    """An act that one person wants and others have to agree to, word for word."""

    __tablename__ = "approvals"
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    # Canonical JSON, as text: what was hashed is what is kept.
    content: Mapped[Long]
    content_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    reason: Mapped[Text_]
    state: Mapped[ApprovalState] = word(ApprovalState)
    requested_us: Mapped[Us]
    requested_by: Mapped[str] = ref("users")
    requester_roles: Mapped[Json]
    expires_us: Mapped[Us]
    # When enough had agreed, and from when on it may be carried out.
    ready_us: Mapped[Us | None]
    executed_us: Mapped[Us | None]
    executed_by: Mapped[str | None] = ref("users", index=False)
    votes: Mapped[list["ApprovalVote"]] = relationship(order_by="ApprovalVote.place")


class ApprovalVote(Base):
    """One person's word on an approval, for exactly the content of this digest."""

    __tablename__ = "approval_votes"
    approval_id: Mapped[str] = ref("approvals", primary_key=True, index=False)
    user_id: Mapped[str] = ref("users", primary_key=True)
    # Who spoke first, second, third: two may speak in one tick of the clock.
    place: Mapped[int]
    agreed: Mapped[bool]
    roles: Mapped[Json]
    opinion: Mapped[Text_ | None]
    at_us: Mapped[Us]
    content_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
