"""The access and copy register (调阅登记): rows that are added and never changed.

Every grant and every refusal has a numbered row; what comes of it later (copies, handover, proof of
return) are further rows about it. Each row is committed to in the site's log as audit entries are,
in the transaction that adds it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict
from bidwitness.log import redact
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.commitments import commit_to
from bidwitness.storage.index.models import RegisterEntry
from bidwitness.words import RegisterKind

# The register of a year is the register of the centre's own year.
CHINA = timezone(timedelta(hours=8))
# What the register is called where its commitments are.
TABLE = "register"
# Two who write at once try the same number; the later one takes the next.
TRIES = 20


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to be added. ``about_id``: the numbered row that it is about; without, it gets a number.

    ``officers``: who knows of it if it is ``confidential``, by user name.
    """

    kind: RegisterKind
    person: str
    content: str
    reason: str
    about_id: int | None = None
    grant_id: str | None = None
    session_id: str | None = None
    unit: str | None = None
    case_no: str | None = None
    document_no: str | None = None
    confidential: bool = False
    officers: tuple[str, ...] = ()
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


def enter(orm: Orm, who: Who, at_us: int, new: NewRow) -> RegisterEntry:
    """Add a row with its commitment. Call inside ``Database.write``."""
    row = RegisterEntry(
        kind=new.kind,
        about_id=new.about_id,
        grant_id=new.grant_id,
        session_id=new.session_id,
        at_us=at_us,
        by=who.name,
        person=new.person[:500],
        unit=new.unit,
        case_no=new.case_no,
        document_no=new.document_no,
        content=new.content[:4000],
        reason=redact(new.reason)[:500],
        confidential=new.confidential,
        officers=sorted(new.officers),
        facts=dict(new.facts) or None,
    )
    if new.about_id is None:
        _number(orm, row)
    else:
        orm.add(row)
        orm.flush()
    commit_to(orm, TABLE, row.id, register_facts(row), at_us)
    return row


def enter_about(
    orm: Orm,
    who: Who,
    at_us: int,
    first: RegisterEntry,
    kind: RegisterKind,
    *,
    content: str,
    reason: str,
    facts: Mapping[str, JsonValue] | None = None,
) -> RegisterEntry:
    """Add a row about a numbered one, whose people and secrecy it shares."""
    return enter(
        orm,
        who,
        at_us,
        NewRow(
            kind=kind,
            person=first.person,
            content=content,
            reason=reason,
            about_id=first.id,
            grant_id=first.grant_id,
            session_id=first.session_id,
            unit=first.unit,
            case_no=first.case_no,
            document_no=first.document_no,
            confidential=first.confidential,
            officers=tuple(first.officers),
            facts=facts or {},
        ),
    )


def enter_copy(
    orm: Orm,
    who: Who,
    at_us: int,
    grant_id: str,
    *,
    person: str,
    content: str,
    reason: str,
    facts: Mapping[str, JsonValue],
) -> RegisterEntry:
    """Add that a copy was made by a grant."""
    first = row_of_grant(orm, grant_id)
    if first is not None:
        return enter_about(
            orm, who, at_us, first, RegisterKind.COPY, content=content, reason=reason, facts=facts
        )
    new = NewRow(RegisterKind.COPY, person, content, reason, grant_id=grant_id, facts=facts)
    return enter(orm, who, at_us, new)


def row_of_grant(orm: Orm, grant_id: str) -> RegisterEntry | None:
    """Give the numbered row of a grant."""
    query = select(RegisterEntry).where(
        RegisterEntry.grant_id == grant_id,
        RegisterEntry.kind.in_((RegisterKind.GRANT, RegisterKind.BREAK_GLASS)),
    )
    return orm.scalars(query.limit(1)).first()


def register_facts(row: RegisterEntry) -> dict[str, JsonValue]:
    """Give what the log commits to of a row, besides its number: all of it."""
    facts = None if row.facts is None else json.dumps(row.facts, sort_keys=True)
    return {
        "kind": row.kind.value,
        "number": row.number,
        "about": row.about_id,
        "grant": row.grant_id,
        "session": row.session_id,
        "at": row.at_us,
        "by": row.by,
        "person": row.person,
        "unit": row.unit,
        "case_no": row.case_no,
        "document_no": row.document_no,
        "content": row.content,
        "reason": row.reason,
        "confidential": row.confidential,
        "officers": json.dumps(row.officers),
        "facts": facts,
    }


def _number(orm: Orm, row: RegisterEntry) -> None:
    """Add a row with the next number of its year. Raises ``Conflict`` if too many write at once."""
    at = datetime.fromtimestamp(row.at_us // 1_000_000, UTC).astimezone(CHINA)
    prefix = f"{at.year}-"
    for _ in range(TRIES):
        query = select(RegisterEntry.number).where(RegisterEntry.number.like(f"{prefix}%"))
        last = orm.scalar(query.order_by(RegisterEntry.id.desc()).limit(1))
        row.number = f"{prefix}{int(last.removeprefix(prefix)) + 1 if last else 1:05d}"
        try:
            with orm.begin_nested():
                orm.add(row)
        except IntegrityError:
            # Another was a moment earlier: the column is unique.
            continue
        return
    raise Conflict("Too many write into the register at once. Try again.")
