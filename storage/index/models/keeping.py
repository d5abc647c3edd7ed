"""How long footage is kept, what forbids its removal, how it was removed, and what was made of it."""

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bidwitness.storage.index.models.base import (
    Base,
    BigInt,
    Id,
    Json,
    Long,
    Number,
    Text_,
    Us,
    ref,
    word,
)
from bidwitness.storage.index.models.footage import Locked
from bidwitness.words import (
    LockLevel,
    ProjectCategory,
    RoomKind,
    ScrubKind,
    SessionKind,
    StoreFaultKind,
    SurplusKind,
)


class RetentionPolicy(Base):
    """Loop days of a room kind, or years of a session kind and project category.

    An empty column means any. ``basis`` is the legal text it stands on.
    """

    __tablename__ = "retention_policies"
    __table_args__ = (UniqueConstraint("room_kind", "session_kind", "category"),)
    id: Mapped[Id]
    room_kind: Mapped[RoomKind | None] = word(RoomKind)
    session_kind: Mapped[SessionKind | None] = word(SessionKind)
    category: Mapped[ProjectCategory | None] = word(ProjectCategory)
    loop_days: Mapped[int | None]
    keep_years: Mapped[int | None]
    basis: Mapped[Text_ | None]
    changed_us: Mapped[Us]
    changed_by: Mapped[str] = mapped_column(String(120))


class Hold(Base):
    """Forbids deletion of a session's footage, or of streams in an interval, for a case."""

    __tablename__ = "holds"
    id: Mapped[Id]
    session_id: Mapped[str | None] = ref("sessions")
    stream_id: Mapped[str | None] = ref("streams")
    from_us: Mapped[Us | None]
    to_us: Mapped[Us | None]
    case_no: Mapped[str] = mapped_column(String(200))
    reason: Mapped[Long]
    placed_us: Mapped[Us]
    placed_by: Mapped[str] = mapped_column(String(120))
    released_us: Mapped[Us | None]
    released_by: Mapped[str | None] = mapped_column(String(120))
    release_reason: Mapped[Text_ | None]
    # Known to these user names alone, and to the director and the audit administrator.
    confidential: Mapped[bool] = mapped_column(default=False)
    officers: Mapped[Json] = mapped_column(default=list)


class LockTest(Base):
    """What the store did when its locks were tried (storage/store/lock_test.py).

    ``findings``: [{step, ok, said}], in the order of the steps.
    """

    __tablename__ = "lock_tests"
    id: Mapped[Number]
    at_us: Mapped[Us]
    level: Mapped[LockLevel] = word(LockLevel)
    passed: Mapped[bool]
    findings: Mapped[Json]


class SurplusVersion(Base):
    """A version in the store that the index does not name, or a delete marker, found by listing.

    ``same``: it has the very bytes of what is named. ``readable``: what it hides was read by its
    version and is what was kept. Both are empty until that was tried.
    """

    __tablename__ = "surplus_versions"
    __table_args__ = (
        UniqueConstraint("store_key", "store_version"),
        Index(
            "ix_surplus_versions_there",
            "id",
            sqlite_where=text("gone_us IS NULL"),
            postgresql_where=text("gone_us IS NULL"),
        ),
    )
    id: Mapped[Number]
    store_key: Mapped[Text_]
    store_version: Mapped[str] = mapped_column(String(200))
    kind: Mapped[SurplusKind] = word(SurplusKind)
    bytes: Mapped[int] = mapped_column(BigInt)
    # When it came to be, by the store's clock.
    changed_us: Mapped[Us | None]
    hides: Mapped[bool]
    same: Mapped[bool | None]
    readable: Mapped[bool | None]
    found_us: Mapped[Us]
    seen_us: Mapped[Us]
    gone_us: Mapped[Us | None]
    # A person has looked into it, and said what it is.
    accepted_us: Mapped[Us | None]
    accepted_by: Mapped[str | None] = mapped_column(String(120))
    accepted_reason: Mapped[Text_ | None]


class StoreWalk(Base):
    """One listing of the whole store, and how far it has come."""

    __tablename__ = "store_walks"
    id: Mapped[Number]
    begun_us: Mapped[Us]
    ended_us: Mapped[Us | None]
    # Which of the prefixes, and behind what of it; an empty key is its beginning.
    prefix: Mapped[int] = mapped_column(default=0)
    key: Mapped[Text_]
    version: Mapped[str] = mapped_column(String(200))
    looked_at: Mapped[int] = mapped_column(BigInt, default=0)


class ScrubRound(Base):
    """One round over all that the index says is stored, and how far it has come."""

    __tablename__ = "scrub_rounds"
    id: Mapped[Number]
    kind: Mapped[ScrubKind] = word(ScrubKind)
    begun_us: Mapped[Us]
    ended_us: Mapped[Us | None]
    # Behind which object of which table (``storage.keep.scrub``).
    place_table: Mapped[int] = mapped_column(default=0)
    place_id: Mapped[int] = mapped_column(BigInt, default=0)
    objects: Mapped[int] = mapped_column(BigInt, default=0)
    bytes: Mapped[int] = mapped_column(BigInt, default=0)
    faults: Mapped[int] = mapped_column(default=0)


