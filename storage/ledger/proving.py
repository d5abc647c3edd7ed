"""What of the log goes into a session's package: checkpoints, proofs, and the epochs that cover it.

Reads the index for places and the log's own files for everything else.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.entries import (
    EpochEntry,
    EpochHead,
    entry_of,
    head_leaf,
    read_entry,
)
from bidwitness.storage.evidence.merkle import inclusion_path, root
from bidwitness.storage.evidence.note import Checkpoint, Note, read_key, write_note
from bidwitness.storage.evidence.proof import (
    COVERED_FILE,
    LOG_FOLDER,
    CoveredFacts,
    LoggedFacts,
)
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts, read_record
from bidwitness.storage.evidence.session_records import CloseFacts, HeadFacts
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox, Record, SessionRecord
from bidwitness.storage.index.outbox import session_record_key
from bidwitness.storage.ledger.shard import COSIGNED, COSIGNING, origin_of, read_head
from bidwitness.storage.ledger.stamped import stamp_files
from bidwitness.storage.ledger.tiles import Tiles

# Epochs that are looked through for one that covers a stretch: the first after its end mostly does.
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a session's close stands in the log. ``covered``: whether epochs in the log cover all
    stretches that it names. ``key``: the fingerprint of the log's key."""

    shard: str
    position: int
    checkpoint_us: int
    key: str
    covered: bool


@dataclass(frozen=True, slots=True)
class _Cover:
    """An epoch, what it is over (stream, day, count), and which of that covers a stretch."""

    row: Outbox
    entry: EpochEntry
    counts: tuple[tuple[str, str, int], ...]
    place: int


def log_position(orm: Orm, session_id: str) -> LogPosition | None:
    """Give where the session's close stands; nothing until a checkpoint names it."""
    close = orm.execute(
        select(SessionRecord.id, SessionRecord.body)
        .where(SessionRecord.session_id == session_id, SessionRecord.kind == CloseFacts.T)
        .limit(1)
    ).first()
    if close is None:
        return None
    rows = _logged(orm, [close.id])
    facts = read_record(close.body.encode())
    if not rows or not isinstance(facts, CloseFacts):
        return None
    row = rows[0]
    return LogPosition(
        shard=str(row.shard),
        position=int(row.position or 0),
        checkpoint_us=int(row.logged_us or 0),
        key=read_key(orm.get_one(LogShard, str(row.shard)).key).fingerprint,
        covered=all(_cover_of(orm, head) is not None for head in facts.heads),
    )


def log_files(
    database: Database, settings: Settings, session_id: str, heads: Iterable[HeadFacts]
) -> Mapping[str, bytes]:
    """Give the files under ``data/log/`` of a session's package; empty if nothing is logged yet.

    Raises ``DamageFound`` if the log's own files are not whole.
    """
    with database.read() as orm:
        ids = orm.scalars(select(SessionRecord.id).where(SessionRecord.session_id == session_id))
        records = _logged(orm, list(ids))
        covers = [(head, found) for head in heads if (found := _cover_of(orm, head))]
        # Made once an epoch: it is over every chain of its recorder.
        epochs = {found.row.id: found for _, found in covers}
        made = {id_: _made_anew(orm, found) for id_, found in epochs.items()}
        lines = [
            _covered(head, found, known).line()
            for head, found in covers
            if (known := made[found.row.id]) is not None
        ]
    rows = {row.id: row for row in (*records, *(found.row for _, found in covers))}
    files: dict[str, bytes] = {}
    for shard, wanted in _places(rows.values()).items():
        files |= _shard_files(settings, shard, wanted)
    for shard, wanted in _places(records).items():
        files |= stamp_files(settings, shard, wanted, files)
    if lines:
        files[COVERED_FILE] = b"".join(line + b"\n" for line in lines)
    return files


def _places(rows: Iterable[Outbox]) -> dict[str, list[int]]:
    """Give the places of rows in each shard, ascending."""
    places: dict[str, list[int]] = {}
    for row in rows:
        places.setdefault(str(row.shard), []).append(int(row.position or 0))
    return {shard: sorted(wanted) for shard, wanted in places.items()}


def _logged(orm: Orm, record_ids: Sequence[int]) -> list[Outbox]:
    """Give the outbox rows of those of a session's records that are logged."""
    keys = [session_record_key(id_) for id_ in record_ids]
    query = select(Outbox).where(Outbox.key.in_(keys), Outbox.shard.is_not(None))
    return list(orm.scalars(query.order_by(Outbox.id)))


def _shard_files(settings: Settings, shard: str, wanted: Sequence[int]) -> dict[str, bytes]:
    folder = settings.log / shard
    found = _best_head(folder, origin_of(settings.site, shard), wanted[-1])
    if found is None:
        return {}
    checkpoint, note = found
    tiles = Tiles(folder, checkpoint.size)
    lines = [
        LoggedFacts(
            place, tuple(item.hex() for item in tiles.path(place)), read_entry(tiles.entry(place))
        ).line()
        for place in wanted
    ]
    base = f"{LOG_FOLDER}{shard}/"
    return {
        f"{base}checkpoint": write_note(note.text, note.signatures),
        f"{base}entries.ndjson": b"".join(line + b"\n" for line in lines),
    }


