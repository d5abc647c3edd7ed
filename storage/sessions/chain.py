"""A session's own chain of evidence records: each names the leaf of the one before."""

import re
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.entries import SessionEntry, session_tag
from bidwitness.storage.evidence.records import leaf_hash, record_of, session_genesis
from bidwitness.storage.evidence.session_records import (
    AmendFacts,
    BookingFacts,
    ClaimFacts,
    ItemFacts,
    PlanFacts,
    SessionPlace,
)
from bidwitness.storage.evidence.session_records import SessionRecord as Facts
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.models import (
    Claim,
    Item,
    Lot,
    Project,
    Session,
    SessionRecord,
)
from bidwitness.storage.index.outbox import put_in_outbox, session_record_key

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def by_whom(who: Who) -> str | None:
    """Give the name that a record may hold: the user's id, else the process's name."""
    name = who.user_id or who.name
    return name if _NAME.fullmatch(name) else None


def append_record(
    orm: Orm,
    settings: Settings,
    session_id: str,
    at_us: int,
    make: Callable[[SessionPlace], Facts],
) -> SessionRecord:
    """Add a record at the end of the session's chain, with its outbox row.

    Call inside ``Database.write`` with the session's row locked: the chain has one end.
    """
    last = orm.scalars(
        select(SessionRecord)
        .where(SessionRecord.session_id == session_id)
        .order_by(SessionRecord.seq.desc())
        .limit(1)
    ).first()
    place = SessionPlace(
        site=settings.site,
        session=session_id,
        seq=last.seq + 1 if last else 0,
        prev=last.leaf.hex() if last else session_genesis(session_id),
        at=at_us,
    )
    facts = make(place)
    record = record_of(facts)
    row = SessionRecord(
        session_id=session_id,
        seq=place.seq,
        kind=facts.T,
        leaf=leaf_hash(record),
        body=canonical(record).decode(),
        at_us=at_us,
    )
    orm.add(row)
    orm.flush()
    entry = SessionEntry(session_tag(session_id), place.seq, row.leaf.hex())
    about: dict[str, JsonValue] = {"session": session_id, "record": facts.T}
    put_in_outbox(orm, session_record_key(row.id), entry, at_us, about)
    return row


def append_plan(
    orm: Orm,
    settings: Settings,
    session: Session,
    at_us: int,
    who: Who,
    *,
    reason: str | None = None,
    amends: bool = False,
) -> SessionRecord:
    """Record what the session is planned to be, as a whole: the first time, or anew."""
    items = tuple(
        ItemFacts(project=project, lot=lot, start=item.from_us, end=item.to_us)
        for item, lot, project in orm.execute(
            select(Item, Lot.code, Project.code)
            .join(Lot, Lot.id == Item.lot_id)
            .join(Project, Project.id == Lot.project_id)
            .where(Item.session_id == session.id)
            .order_by(Project.code, Lot.code, Item.id)
        )
    )
    bookings = tuple(
        BookingFacts(
            room=booking.room_id,
            seats=tuple(booking.seat_ids),
            start=booking.from_us,
            end=booking.to_us if booking.left_us is None else booking.left_us,
            role=booking.role,
        )
        for booking in sorted(session.bookings, key=lambda b: (b.from_us, b.id))
    )
    kind = AmendFacts if amends else PlanFacts
    return append_record(
        orm,
        settings,
        session.id,
        at_us,
        lambda place: kind(
            place=place,
            kind=session.kind,
            items=items,
            bookings=bookings,
            planned=(session.planned_from_us, session.planned_to_us),
            by=by_whom(who),
            reason=reason,
        ),
    )


def append_claim(orm: Orm, settings: Settings, claim: Claim, at_us: int, who: Who) -> SessionRecord:
    """Record a claim as it stands now."""
    return append_record(
        orm,
        settings,
        claim.session_id,
        at_us,
        lambda place: ClaimFacts(
            place=place,
            claim=claim.id,
            stream=claim.stream_id,
            klass=claim.klass,
            start=claim.from_us,
            end=claim.to_us,
            by=by_whom(who),
            reason=claim.reason,
        ),
    )
