"""Runs, inits, segments, fragments, gaps, and the evidence records about them."""

from sqlalchemy import Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bidwitness.storage.index.models.base import (
    Base,
    BigInt,
    Json,
    Number,
    Text_,
    Us,
    number_ref,
    ref,
    word,
)
from bidwitness.words import ClockQuality, GapCause


def _partial(name: str, *columns: str, where: str) -> Index:
    """Give an index of the rows for which ``where`` is true, on both databases."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Locked:
    """The lock of an object in the store, as it was when ``keep`` last read it."""

    # Retained until then; and since when there is a legal hold (0: asked for, not read back).
    lock_until_us: Mapped[Us | None]
    lock_hold_us: Mapped[Us | None]
    lock_checked_us: Mapped[Us | None]
    # When it must be looked at again; 0: at once, as what it hangs on has changed.
    lock_due_us: Mapped[Us | None]
    # Since when it could not be made what it must be; empty while it is.
    lock_failed_us: Mapped[Us | None]


_LOCK_DUE = "lock_due_us IS NOT NULL"
_LOCK_FAILED = "lock_failed_us IS NOT NULL"


class Run(Base):
    """One unbroken connection to a stream."""

    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    stream_id: Mapped[str] = ref("streams")
    recorder: Mapped[str] = mapped_column(String(64))
    started_us: Mapped[Us]


class Init(Base):
    """``ftyp+moov`` as bytes, named by its SHA-256 (hex). ``tracks`` describes them."""

    __tablename__ = "inits"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    # [{id, medium, codec, timescale, width?, height?}], in the order of the file.
    tracks: Mapped[Json]


class Record(Base):
    """A stream's evidence record (segment, gap, event) as canonical JSON, chained per stream and day."""

    __tablename__ = "records"
    __table_args__ = (UniqueConstraint("stream_id", "day", "seq"),)
    id: Mapped[Number]
    stream_id: Mapped[str] = ref("streams", index=False)
    day: Mapped[int]
    seq: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    # Dropped once it is part of an immutable object beside the media.
    body: Mapped[str | None] = mapped_column(Text)


class RecordObject(Locked, Base):
    """An immutable object in the store: records ``first_seq`` to ``last_seq`` of a stream's day,
    one line of canonical JSON each."""

    __tablename__ = "record_objects"
    __table_args__ = (
        UniqueConstraint("stream_id", "day", "first_seq"),
        _partial("ix_record_objects_lock_due", "lock_due_us", where=_LOCK_DUE),
        _partial("ix_record_objects_lock_failed", "lock_failed_us", where=_LOCK_FAILED),
    )
    id: Mapped[Number]
    stream_id: Mapped[str] = ref("streams", index=False)
    day: Mapped[int]
    first_seq: Mapped[int]
    last_seq: Mapped[int]
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    bytes: Mapped[int] = mapped_column(BigInt)
    store_key: Mapped[Text_]
    store_version: Mapped[str] = mapped_column(String(200))
    stored_us: Mapped[Us]


class Segment(Locked, Base):
    """One closed, self-contained fMP4 file. Footage is never longer than ``MAX_SEGMENT_US``."""

    __tablename__ = "segments"
    __table_args__ = (
        # Without what has been removed: in time that is nearly all of the loop's rows.
        _partial("ix_segments_stream_from", "stream_id", "from_us", where="removed_us IS NULL"),
        # Both stay as short as the work they list, whatever the table has grown to.
        _partial(
            "ix_segments_unstored", "from_us", where="stored_us IS NULL AND removed_us IS NULL"
        ),
        _partial("ix_segments_spooled", "stored_us", where="spool_path IS NOT NULL"),
        _partial(
            "ix_segments_lock_due",
            "lock_due_us",
            where=f"{_LOCK_DUE} AND stored_us IS NOT NULL AND removed_us IS NULL",
        ),
        _partial(
            "ix_segments_lock_failed",
            "lock_failed_us",
            where=f"{_LOCK_FAILED} AND removed_us IS NULL",
        ),
    )
    id: Mapped[Number]
    stream_id: Mapped[str] = ref("streams", index=False)
    record_id: Mapped[int] = number_ref("records", index=True)
    run_id: Mapped[str] = mapped_column(String(16))
    run_seq: Mapped[int]
    init_id: Mapped[str] = mapped_column(String(64))
    from_us: Mapped[Us]
    to_us: Mapped[Us]
    quality: Mapped[ClockQuality] = word(ClockQuality)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    bytes: Mapped[int] = mapped_column(BigInt)
    pieces: Mapped[int]
    # Where it lies on its recorder; empty once the spool copy has gone.
    recorder: Mapped[str] = mapped_column(String(64))
    spool_path: Mapped[Text_ | None]
    # The one verified version in the store; empty until uploaded.
    store_key: Mapped[Text_ | None]
    store_version: Mapped[str | None] = mapped_column(String(200))
    stored_us: Mapped[Us | None]
    # Set with the garbage row when the footage is being removed.
    removed_us: Mapped[Us | None]


class FragmentTable(Base):
    """A segment's fragments as one delta-varint blob; can be dropped and read again from the file."""

    __tablename__ = "fragment_tables"
    segment_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class Gap(Base):
    """An interval that should have footage and has none. ``medium`` empty: the whole stream."""

    __tablename__ = "gaps"
    __table_args__ = (
        Index("ix_gaps_stream_from", "stream_id", "from_us"),
        # As in storage/index/reach.py.
        _partial("ix_gaps_long", "stream_id", "from_us", where="to_us - from_us > 900000000"),
    )
    id: Mapped[Number]
    stream_id: Mapped[str] = ref("streams", index=False)
    record_id: Mapped[int | None] = number_ref("records")
    # Only gaps of a session (late_start, early_end) name one.
    session_id: Mapped[str | None] = ref("sessions")
    medium: Mapped[str | None] = mapped_column(String(16))
    cause: Mapped[GapCause] = word(GapCause)
    from_us: Mapped[Us] = mapped_column()
    to_us: Mapped[Us]
    detail: Mapped[Text_ | None]


class Garbage(Base):
    """Bytes that `keep` must remove: written first, dropped last (design.md §5.2 backwards)."""

    __tablename__ = "garbage"
    id: Mapped[Number]
    segment_id: Mapped[int | None] = mapped_column(BigInt)
    recorder: Mapped[str | None] = mapped_column(String(64))
    spool_path: Mapped[Text_ | None]
    store_key: Mapped[Text_ | None]
    store_version: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[Text_]
    at_us: Mapped[Us]
    # From here on there is no way back: some of the bytes may be gone.
    started_us: Mapped[Us | None]
    # The store has them locked until about then; it is not asked before.
    wait_until_us: Mapped[Us | None]
