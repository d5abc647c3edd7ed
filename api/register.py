"""The access and copy register (调阅登记): read, searched, exported, and written on by the archivist."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, StringConstraints
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    MAX_US,
    Answer,
    Body,
    CursorQuery,
    IdText,
    LimitQuery,
    Reason,
    SearchQuery,
    Short,
)
from bidwitness.api.seeing import not_secret_from
from bidwitness.errors import NotFound
from bidwitness.storage import handovers as business
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import RegisterEntry
from bidwitness.storage.register import CHINA
from bidwitness.storage.watched import watched_by
from bidwitness.words import Medium, RegisterKind

router = APIRouter(prefix="/register", tags=["register"])

# A file that a spreadsheet opens; more is asked for by time.
MAX_TABLE = 10_000
# With these a spreadsheet takes a text for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    *("登记号", "记录", "时间", "登记人", "单位", "人员", "案号", "文号", "内容", "事由"),
    *("应归还或销毁", "涉密调取"),
)

Instant = Annotated[int | None, Query(ge=0, le=MAX_US)]
EntryPath = Annotated[int, Path(ge=1, le=MAX_US)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class LaterAnswer(Answer):
    """A row about a numbered one."""

    id: int
    kind: RegisterKind
    at: int
    by: str
    content: str
    reason: str
    facts: dict[str, Any] | None


class WatchedAnswer(Answer):
    """What was sent to the person: the times of the footage, to the minute."""

    stream_id: str
    camera: str
    medium: Medium
    spans: list[tuple[int, int]]


class EntryAnswer(Answer):
    id: int
    number: str | None
    kind: RegisterKind
    at: int
    by: str
    person: str
    unit: str | None
    case_no: str | None
    document_no: str | None
    content: str
    reason: str
    grant_id: str | None
    session_id: str | None
    confidential: bool
    # By when what was handed over has to be back or destroyed, and when that was proved.
    due_at: int | None
    proved_at: int | None
    facts: dict[str, Any] | None
    later: list[LaterAnswer]


class OneEntryAnswer(EntryAnswer):
    watched: list[WatchedAnswer]


class RegisterPage(Answer):
    items: list[EntryAnswer]
    next_cursor: str | None


class HandoverBody(Body):
    """``copies``: exports and snapshots that were made by the grant; what they are is known."""

    copies: Annotated[list[IdText], Field(min_length=1, max_length=100)]
    medium_serial: Short
    # How it was checked, with those who take it, that the bytes are what was registered.
    verification: Reason
    verified: bool
    receivers: Annotated[list[Short], Field(min_length=1, max_length=4)]
    watermark: Short | None = None


class ProofBody(Body):
    """``document_sha256``: of the scan of the signed list, or of the receipt."""

    kind: RegisterKind
    document_sha256: Sha256
    note: Reason


@router.get("")
def register(
    user: Me,
    parts: ThePartsOf,
    q: SearchQuery = None,
    from_us: Annotated[Instant, Query(alias="from")] = None,
    to: Instant = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> RegisterPage:
    """Numbered rows, newest first, each with what was written about it later."""
    query = newest_first(
        _matching(user, q, from_us, to), RegisterEntry.at_us, RegisterEntry.id, cursor, limit
    )
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "at_us", "id", limit)
        later = _later(orm, rows)
    return RegisterPage(items=[_answer(row, later[row.id]) for row in rows], next_cursor=more)


@router.get("/table", response_class=Response, responses=gives("text/csv"))
def table(
    user: Me,
    parts: ThePartsOf,
    q: SearchQuery = None,
    from_us: Annotated[Instant, Query(alias="from")] = None,
    to: Instant = None,
) -> Response:
    """The same as a CSV file, with the later rows below each; audited, for it leaves the system."""
    query = _matching(user, q, from_us, to).order_by(RegisterEntry.at_us, RegisterEntry.id)
    with parts.database.read() as orm:
        rows = orm.scalars(query.limit(MAX_TABLE)).all()
        text = _csv(rows, _later(orm, rows))
    with parts.database.write() as orm:
        facts = {"rows": len(rows), "q": q, "from": from_us, "to": to}
        now = parts.clock.utc_us()
        leave_audit_entry(orm, user.who, "register.export", "register", now, facts=facts)
    return Response(
        # The mark tells a spreadsheet that it is UTF-8.
        "\ufeff" + text,
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="register.csv"',
            "Cache-Control": "no-store",
        },
    )


@router.get("/{entry_id}")
def entry(entry_id: EntryPath, user: Me, parts: ThePartsOf) -> OneEntryAnswer:
    """One numbered row with everything that came of it, and what was watched by the grant."""
    with parts.database.read() as orm:
        return _whole(orm, _found(orm, user, entry_id))


@router.post("/{entry_id}/handover", status_code=201)
def hand_over(
    entry_id: EntryPath, body: HandoverBody, user: Me, parts: ThePartsOf
) -> OneEntryAnswer:
    """Enter that copies were handed over, on which medium, checked how, to whom."""
    new = business.NewHandover(
        copies=tuple(dict.fromkeys(body.copies)),
        medium_serial=body.medium_serial,
        verification=body.verification,
        verified=body.verified,
        receivers=tuple(body.receivers),
        watermark=body.watermark,
    )
    with parts.database.write() as orm:
        first = _found(orm, user, entry_id)
        business.hand_over(orm, user.who, parts.clock.utc_us(), first, new)
        return _whole(orm, first)


@router.post("/{entry_id}/proof", status_code=201)
def prove(entry_id: EntryPath, body: ProofBody, user: Me, parts: ThePartsOf) -> OneEntryAnswer:
    """Enter the scan of the signed list, or the proof that a copy was returned or destroyed."""
    with parts.database.write() as orm:
        first = _found(orm, user, entry_id)
        now = parts.clock.utc_us()
        business.prove(orm, user.who, now, first, body.kind, body.document_sha256, body.note)
        return _whole(orm, first)


def _matching(
    user: CurrentUser, q: str | None, from_us: int | None, to: int | None
) -> Select[RegisterEntry]:
    row = RegisterEntry
    query = select(row).where(row.about_id.is_(None), not_secret_from(user, row))
    if q:
        columns = (
            *(row.number, row.person, row.unit, row.case_no, row.document_no),
            *(row.content, row.reason),
        )
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    if from_us is not None:
        query = query.where(row.at_us >= from_us)
    if to is not None:
        query = query.where(row.at_us < to)
    return query


def _found(orm: Orm, user: CurrentUser, entry_id: int) -> RegisterEntry:
    query = select(RegisterEntry).where(
        RegisterEntry.id == entry_id,
        RegisterEntry.about_id.is_(None),
        not_secret_from(user, RegisterEntry),
    )
    row = orm.scalars(query).first()
    if row is None:
        raise NotFound("There is no such row.")
    return row


def _later(orm: Orm, rows: Iterable[RegisterEntry]) -> dict[int, list[RegisterEntry]]:
    found: dict[int, list[RegisterEntry]] = {row.id: [] for row in rows}
    query = select(RegisterEntry).where(RegisterEntry.about_id.in_(found))
    for row in orm.scalars(query.order_by(RegisterEntry.id)):
        found[row.about_id or 0].append(row)
    return found


def _whole(orm: Orm, row: RegisterEntry) -> OneEntryAnswer:
    watched = [
        WatchedAnswer(
            stream_id=one.stream_id,
            camera=one.camera,
            medium=one.medium,
            spans=[(span.start, span.end) for span in one.spans],
        )
        for one in (watched_by(orm, row.grant_id) if row.grant_id else ())
    ]
    plain = _answer(row, _later(orm, [row])[row.id])
    return OneEntryAnswer(watched=watched, **dict(plain))


def _answer(row: RegisterEntry, later: list[RegisterEntry]) -> EntryAnswer:
    return EntryAnswer(
        id=row.id,
        number=row.number,
        kind=row.kind,
        at=row.at_us,
        by=row.by,
        person=row.person,
        unit=row.unit,
        case_no=row.case_no,
        document_no=row.document_no,
        content=row.content,
        reason=row.reason,
        grant_id=row.grant_id,
        session_id=row.session_id,
        confidential=row.confidential,
        due_at=(row.facts or {}).get("due_at"),
        proved_at=next((one.at_us for one in later if one.kind in business.ENDS), None),
        facts=row.facts,
        later=[
            LaterAnswer(
                id=one.id,
                kind=one.kind,
                at=one.at_us,
                by=one.by,
                content=one.content,
                reason=one.reason,
                facts=one.facts,
            )
            for one in later
        ],
    )


def _csv(rows: Iterable[RegisterEntry], later: dict[int, list[RegisterEntry]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for first in rows:
        for row in (first, *later[first.id]):
            writer.writerow(map(_cell, _cells(first, row)))
    return out.getvalue()


def _cells(first: RegisterEntry, row: RegisterEntry) -> Iterator[str | None]:
    due = (first.facts or {}).get("due_at")
    yield from (first.number, row.kind.zh, _time(row.at_us), row.by, row.unit, row.person)
    yield from (row.case_no, row.document_no, row.content, row.reason)
    yield _time(due) if isinstance(due, int) else None
    yield "是" if row.confidential else None


def _cell(text: str | None) -> str:
    return f"'{text}" if text and text.startswith(FORMULAS) else text or ""


def _time(at_us: int) -> str:
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(CHINA)
    return f"{at:%Y-%m-%d %H:%M:%S}"
