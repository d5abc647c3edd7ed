"""Four eyes: an act that one person asks for and others have to agree to, word for word.

A request holds the exact content of the act, canonical and hashed. People of other roles agree to
that digest, none of them the requester, nobody twice. Then, perhaps after a time to think again, it
is carried out once. Every step leaves an audit entry with the digest, which the site's log commits
to: that is the receipt.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import and_, not_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, Forbidden, InvalidInput, NotFound
from bidwitness.ids import new_id
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Approval, ApprovalVote, User
from bidwitness.storage.logins import DAY_US
from bidwitness.words import ApprovalState, Role

OPEN = (ApprovalState.PENDING, ApprovalState.APPROVED)
# What the column holds.
MAX_CONTENT = 4000

Content = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who has to agree.

    ``disjoint``: no two of requester and approvers may have a role in common. ``cool_off_us`` is
    the time between the last agreement and the act, ``lives_us`` the whole life of a request.
    """

    requesters: frozenset[Role]
    approvers: frozenset[Role]
    needed: int = 1
    disjoint: bool = True
    cool_off_us: int = 0
    lives_us: int = 3 * DAY_US


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, agrees or carries out."""

    id: str
    roles: frozenset[Role]
    who: Who


# What an executor needs that takes long or must not be kept; made outside of the transaction.
Prepared = Mapping[str, str]


def everybody_of(rule: Rule, content: Content, person: Person) -> bool:
    """Let all know of a request who might have asked for it or may agree to it. Pure."""
    return bool(person.roles & (rule.approvers | rule.requesters))


def approvers_of(rule: Rule, content: Content, person: Person) -> bool:
    """Let only those know of a request who may agree to it: others' wishes are their own. Pure."""
    return bool(person.roles & rule.approvers)


@dataclass(frozen=True, slots=True)
class Act:
    """An act as it is carried out: what was agreed to, and by whom and when it is done (µs UTC)."""

    row: Approval
    who: Who
    at_us: int
    content: Content
    prepared: Prepared


def _anybody(orm: Orm, person: Person, content: Content, now_us: int) -> None:
    """Whoever the rule lets ask may ask for any content."""


def _nobody(content: Content) -> frozenset[str]:
    return frozenset()


def _no_trace(orm: Orm, row: Approval, who: Who, now_us: int) -> None:
    """A refusal leaves nothing besides its audit entry."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of act. Register it in ``storage.approval_kinds``.

    ``read`` gives the content in its one form and the subject (``"user:ID"``), or raises
    ``InvalidInput``; it is pure. ``check`` raises if the act is impossible as things are, ``asks``
    if this person may not ask for it (at that time). ``prepare`` is called before the transaction
    in which ``execute`` does the act; what it gave is told once, to whoever carried it out, as far
    as ``told`` names it. ``rejected`` is called when somebody does not agree.

    ``parties`` are the user names whom the content is about: they know of the request and have no
    vote. ``known_to`` says which of the rule's people know of a request with this content.
    """

    name: str
    rule: Rule
    read: Callable[[Mapping[str, Any]], tuple[Content, str]]
    check: Callable[[Orm, Content], None]
    execute: Callable[[Orm, Act], None]
    prepare: Callable[[], Prepared] = dict
    told: tuple[str, ...] = ()
    asks: Callable[[Orm, Person, Content, int], None] = _anybody
    rejected: Callable[[Orm, Approval, Who, int], None] = _no_trace
    parties: Callable[[Content], frozenset[str]] = _nobody
    known_to: Callable[[Rule, Content, Person], bool] = everybody_of


Kinds = Mapping[str, Kind]


def digest_of(approval_id: str, kind: str, subject: str, content: Content) -> bytes:
    """Give what people agree to. The id is part of it: an agreement fits one request only. Pure."""
    whole: dict[str, JsonValue] = {
        "v": 1,
        "approval": approval_id,
        "kind": kind,
        "subject": subject,
        "content": dict(content),
    }
    return hashlib.sha256(canonical(whole)).digest()


def state_of(row: Approval, now_us: int) -> ApprovalState:
    """Give the state; what has passed its time has expired, whatever the row says. Pure."""
    if row.state in OPEN and now_us >= row.expires_us:
        return ApprovalState.EXPIRED
    return row.state


def may_vote(kind: Kind, row: Approval, person: Person) -> str | None:
    """Say why somebody may not agree to a request; None if she may. Pure."""
    if person.id == row.requested_by:
        return "Nobody agrees to what she asked for herself."
    if any(vote.user_id == person.id for vote in row.votes):
        return "You have given your opinion on this already."
    if _name_of(person) in kind.parties(content_of(row)):
        return "It is about you: others have to agree."
    if not person.roles & kind.rule.approvers:
        return f"Only {_named(kind.rule.approvers)} may agree to this."
    taken = {Role(role) for roles in _roles_so_far(row) for role in roles}
    if kind.rule.disjoint and person.roles & taken:
        return f"{_named(person.roles & taken)} has had a say already: another role has to agree."
    return None


