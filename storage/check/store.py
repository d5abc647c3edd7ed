"""Every stored segment and every object of records: there, of the right size, of the right digest."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from sqlalchemy import select

from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Garbage, RecordObject, Segment
from bidwitness.storage.spool.layout import parse_name
from bidwitness.storage.store import Found, Store
from bidwitness.storage.store.base import digest_of

BATCH = 500
PREFIX = "footage/"
# A segment's name states its first instant as the recorder saw it; its record may know better.
NEAR_US = 86_400_000_000


def check_store(database: Database, store: Store, footage: Footage) -> Iterator[Problem | None]:
    """Read everything that the index says is stored, and list what it does not know of.

    Gives one item for each object, nothing or what is wrong. Raises ``StoreError`` if the store
    does not answer: that says nothing of the bytes.
    """
    for segment in _segments(database):
        yield _check_segment(database, footage, segment)
    for made in _objects(database):
        yield _check_object(store, made)
    for found in store.list(PREFIX):
        if not _is_known(database, found):
            detail = f"{found.size} bytes that no row speaks of"
            yield Problem(Fault.UNKNOWN, f"{found.key} version {found.version}", detail)


def _segments(database: Database) -> Iterator[Segment]:
    after = 0
    while True:
        query = (
            select(Segment)
            .where(Segment.id > after, Segment.stored_us.is_not(None), Segment.removed_us.is_(None))
            .order_by(Segment.id)
            .limit(BATCH)
        )
        with database.read() as orm:
            rows = list(orm.scalars(query))
        if not rows:
            return
        yield from rows
        after = rows[-1].id


def _objects(database: Database) -> list[RecordObject]:
    with database.read() as orm:
        return list(orm.scalars(select(RecordObject).order_by(RecordObject.id)))


def _check_segment(database: Database, footage: Footage, segment: Segment) -> Problem | None:
    subject = f"{segment.store_key} version {segment.store_version}"
    try:
        footage.verify_stored(segment)
    except (DamageFound, NotFound) as error:
        with database.read() as orm:
            now = orm.get(Segment, segment.id)
        if now is None or now.removed_us is not None:
            return None  # by the book, while we looked
        return Problem(Fault.DIFFERS, subject, error.detail)
    return None


def _check_object(store: Store, made: RecordObject) -> Problem | None:
    subject = f"{made.store_key} version {made.store_version}"
    try:
        found = digest_of(store.stream(made.store_key, made.store_version))
    except NotFound:
        return Problem(Fault.MISSING, subject, "the store no longer holds these records")
    if found != (made.sha256, made.bytes):
        return Problem(Fault.DIFFERS, subject, "these are not the records that were written")
    return None


def _is_known(database: Database, found: Found) -> bool:
    """Say whether some row speaks of this version: as kept, or as waiting for its removal."""
    parts = found.key.split("/")
    name = parse_name(PurePosixPath(found.key).stem)
    here = (found.key, found.version)
    with database.read() as orm:
        if name is not None:
            # Searched for by its time, for which there is an index.
            near = Segment.from_us.between(name.start_us - NEAR_US, name.start_us + NEAR_US)
            rows = orm.scalars(
                select(Segment).where(
                    Segment.stream_id == parts[1], near, Segment.removed_us.is_(None)
                )
            )
            # One that is not said to be stored yet may just be on its way.
            known = any(
                (row.store_key, row.store_version) == here
                or (row.stored_us is None and f"{PREFIX}{row.spool_path}" == found.key)
                for row in rows
            )
        else:
            made = select(RecordObject).where(RecordObject.stream_id == parts[1])
            known = any((row.store_key, row.store_version) == here for row in orm.scalars(made))
        if known:
            return True
        rubbish = select(Garbage.id).where(
            Garbage.store_key == found.key, Garbage.store_version == found.version
        )
        return orm.scalar(rubbish.limit(1)) is not None
