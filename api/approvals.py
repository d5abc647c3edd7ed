"""What several people have to agree to: asked for, agreed to, carried out once."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.schemas import DEFAULT_LIMIT, Answer, Body, IdPath, LimitQuery, Reason
from bidwitness.errors import InvalidInput, NotFound
from bidwitness.storage import approvals as business
from bidwitness.storage.approvals import Kind, Person
from bidwitness.storage.grants import about_session
from bidwitness.storage.index.models import Approval, Camera, Session, User
from bidwitness.storage.knowing import known_sessions
from bidwitness.words import ApprovalState, Role

router = APIRouter(prefix="/approvals", tags=["approvals"])

KindName = Annotated[str, StringConstraints(pattern=r"^[a-z_.]{1,64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class NewApproval(Body):
    kind: KindName
    # The exact content of the act; its form depends on the kind.
    content: Annotated[dict[str, Any], Field(max_length=50)]
    reason: Reason


class Opinion(Body):
    # The digest of what was shown: nobody agrees to something else.
    content_sha256: Sha256
    opinion: Reason | None = None


class Exactly(Body):
    content_sha256: Sha256


class VoteAnswer(Answer):
    user_id: str
    name: str
    agreed: bool
    roles: list[Role]
    opinion: str | None
    at: int


class ApprovalAnswer(Answer):
    id: str
    kind: str
    subject: str
    # What the subject is called, where that is known.
    subject_name: str | None
    # What the ids in the content are called, as far as the person may know that.
    names: dict[str, str]
    content: dict[str, Any]
    content_sha256: str
    reason: str
    state: ApprovalState
    requested_at: int
    requested_by: str
    requester: str
    expires_at: int
    needed: int
    votes: list[VoteAnswer]
    ready_at: int | None
    executed_at: int | None
    # What the person who asks may do with it now.
    may_vote: bool
    may_execute: bool
    may_withdraw: bool


class ExecutedAnswer(ApprovalAnswer):
    # Told once, to who carried it out.
    told: dict[str, str]


class Approvals(Answer):
    items: list[ApprovalAnswer]


@router.get("")
def approvals(
    user: Me,
    parts: ThePartsOf,
    closed: Annotated[bool, Query()] = False,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> Approvals:
    """What one asked for or has a say in, the newest first; ``closed=true``: what is done with."""
    person = _person(user)
    with parts.database.read() as orm:
        rows = business.concerning(
            orm, parts.kinds, person, closed=closed, limit=limit, now_us=parts.clock.utc_us()
        )
        return Approvals(items=[_answer(orm, parts, row, person) for row in rows])


@router.post("", status_code=201)
def ask(body: NewApproval, user: Me, parts: ThePartsOf) -> ApprovalAnswer:
    """Ask for an act. Others are shown exactly this content."""
    kind = parts.kinds.get(body.kind)
    if kind is None:
        raise InvalidInput("There is no such kind.", fields={"kind": "is not a kind"})
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.request(orm, kind, _person(user), body.content, body.reason, now)
        return _answer(orm, parts, row, _person(user))


@router.get("/{approval_id}")
def approval(approval_id: IdPath, user: Me, parts: ThePartsOf) -> ApprovalAnswer:
    """One request."""
    with parts.database.read() as orm:
        row, _ = _found(orm, parts, approval_id, user, lock=False)
        return _answer(orm, parts, row, _person(user))


@router.post("/{approval_id}/approve")
def approve(approval_id: IdPath, body: Opinion, user: Me, parts: ThePartsOf) -> ApprovalAnswer:
    """Agree to exactly the content of that digest."""
    return _vote(approval_id, body, user, parts, agreed=True)


@router.post("/{approval_id}/reject")
def reject(approval_id: IdPath, body: Opinion, user: Me, parts: ThePartsOf) -> ApprovalAnswer:
    """Do not agree: the request ends."""
    return _vote(approval_id, body, user, parts, agreed=False)


@router.post("/{approval_id}/withdraw")
def withdraw(approval_id: IdPath, user: Me, parts: ThePartsOf) -> ApprovalAnswer:
    """Take one's own request back."""
    with parts.database.write() as orm:
        row, _ = _found(orm, parts, approval_id, user, lock=True)
        business.withdraw(orm, row, _person(user), parts.clock.utc_us())
        return _answer(orm, parts, row, _person(user))