def request(
    orm: Orm, kind: Kind, person: Person, content: Mapping[str, Any], reason: str, now_us: int
) -> Approval:
    """Ask for an act. Raises ``Forbidden``, ``InvalidInput``, or what the kind's check raises."""
    if not person.roles & kind.rule.requesters:
        raise Forbidden(f"Only {_named(kind.rule.requesters)} may ask for this.")
    exact, subject = kind.read(content)
    kind.asks(orm, person, exact, now_us)
    kind.check(orm, exact)
    approval_id = new_id()
    row = Approval(
        id=approval_id,
        kind=kind.name,
        subject=subject,
        content=_text_of(exact),
        content_sha256=digest_of(approval_id, kind.name, subject, exact),
        reason=reason,
        state=ApprovalState.PENDING,
        requested_us=now_us,
        requested_by=person.id,
        requester_roles=sorted(person.roles),
        expires_us=now_us + kind.rule.lives_us,
    )
    orm.add(row)
    orm.flush()
    _note(orm, person.who, "approval.request", row, now_us, reason=reason)
    return row


def vote(
    orm: Orm,
    kind: Kind,
    row: Approval,
    person: Person,
    *,
    agreed: bool,
    content_sha256: bytes,
    opinion: str | None,
    now_us: int,
) -> Approval:
    """Agree to a request, or not; one who does not ends it.

    ``content_sha256`` is what the person was shown. Raises ``Conflict`` if the request is not open,
    has expired, or is not what she was shown; ``Forbidden`` if it is not for her to say.
    """
    _check_state(row, now_us, ApprovalState.PENDING)
    why = may_vote(kind, row, person)
    if why:
        raise Forbidden(why)
    if not agreed and not opinion:
        raise InvalidInput("Say why not.", fields={"opinion": "is missing"})
    if content_sha256 != row.content_sha256:
        raise Conflict("This is not the content that was asked for. Load it again.")
    _check_content(row)
    row.votes.append(
        ApprovalVote(
            user_id=person.id,
            place=len(row.votes) + 1,
            agreed=agreed,
            roles=sorted(person.roles),
            opinion=opinion,
            at_us=now_us,
            content_sha256=content_sha256,
        )
    )
    if not agreed:
        row.state = ApprovalState.REJECTED
        kind.rejected(orm, row, person.who, now_us)
    elif sum(one.agreed for one in row.votes) >= kind.rule.needed:
        row.state = ApprovalState.APPROVED
        row.ready_us = now_us + kind.rule.cool_off_us
    orm.flush()
    action = "approval.agree" if agreed else "approval.reject"
    _note(orm, person.who, action, row, now_us, reason=opinion)
    return row


def withdraw(orm: Orm, row: Approval, person: Person, now_us: int) -> Approval:
    """Take a request back. Raises ``Forbidden`` for another's, ``Conflict`` if it is not open."""
    if row.requested_by != person.id:
        raise Forbidden("Only who asked for it can take it back.")
    _check_state(row, now_us, *OPEN)
    row.state = ApprovalState.WITHDRAWN
    _note(orm, person.who, "approval.withdraw", row, now_us)
    return row


def may_execute(row: Approval, person: Person) -> bool:
    """Tell whether somebody took part, and so may carry it out. Pure."""
    return person.id == row.requested_by or any(one.user_id == person.id for one in row.votes)


def execute(
    orm: Orm,
    kind: Kind,
    row: Approval,
    person: Person,
    *,
    content_sha256: bytes,
    prepared: Prepared | None,
    now_us: int,
) -> Approval:
    """Carry out what was agreed to, once. ``row`` is locked: see ``find``.

    ``prepared`` is what the kind's ``prepare`` gave; None if it was too early to ask it.

    Raises ``Conflict`` if it was carried out, has expired, waits still, is not what was agreed to,
    or if one of those who agreed has lost her role since; and what the kind's check raises.
    """
    if not may_execute(row, person):
        raise Forbidden("Only who asked for it or agreed to it can carry it out.")
    _check_state(row, now_us, ApprovalState.APPROVED)
    if row.ready_us is None or now_us < row.ready_us:
        raise Conflict("There is still time to think again: it can be carried out later.")
    content = _check_content(row)
    agreed = [one for one in row.votes if one.agreed]
    digests = {row.content_sha256, content_sha256, *(one.content_sha256 for one in agreed)}
    if len(digests) != 1:
        raise Conflict("The content was changed after it was agreed to: it is not carried out.")
    _check_people(orm, kind, row, agreed)
    kind.check(orm, content)
    if prepared is None:
        raise Conflict("It has just been agreed to. Try again.")
    row.state, row.executed_us, row.executed_by = ApprovalState.EXECUTED, now_us, person.id
    orm.flush()
    kind.execute(orm, Act(row, person.who, now_us, content, prepared))
    by = [one.user_id for one in agreed]
    _note(orm, person.who, "approval.execute", row, now_us, agreed_by=by)
    return row


