"""Whether the audit trail is what the log of the site committed to: the last walk, and a new one."""

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.schemas import Answer
from bidwitness.storage.evidence.entries import AuditCommitment
from bidwitness.storage.index.models import AuditRound, Outbox
from bidwitness.storage.trail.keeper import ask_for_round
from bidwitness.words import TrailFault

router = APIRouter(prefix="/audit/reconciliation", tags=["reconciliation"])


class FindingAnswer(Answer):
    """Rows ``first`` to ``last`` of ``table``, or ``rows`` entries of the log that no row answers to."""

    fault: TrailFault
    table: str
    first: int | None
    last: int | None
    shard: str | None
    first_place: int | None
    last_place: int | None
    rows: int
    # What the row was entered as, if it took another's place.
    other: int | None
    after_us: int | None
    before_us: int | None
    why: str


class RoundAnswer(Answer):
    begun_at: int
    ended_at: int
    looked_at: int
    # How many findings no honest run of the programs leaves.
    faults: int
    findings: list[FindingAnswer]


class ReconciliationAnswer(Answer):
    # The last round that ended; empty before the first.
    last: RoundAnswer | None
    running: bool
    wanted_at: int | None
    # Entries that wait to be logged: they are walked as soon as they are.
    waiting: int


@router.get("")
def reconciliation(user: Me, parts: ThePartsOf) -> ReconciliationAnswer:
    """What the last walk found. `keep` walks every hour."""
    with parts.database.read() as orm:
        return _state(orm)


@router.post("", status_code=202)
def walk(user: Me, parts: ThePartsOf) -> ReconciliationAnswer:
    """Have `keep` walk now."""
    with parts.database.write() as orm:
        ask_for_round(orm, user.who, parts.clock.utc_us())
        orm.flush()
        return _state(orm)


def _state(orm: Orm) -> ReconciliationAnswer:
    ended = select(AuditRound).where(AuditRound.ended_us.is_not(None))
    last = orm.scalars(ended.order_by(AuditRound.id.desc())).first()
    going = orm.scalars(
        select(AuditRound).where(AuditRound.ended_us.is_(None)).order_by(AuditRound.id)
    ).all()
    waiting = orm.scalar(
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.shard.is_(None), Outbox.kind == AuditCommitment.T)
    )
    return ReconciliationAnswer(
        last=None if last is None else _round(last),
        running=any(row.begun_us is not None for row in going),
        wanted_at=next((row.wanted_us for row in going if row.begun_us is None), None),
        waiting=waiting or 0,
    )


def _round(row: AuditRound) -> RoundAnswer:
    return RoundAnswer(
        begun_at=row.begun_us or 0,
        ended_at=row.ended_us or 0,
        looked_at=row.looked_at,
        faults=row.faults,
        findings=[FindingAnswer.model_validate(item) for item in row.findings],
    )
