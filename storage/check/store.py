"""Every stored segment and every object of records: there, of the right size, of the right digest."""

from collections.abc import Iterator

from sqlalchemy import select

from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.evidence.records import utc_text
from bidwitness.storage.evidence_report.registered import reports_to_store
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import RecordObject, Segment, SessionObject
from bidwitness.storage.store import Place, Store
from bidwitness.storage.store.base import digest_of
from bidwitness.storage.surplus import PREFIXES, Surplus, is_copy, is_readable, surplus_in
from bidwitness.words import SurplusKind

BATCH = 500
LATE_US = 3_600_000_000


def check_store(
    database: Database, store: Store, footage: Footage, now_us: int
) -> Iterator[Problem | None]:
    """Read everything that the index says is stored, and list what it does not know of.

    Gives one item for each object, nothing or what is wrong. Raises ``StoreError`` if the store
    does not answer: that says nothing of the bytes.
    """
    for segment in _segments(database):
        yield _check_segment(database, footage, segment)
    for made in _objects(database):
        yield _check_object(store, made)
    for row in _files(database):
        yield _check_object(store, row)
    yield from _check_reports(database, now_us)
    yield from _check_listing(database, store, now_us)


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


def _files(database: Database) -> Iterator[SessionObject]:
    after = 0
    while True:
        query = select(SessionObject).where(SessionObject.id > after)
        with database.read() as orm:
            rows = list(orm.scalars(query.order_by(SessionObject.id).limit(BATCH)))
        if not rows:
            return
        yield from rows
        after = rows[-1].id


def _check_reports(database: Database, now_us: int) -> Iterator[Problem]:
    """Name evidence reports that are not in the store though there was time."""
    with database.read() as orm:
        for row in reports_to_store(orm, now_us - LATE_US):
            number = str(row.recipe["number"])
            yield Problem(Fault.MISSING, number, "this evidence report is not in the store")


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


def _check_object(store: Store, made: RecordObject | SessionObject) -> Problem | None:
    subject = f"{made.store_key} version {made.store_version}"
    what = "records" if isinstance(made, RecordObject) else "files"
    try:
        found = digest_of(store.stream(made.store_key, made.store_version))
    except NotFound:
        return Problem(Fault.MISSING, subject, f"the store no longer holds these {what}")
    if found != (made.sha256, made.bytes):
        return Problem(Fault.DIFFERS, subject, f"these are not the {what} that were written")
    return None


def _check_listing(database: Database, store: Store, now_us: int) -> Iterator[Problem | None]:
    """Explain every version and delete marker that the index does not name."""
    for prefix in PREFIXES:
        place: Place | None = None
        while True:
            page = store.versions(prefix, place)
            with database.read() as orm:
                found = surplus_in(orm, page.listed, now_us)
            yield from (_explain(store, item) for item in found)
            place = page.more
            if place is None:
                break


def _explain(store: Store, item: Surplus) -> Problem:
    listed, named = item.listed, item.name.version if item.name else None
    subject = f"{listed.key} version {listed.version}"
    since = "" if listed.changed_us is None else f" of {utc_text(listed.changed_us)}"
    if item.kind is SurplusKind.MARKER and item.hides:
        state = "can be read and is what was kept"
        if not is_readable(store, item):
            state = "is NOT what was kept"
        detail = (
            f"a delete marker{since} hides the object from whoever names no version; its version "
            f"{named} {state}. Somebody with the store's keys removed it without a version"
        )
        return Problem(Fault.HIDDEN, subject, detail)
    if item.kind is SurplusKind.MARKER:
        return Problem(Fault.SURPLUS, subject, f"a delete marker{since}, which hides nothing kept")
    if item.kind is SurplusKind.EXTRA:
        what = "the same bytes again" if is_copy(store, item) else "OTHER bytes"
        before = "; it stands before it for whoever names no version" if item.hides else ""
        detail = f"{what}{since}, beside the version {named} that is kept{before}"
        return Problem(Fault.SURPLUS, subject, detail)
    if item.kind is SurplusKind.LEFTOVER:
        detail = f"{listed.size} bytes left of footage that was removed; `keep` removes them"
        return Problem(Fault.SURPLUS, subject, detail)
    return Problem(Fault.UNKNOWN, subject, f"{listed.size} bytes{since} that no row speaks of")