def find(orm: Orm, approval_id: str, *, lock: bool = False) -> Approval:
    """Give a request with its votes. ``lock``: nobody else acts on it in the meantime.

    Raises ``NotFound``.
    """
    row = orm.get(Approval, approval_id, with_for_update=lock)
    if row is None:
        raise NotFound("There is no such request.")
    _ = row.votes  # loaded here: it is read after the session has ended
    return row


def concerning(
    orm: Orm, kinds: Kinds, person: Person, *, closed: bool, limit: int, now_us: int
) -> list[Approval]:
    """Give the requests that somebody asked for, has a say in, or had; the newest first."""
    still_open = and_(Approval.state.in_(OPEN), Approval.expires_us > now_us)
    query = select(Approval).where(not_(still_open) if closed else still_open)
    query = query.order_by(Approval.requested_us.desc(), Approval.id)
    found: list[Approval] = []
    # The limit is on what she may know of: other people's requests must not push hers out.
    for start in count(0, limit):
        rows = orm.scalars(query.offset(start).limit(limit)).all()
        found += [row for row in rows if concerns(kinds, row, person)]
        if len(found) >= limit or len(rows) < limit:
            break
    for row in found[:limit]:
        _ = row.votes
    return found[:limit]


def concerns(kinds: Kinds, row: Approval, person: Person) -> bool:
    """Tell whether somebody may know of a request at all. Pure."""
    if may_execute(row, person):
        return True
    kind = kinds.get(row.kind)
    if kind is None:
        return False
    content = content_of(row)
    return _name_of(person) in kind.parties(content) or kind.known_to(kind.rule, content, person)


def content_of(row: Approval) -> dict[str, JsonValue]:
    """Give the content that is kept; nothing of one that somebody has broken."""
    try:
        content = json.loads(row.content)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _name_of(person: Person) -> str:
    return person.who.name.lower()


def _text_of(content: Content) -> str:
    try:
        text = canonical(dict(content)).decode()
    except BadRecord as error:
        raise InvalidInput(f"The content cannot be kept: {error}.") from None
    if len(text) > MAX_CONTENT:
        raise InvalidInput("The content is too long.")
    return text


def _check_state(row: Approval, now_us: int, *wanted: ApprovalState) -> None:
    state = state_of(row, now_us)
    if state in wanted:
        return
    raise Conflict(
        {
            ApprovalState.PENDING: "Not enough people have agreed to it yet.",
            ApprovalState.APPROVED: "Enough people have agreed to it already.",
            ApprovalState.REJECTED: "It was rejected.",
            ApprovalState.WITHDRAWN: "It was taken back.",
            ApprovalState.EXECUTED: "It was carried out already: that happens once.",
            ApprovalState.EXPIRED: "Its time has passed: ask for it again.",
        }[state]
    )


def _check_content(row: Approval) -> Content:
    """Give the content, if it is what the digest says. Raises ``Conflict``."""
    changed = Conflict("The content was changed after it was asked for: it is not carried out.")
    try:
        content = parse(row.content.encode())
    except BadRecord:
        raise changed from None
    if digest_of(row.id, row.kind, row.subject, content) != row.content_sha256:
        raise changed
    return content


def _check_people(orm: Orm, kind: Kind, row: Approval, agreed: Iterable[ApprovalVote]) -> None:
    """Whoever agreed must still be somebody who may, and there must be enough of them."""
    standing = 0
    for one in agreed:
        user = orm.get_one(User, one.user_id)
        roles = {entry.role for entry in user.roles}
        if user.disabled or not roles & kind.rule.approvers or user.id == row.requested_by:
            raise Conflict(f"{user.username} agreed, and may not any more: ask for it again.")
        standing += 1
    if standing < kind.rule.needed:
        raise Conflict("Not enough people have agreed to it.")


def _roles_so_far(row: Approval) -> list[list[str]]:
    return [list(row.requester_roles), *(list(one.roles) for one in row.votes)]


def _named(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(roles))


def _note(
    orm: Orm,
    who: Who,
    action: str,
    row: Approval,
    now_us: int,
    *,
    reason: str | None = None,
    **more: object,
) -> None:
    facts = {"kind": row.kind, "subject": row.subject, "sha256": row.content_sha256.hex(), **more}
    leave_audit_entry(orm, who, action, f"approval:{row.id}", now_us, reason=reason, facts=facts)
