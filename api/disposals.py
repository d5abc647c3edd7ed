"""Disposal: what is due, the exact list of it, and the receipts. It is asked for by ``approvals``."""

from fastapi import APIRouter, Response
from sqlalchemy import select

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import DEFAULT_LIMIT, Answer, CursorQuery, IdPath, LimitQuery
from bidwitness.api.seeing import check_may_read_about
from bidwitness.errors import Forbidden, NotFound
from bidwitness.storage import disposals as business
from bidwitness.storage.grants import about_session
from bidwitness.storage.index.models import Disposal, Session
from bidwitness.storage.knowing import known_sessions

router = APIRouter(prefix="/disposals", tags=["disposals"])

NDJSON = "application/x-ndjson"
# As many as one request takes.
MOST = 20


class DueAnswer(Answer):
    """``list_sha256``: of ``disposals/lists/{session_id}``, which is what people agree to."""

    session_id: str
    name: str
    kept_until: int
    segments: int
    bytes: int
    list_sha256: str


class DuePage(Answer):
    items: list[DueAnswer]


class DisposalAnswer(Answer):
    """``state``: ``removing`` until the last byte has gone, then ``done``."""

    id: str
    session_id: str
    name: str
    state: str
    approval_id: str
    segments: int
    bytes: int
    list_sha256: str
    agreed_at: int
    agreed_by: str
    done_at: int | None


class DisposalPage(Answer):
    items: list[DisposalAnswer]
    next_cursor: str | None


@router.get("/due")
def due(user: Me, parts: ThePartsOf) -> DuePage:
    """Sessions whose footage may go, the oldest first; at most twenty."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        known = known_sessions(orm, user.id, now)
        hers = None if known is None else set(orm.scalars(select(Session.id).where(known)))
        items = []
        for row, until in business.due_sessions(orm, now):
            if hers is not None and row.id not in hers:
                continue
            found = business.listing(orm, row.id)
            items.append(
                DueAnswer(
                    session_id=row.id,
                    name=str(about_session(orm, row.id)["name"]),
                    kept_until=until,
                    segments=len(found.segments),
                    bytes=found.size,
                    list_sha256=found.sha256,
                )
            )
            if len(items) == MOST:
                break
    return DuePage(items=items)


@router.get("/lists/{session_id}", response_class=Response, responses=gives(NDJSON))
def exact_list(session_id: IdPath, user: Me, parts: ThePartsOf) -> Response:
    """The list of a session: a JSON line a segment. Its SHA-256 is what is agreed to."""
    with parts.database.read() as orm:
        try:
            check_may_read_about(orm, user, session_id, parts.clock.utc_us())
        except Forbidden:
            raise NotFound("There is no such session.") from None
        if orm.get(Session, session_id) is None:
            raise NotFound("There is no such session.")
        lines = business.listing(orm, session_id).lines
    return Response(b"".join(line + b"\n" for line in lines), media_type=NDJSON)


@router.get("")
def disposals(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> DisposalPage:
    """Receipts, newest first: what was destroyed by which approval, and when the last of it went."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        query = select(Disposal)
        known = known_sessions(orm, user.id, now)
        if known is not None:
            query = query.where(Disposal.session_id.in_(select(Session.id).where(known)))
        query = newest_first(query, Disposal.requested_us, Disposal.id, cursor, limit)
        rows, more = split_page(orm.scalars(query).all(), "requested_us", "id", limit)
        items = [
            DisposalAnswer(
                id=row.id,
                session_id=row.session_id,
                name=str(about_session(orm, row.session_id)["name"]),
                state=row.state,
                approval_id=row.listed["approval"],
                segments=len(row.listed["segments"]),
                bytes=row.listed["bytes"],
                list_sha256=row.listed["sha256"],
                agreed_at=row.requested_us,
                agreed_by=row.requested_by,
                done_at=row.executed_us,
            )
            for row in rows
        ]
    return DisposalPage(items=items, next_cursor=more)