class StoreFault(Base):
    """A version that the index named and that the store had lost or changed.

    ``mended_us``: since when the index names a good version in its place; ``mended_from``: whether
    that was found in the ``store``, put there from the ``spool`` or from ``reports``, or written
    again from the ``index``.
    """

    __tablename__ = "store_faults"
    __table_args__ = (
        UniqueConstraint("store_key", "store_version"),
        Index(
            "ix_store_faults_open",
            "id",
            sqlite_where=text("mended_us IS NULL"),
            postgresql_where=text("mended_us IS NULL"),
        ),
    )
    id: Mapped[Number]
    store_key: Mapped[Text_]
    store_version: Mapped[str] = mapped_column(String(200))
    kind: Mapped[StoreFaultKind] = word(StoreFaultKind)
    found_us: Mapped[Us]
    seen_us: Mapped[Us]
    mended_us: Mapped[Us | None]
    mended_from: Mapped[str | None] = mapped_column(String(16))


class Disposal(Base):
    __tablename__ = "disposals"
    id: Mapped[Id]
    session_id: Mapped[str] = ref("sessions")
    state: Mapped[str] = mapped_column(String(32))
    listed: Mapped[Json]
    requested_us: Mapped[Us]
    requested_by: Mapped[str] = mapped_column(String(120))
    executed_us: Mapped[Us | None]


class Derivative(Base):
    """Something re-encoded or copied out: parent, recipe, digest, expiry (thumbnail, export, …)."""

    __tablename__ = "derivatives"
    __table_args__ = (
        Index(
            "ix_derivatives_reports",
            "made_us",
            sqlite_where=text("kind = 'evidence_report'"),
            postgresql_where=text("kind = 'evidence_report'"),
        ),
    )
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(32))
    session_id: Mapped[str | None] = ref("sessions")
    stream_id: Mapped[str | None] = ref("streams")
    from_us: Mapped[Us | None]
    to_us: Mapped[Us | None]
    recipe: Mapped[Json]
    path: Mapped[Text_ | None]
    bytes: Mapped[int | None] = mapped_column(BigInt)
    sha256: Mapped[str | None] = mapped_column(String(64))
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    expires_us: Mapped[Us | None]
    job_id: Mapped[str | None] = ref("jobs")
    grant_id: Mapped[str | None] = ref("grants")


class SessionObject(Locked, Base):
    """A file about a session in the store: an evidence report, or its facts. It is locked as what
    the session claims."""

    __tablename__ = "session_objects"
    __table_args__ = (
        UniqueConstraint("derivative_id", "suffix"),
        UniqueConstraint("store_key"),
        Index(
            "ix_session_objects_lock_due",
            "lock_due_us",
            sqlite_where=text("lock_due_us IS NOT NULL"),
            postgresql_where=text("lock_due_us IS NOT NULL"),
        ),
        Index(
            "ix_session_objects_lock_failed",
            "lock_failed_us",
            sqlite_where=text("lock_failed_us IS NOT NULL"),
            postgresql_where=text("lock_failed_us IS NOT NULL"),
        ),
    )
    id: Mapped[Number]
    session_id: Mapped[str] = ref("sessions")
    derivative_id: Mapped[str] = ref("derivatives", index=False)
    suffix: Mapped[str] = mapped_column(String(8))
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    bytes: Mapped[int] = mapped_column(BigInt)
    store_key: Mapped[Text_]
    store_version: Mapped[str] = mapped_column(String(200))
    stored_us: Mapped[Us]


class Job(Base):
    """A unit of background work. The row is the truth; a broker's message is only a hint."""

    __tablename__ = "jobs"
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(64))
    payload: Mapped[Json]
    state: Mapped[str] = mapped_column(String(16), index=True)
    # Makes a second enqueueing of the same work the same job.
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    attempt: Mapped[int] = mapped_column(default=0)
    run_after_us: Mapped[Us]
    lease_until_us: Mapped[Us | None]
    lease_by: Mapped[str | None] = mapped_column(String(120))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    result: Mapped[Json | None]
    error: Mapped[Long | None]
    created_us: Mapped[Us]
    created_by: Mapped[str] = mapped_column(String(120))
    finished_us: Mapped[Us | None]


class Outbox(Base):
    """What must go into the site's log, written with the row it is about, and where it stands.

    ``body["entry"]`` is the entry itself, as it is logged; what else is there is for whoever made
    the row. ``key`` names what it is about, so that the same is never logged twice.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("ix_outbox_place", "shard", "position"),
        Index(
            "ix_outbox_waiting",
            "id",
            sqlite_where=text("shard IS NULL"),
            postgresql_where=text("shard IS NULL"),
        ),
        Index(
            "ix_outbox_epochs",
            "at_us",
            sqlite_where=text("kind = 'epoch'"),
            postgresql_where=text("kind = 'epoch'"),
        ),
    )
    id: Mapped[Number]
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(200))
    body: Mapped[Json]
    at_us: Mapped[Us]
    # Empty until a durable checkpoint names it; ``logged_us`` is when that was made.
    shard: Mapped[str | None] = mapped_column(String(32))
    position: Mapped[int | None] = mapped_column(BigInt)
    logged_us: Mapped[Us | None]


class LogShard(Base):
    """A year's log, and the furthest checkpoint that may have been signed of it.

    ``size`` and ``root`` are written before that checkpoint is signed. The log on disk must reach
    as far, or have what is needed to reach it, or it is not the log that was promised.
    """

    __tablename__ = "log_shards"
    shard: Mapped[str] = mapped_column(String(32), primary_key=True)
    opened_us: Mapped[Us]
    size: Mapped[int] = mapped_column(BigInt)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    checkpoint_us: Mapped[Us]
    # The public key that signs it, in C2SP's form; empty before its first checkpoint.
    key: Mapped[Text_]
    # Why it was given up; empty for one that goes on or ended with its year.
    given_up: Mapped[Text_ | None]
    # When the index was restored from a backup, while nobody has said yet that the log that is here
    # is the newest: nothing is signed in it until then.
    restored_us: Mapped[Us | None]
