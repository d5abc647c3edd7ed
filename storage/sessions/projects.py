"""Projects, their lots, and the phases a lot goes through."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.clock import Clock
from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import NO_LOT, Lot, PhaseChange, Project
from bidwitness.words import LotPhase, ProjectCategory

MAX_LOTS = 500


@dataclass(frozen=True, slots=True)
class NewLot:
    code: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NewProject:
    """A traded project. Without lots it gets the one lot ``-``, on which its retention hangs."""

    code: str
    name: str
    category: ProjectCategory = ProjectCategory.OTHER
    lots: tuple[NewLot, ...] = ()
    trade_code: str | None = None
    method: str | None = None
    initiator: str | None = None
    agency: str | None = None
    department: str | None = None
    owner: str | None = None


def create_project(orm: Orm, clock: Clock, who: Who, new: NewProject) -> Project:
    """Add a project with its lots, each ``registered``. Call inside ``Database.write``.

    Raises ``InvalidInput`` naming each wrong field, ``Conflict`` if the code is taken.
    """
    fields = _wrong_fields(new)
    if fields:
        raise InvalidInput(
            f"The project is not accepted: {'; '.join(fields.values())}.", fields=fields
        )
    code = new.code.strip()
    if orm.scalar(select(Project.id).where(Project.code == code)) is not None:
        raise Conflict(
            f"There is a project {code} already.", fields={"code": "choose another, or use it"}
        )
    now = clock.utc_us()
    project = Project(
        code=code,
        trade_code=new.trade_code,
        name=new.name.strip(),
        category=new.category,
        method=new.method,
        initiator=new.initiator,
        agency=new.agency,
        department=new.department,
        owner=new.owner,
        created_us=now,
    )
    for lot in new.lots or (NewLot(NO_LOT),):
        project.lots.append(Lot(code=lot.code.strip(), name=lot.name, phase=LotPhase.REGISTERED))
    orm.add(project)
    orm.flush()
    leave_audit_entry(
        orm,
        who,
        "project.create",
        f"project:{project.id}",
        now,
        facts={"code": code, "lots": [lot.code for lot in project.lots]},
    )
    return project


def _wrong_fields(new: NewProject) -> dict[str, str]:
    fields: dict[str, str] = {}
    if not 0 < len(new.code.strip()) <= 120:
        fields["code"] = "a project needs a code of 1 to 120 characters"
    if not 0 < len(new.name.strip()) <= 500:
        fields["name"] = "a project needs a name of 1 to 500 characters"
    if len(new.lots) > MAX_LOTS:
        fields["lots"] = f"a project has at most {MAX_LOTS} lots"
    codes = [lot.code.strip() for lot in new.lots]
    for number, code in enumerate(codes):
        if not 0 < len(code) <= 64:
            fields[f"lots.{number}.code"] = "a lot needs a code of 1 to 64 characters"
        elif code in codes[:number]:
            fields[f"lots.{number}.code"] = f"lot {code} is named twice"
    return fields


def find_lot(orm: Orm, project_code: str, lot_code: str | None, *, field: str = "") -> Lot:
    """Give a lot of a project; without ``lot_code`` the project's only one.

    Raises ``InvalidInput`` naming ``{field}project_code`` or ``{field}lot_code`` and the fix.
    """
    project = orm.scalars(
        select(Project).where(Project.code == project_code).options(selectinload(Project.lots))
    ).first()
    if project is None:
        raise InvalidInput(
            f"There is no project {project_code}. Create the project first.",
            fields={f"{field}project_code": "create the project first"},
        )
    if lot_code is None:
        if len(project.lots) == 1:
            return project.lots[0]
        codes = _listed(project.lots)
        raise InvalidInput(
            f"Project {project_code} has several lots: {codes}. Name one.",
            fields={f"{field}lot_code": f"one of {codes}"},
        )
    for lot in project.lots:
        if lot.code == lot_code:
            return lot
    codes = _listed(project.lots)
    raise InvalidInput(
        f"Project {project_code} has no lot {lot_code}.",
        fields={f"{field}lot_code": f"one of {codes}"},
    )


def _listed(lots: Sequence[Lot]) -> str:
    codes = sorted(lot.code for lot in lots)
    return ", ".join(codes[:20]) + (" …" if len(codes) > 20 else "")


def list_projects(
    orm: Orm, q: str | None = None, *, after: tuple[int, str] | None = None, limit: int = 50
) -> tuple[list[Project], tuple[int, str] | None]:
    """Give a page of projects with their lots, newest first, and the place of its last one.

    ``q``: a part of the code or name. ``after``: the place (made at, id) that the page before
    ended with. The place is empty when nothing follows.
    """
    query = select(Project).options(selectinload(Project.lots))
    if q:
        query = query.where(
            Project.code.icontains(q, autoescape=True) | Project.name.icontains(q, autoescape=True)
        )
    if after is not None:
        query = query.where(tuple_(Project.created_us, Project.id) < after)
    query = query.order_by(Project.created_us.desc(), Project.id.desc()).limit(limit + 1)
    rows = list(orm.scalars(query))
    page = rows[:limit]
    return page, (page[-1].created_us, page[-1].id) if len(rows) > limit else None


def change_phase(
    orm: Orm,
    clock: Clock,
    who: Who,
    lot_id: str,
    phase: LotPhase,
    *,
    at_us: int | None = None,
    document_no: str | None = None,
) -> Lot:
    """Bring a lot into another phase, at ``at_us`` (µs UTC; now if left out).

    Raises ``NotFound``, ``InvalidInput`` for a time to come, ``Conflict`` for the phase it has
    already and for a step back without the document that orders it.
    """
    lot = orm.get(Lot, lot_id)
    if lot is None:
        raise NotFound("There is no such lot.")
    now = clock.utc_us()
    at = now if at_us is None else at_us
    if not 0 <= at <= now:
        raise InvalidInput(
            "A phase cannot begin in the future.", fields={"at": "not later than now"}
        )
    if phase == lot.phase:
        raise Conflict(f"The lot is in phase {phase} already.")
    if is_step_back(lot.phase, phase) and not (document_no or "").strip():
        raise Conflict(
            f"From {lot.phase} back to {phase} a lot goes only by a document: give document_no.",
            fields={"document_no": "the number of the document that orders it"},
        )
    before, lot.phase = lot.phase, phase
    orm.add(
        PhaseChange(
            lot_id=lot.id,
            phase=phase,
            at_us=at,
            by=who.name,
            document_no=document_no,
            recorded_us=now,
        )
    )
    leave_audit_entry(
        orm,
        who,
        "lot.phase",
        f"lot:{lot.id}",
        now,
        facts={"from": before, "to": phase, "at_us": at, "document_no": document_no},
    )
    return lot


def is_step_back(present: LotPhase, wanted: LotPhase) -> bool:
    """Say whether ``wanted`` undoes what ``present`` stands for. Pure.

    A lot may skip phases, and may fail or be terminated at any time. Whatever is done by mistake
    can be taken back, but not without a document.
    """
    failed = (LotPhase.FAILED, LotPhase.TERMINATED)
    if wanted in failed:
        return present in (*failed, LotPhase.ENDED)
    order = list(LotPhase)
    return present in failed or order.index(wanted) < order.index(present)