@router.post("/{approval_id}/execute")
def execute(approval_id: IdPath, body: Exactly, user: Me, parts: ThePartsOf) -> ExecutedAnswer:
    """Carry out what was agreed to. It happens once, and what it gives is told once."""
    with parts.database.read() as orm:
        row, kind = _found(orm, parts, approval_id, user, lock=False)
        ready = business.state_of(row, parts.clock.utc_us()) is ApprovalState.APPROVED
    # Not for those who only try: preparing may cost something.
    prepared = kind.prepare() if ready and business.may_execute(row, _person(user)) else None
    with parts.database.write() as orm:
        row, kind = _found(orm, parts, approval_id, user, lock=True)
        business.execute(
            orm,
            kind,
            row,
            _person(user),
            content_sha256=bytes.fromhex(body.content_sha256),
            prepared=prepared,
            now_us=parts.clock.utc_us(),
        )
        answer = _answer(orm, parts, row, _person(user))
    told = {name: prepared[name] for name in kind.told} if prepared else {}
    return ExecutedAnswer(told=told, **answer.model_dump())


def _vote(
    approval_id: str, body: Opinion, user: CurrentUser, parts: Parts, *, agreed: bool
) -> ApprovalAnswer:
    with parts.database.write() as orm:
        row, kind = _found(orm, parts, approval_id, user, lock=True)
        business.vote(
            orm,
            kind,
            row,
            _person(user),
            agreed=agreed,
            content_sha256=bytes.fromhex(body.content_sha256),
            opinion=body.opinion,
            now_us=parts.clock.utc_us(),
        )
        return _answer(orm, parts, row, _person(user))


def _person(user: CurrentUser) -> Person:
    return Person(user.id, user.roles, user.who)


def _found(
    orm: Orm, parts: Parts, approval_id: str, user: CurrentUser, *, lock: bool
) -> tuple[Approval, Kind]:
    """Give a request and its kind. For those whom it does not concern, it does not exist."""
    row = business.find(orm, approval_id, lock=lock)
    kind = parts.kinds.get(row.kind)
    if kind is None or not business.concerns(parts.kinds, row, _person(user)):
        raise NotFound("There is no such request.")
    return row, kind


def _answer(orm: Orm, parts: Parts, row: Approval, person: Person) -> ApprovalAnswer:
    now = parts.clock.utc_us()
    kind = parts.kinds[row.kind]
    state = business.state_of(row, now)
    votable = state is ApprovalState.PENDING and business.may_vote(kind, row, person) is None
    ready = state is ApprovalState.APPROVED and row.ready_us is not None and now >= row.ready_us
    own = row.requested_by == person.id
    noun, _, subject_id = row.subject.partition(":")
    content = business.content_of(row)
    return ApprovalAnswer(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        subject_name=_subject(orm, noun, subject_id),
        names=_names(orm, content, person, now),
        content=content,
        content_sha256=row.content_sha256.hex(),
        reason=row.reason,
        state=state,
        requested_at=row.requested_us,
        requested_by=row.requested_by,
        requester=_name(orm, row.requested_by) or "",
        expires_at=row.expires_us,
        needed=kind.rule.needed,
        votes=[
            VoteAnswer(
                user_id=one.user_id,
                name=_name(orm, one.user_id) or "",
                agreed=one.agreed,
                roles=[Role(role) for role in one.roles],
                opinion=one.opinion,
                at=one.at_us,
            )
            for one in row.votes
        ],
        ready_at=row.ready_us,
        executed_at=row.executed_us,
        may_vote=votable,
        may_execute=ready and business.may_execute(row, person),
        may_withdraw=own and state in business.OPEN,
    )


def _subject(orm: Orm, noun: str, subject_id: str) -> str | None:
    if noun == "user":
        return _name(orm, subject_id)
    if noun == "camera":
        camera = orm.get(Camera, subject_id)
        return None if camera is None else f"{camera.room.name} · {camera.name}"
    return subject_id if noun == "grant" else None


def _names(orm: Orm, content: dict[str, Any], person: Person, now: int) -> dict[str, str]:
    """Call sessions by their projects, for those who may know of them."""
    wanted = [*content.get("session_ids", []), *filter(None, [content.get("session_id")])]
    wanted += [one["session_id"] for one in content.get("sessions", [])]
    query = select(Session.id).where(Session.id.in_(wanted))
    known = known_sessions(orm, person.id, now)
    found = orm.scalars(query if known is None else query.where(known)).all() if wanted else ()
    return {one: str(about_session(orm, one)["name"]) for one in found}


def _name(orm: Orm, user_id: str) -> str | None:
    user = orm.get(User, user_id)
    return None if user is None else user.name