def newest_note(settings: Settings, shard: str, position: int) -> Note | None:
    """Give the checkpoint over an entry that a package would carry, with its signatures.

    Raises ``DamageFound`` if the log's own files are not whole.
    """
    found = _best_head(settings.log / shard, origin_of(settings.site, shard), position)
    return None if found is None else found[1]


def _best_head(folder: Path, origin: str, last: int) -> tuple[Checkpoint, Note] | None:
    """Give the newest checkpoint over entry ``last`` that enough witnesses have cosigned, else the
    one with the cosignatures that there are, else the newest."""
    for name in (COSIGNED, COSIGNING):
        with suppress(DamageFound):  # then the next one does
            found = read_head(folder, origin, name)
            if found is not None and last < found[0].size and _is_of(folder, found[0]):
                return found
    return read_head(folder, origin)


def _is_of(folder: Path, checkpoint: Checkpoint) -> bool:
    return Tiles(folder, checkpoint.size).root() == checkpoint.root


@dataclass(frozen=True, slots=True)
class EpochPlace:
    """An epoch of a recorder, and where it stands in the log of a site."""

    recorder: str
    epoch: int
    shard: str
    position: int
    logged_us: int | None


def epoch_over(orm: Orm, stream: str, day: str, seq: int) -> EpochPlace | None:
    """Give the first epoch in the log that covers a record, and with it all before of its day."""
    found = _cover(orm, stream, day, seq)
    if found is None:
        return None
    row = found.row
    return EpochPlace(
        *(found.entry.recorder, found.entry.seq),
        *(str(row.shard), int(row.position or 0)),
        logged_us=row.logged_us,
    )


def _cover_of(orm: Orm, head: HeadFacts) -> _Cover | None:
    """Find the first epoch in the log that covers the last record of a stretch."""
    return _cover(orm, head.stream, head.day, head.last)


def _cover(orm: Orm, stream_id: str, record_day: str, seq: int) -> _Cover | None:
    body = orm.scalar(
        select(Record.body).where(
            Record.stream_id == stream_id,
            Record.day == int(record_day),
            Record.seq == seq,
        )
    )
    record = read_record(body.encode()) if body else None
    if not isinstance(record, SegmentFacts | GapFacts):
        return None
    query = (
        select(Outbox)
        .where(Outbox.kind == EpochEntry.T, Outbox.at_us >= record.end, Outbox.shard.is_not(None))
        .order_by(Outbox.at_us)
        .limit(LOOKED_AT)
        .execution_options(yield_per=5)
    )
    for row in orm.scalars(query):
        entry = entry_of(row.body["entry"])
        counts = tuple((str(s), str(day), int(count)) for s, day, count in row.body["heads"])
        for place, (stream, day, count) in enumerate(counts):
            if (stream, day) == (stream_id, record_day) and count > seq:
                assert isinstance(entry, EpochEntry)
                return _Cover(row, entry, counts, place)
    return None


@dataclass(frozen=True, slots=True)
class _Made:
    """The heads of an epoch, and of each the leaves of its records."""

    heads: Sequence[EpochHead]
    leaves: Sequence[Sequence[bytes]]


def _made_anew(orm: Orm, found: _Cover) -> _Made | None:
    """Make the heads that an epoch was signed over anew, from the records of the index.

    Gives nothing if they are no longer all there.
    """
    leaves = [_leaves(orm, *item) for item in found.counts]
    if any(len(held) != count for held, (_, _, count) in zip(leaves, found.counts, strict=True)):
        return None
    heads = [
        EpochHead(stream, day, count, held[-1].hex(), root(held).hex())
        for held, (stream, day, count) in zip(leaves, found.counts, strict=True)
    ]
    return _Made(heads, leaves)


def _covered(head: HeadFacts, found: _Cover, made: _Made) -> CoveredFacts:
    """Prove that the stretch's last record is in the epoch's head, and that head in the epoch."""
    path = inclusion_path([head_leaf(item) for item in made.heads], found.place)
    record_path = inclusion_path(made.leaves[found.place], head.last)
    return CoveredFacts(
        recorder=found.entry.recorder,
        epoch=found.entry.seq,
        number=found.place,
        path=tuple(item.hex() for item in path),
        head=made.heads[found.place],
        last=head.last,
        record_path=tuple(item.hex() for item in record_path),
    )


def _leaves(orm: Orm, stream: str, day: str, count: int) -> Sequence[bytes]:
    query = select(Record.leaf).where(
        Record.stream_id == stream, Record.day == int(day), Record.seq < count
    )
    return orm.scalars(query.order_by(Record.seq)).all()
