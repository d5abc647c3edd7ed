"""Projects and their lots, and the phase of each lot."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    LimitQuery,
    Name,
    Printable,
    SearchQuery,
    Short,
    Text,
    Us,
    cursor_of,
    place_of,
)
from bidwitness.storage.index.models import Lot, Project
from bidwitness.storage.sessions.projects import (
    MAX_LOTS,
    NewLot,
    NewProject,
    change_phase,
    create_project,
    list_projects,
)
from bidwitness.words import LotPhase, ProjectCategory

router = APIRouter(tags=["projects"])

LotCode = Annotated[str, StringConstraints(min_length=1, max_length=64), Printable]


class LotBody(Body):
    code: LotCode
    name: Text | None = None


class ProjectBody(Body):
    code: Name
    name: Text
    category: ProjectCategory = ProjectCategory.OTHER
    lots: Annotated[tuple[LotBody, ...], Field(max_length=MAX_LOTS)] = ()
    trade_code: Name | None = None
    method: Name | None = None
    initiator: Text | None = None
    agency: Text | None = None
    department: Text | None = None
    owner: Text | None = None


class PhaseBody(Body):
    phase: LotPhase
    # When the lot came into it; now, if not given.
    at: Us | None = None
    document_no: Short | None = None


class LotAnswer(Answer):
    id: str
    code: str
    name: str
    phase: LotPhase


class ProjectAnswer(Answer):
    id: str
    code: str
    trade_code: str | None
    name: str
    category: ProjectCategory
    method: str | None
    initiator: str | None
    agency: str | None
    department: str | None
    owner: str | None
    lots: list[LotAnswer]


class ProjectPage(Answer):
    items: list[ProjectAnswer]
    next_cursor: str | None


@router.get("/projects")
def projects(
    user: Me,
    parts: ThePartsOf,
    q: SearchQuery = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> ProjectPage:
    """Projects with their lots, newest first; ``q`` is a part of the code or name."""
    place = place_of(cursor, (int, str))
    after = (int(place[0]), str(place[1])) if place is not None else None
    with parts.database.read() as orm:
        rows, last = list_projects(orm, q, after=after, limit=limit)
        items = [_answer(row) for row in rows]
    return ProjectPage(items=items, next_cursor=cursor_of(*last) if last else None)


@router.post("/projects", status_code=201)
def create(body: ProjectBody, user: Me, parts: ThePartsOf) -> ProjectAnswer:
    """Add a project; without lots it has the one lot ``-``."""
    given = body.model_dump(exclude={"lots"})
    lots = tuple(NewLot(lot.code, lot.name) for lot in body.lots)
    with parts.database.write() as orm:
        return _answer(create_project(orm, parts.clock, user.who, NewProject(**given, lots=lots)))


@router.post("/lots/{lot_id}/phase")
def phase(lot_id: IdPath, body: PhaseBody, user: Me, parts: ThePartsOf) -> LotAnswer:
    """Bring a lot into another phase; a step back needs the document that orders it."""
    with parts.database.write() as orm:
        lot = change_phase(
            orm,
            parts.clock,
            user.who,
            lot_id,
            body.phase,
            at_us=body.at,
            document_no=body.document_no,
        )
        return _lot(lot)


def _answer(row: Project) -> ProjectAnswer:
    return ProjectAnswer(
        id=row.id,
        code=row.code,
        trade_code=row.trade_code,
        name=row.name,
        category=row.category,
        method=row.method,
        initiator=row.initiator,
        agency=row.agency,
        department=row.department,
        owner=row.owner,
        lots=[_lot(lot) for lot in sorted(row.lots, key=lambda lot: lot.code)],
    )


def _lot(row: Lot) -> LotAnswer:
    return LotAnswer(id=row.id, code=row.code, name=row.name or "", phase=row.phase)
