"""Requests for footage (调阅) and demands of authorities (调取) as acts that several agree to.

A request needs two of director, security administrator and archivist, none of them who asked or who
is to have it. Of a demand one of them says that the papers are in order: nobody judges the demand.
The supervising department's word on what is secret still is given to the grant itself.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Forbidden, NotFound
from bidwitness.storage.approvals import (
    Act,
    Content,
    Kind,
    Person,
    Rule,
    approvers_of,
    content_of,
)
from bidwitness.storage.grant_forms import read_demand, read_request, request_of
from bidwitness.storage.grants import check_form, give, register_row
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.models import Approval, Session
from bidwitness.storage.knowing import KNOWS_SESSIONS, known_sessions
from bidwitness.storage.logins import DAY_US
from bidwitness.storage.register import enter
from bidwitness.storage.secrecy import KNOW_CONFIDENTIAL, named_in
from bidwitness.words import RegisterKind, Role

REQUEST = "grant.request"
DEMAND = "grant.demand"
APPROVERS = frozenset({Role.DIRECTOR, Role.SECURITY_ADMIN, Role.ARCHIVIST})
# They take a paper application and file it for whoever signed it.
CLERKS = frozenset({Role.ARCHIVIST, Role.SECURITY_ADMIN})


def request_kind() -> Kind:
    """Give the kind of act by which somebody is granted what she asked for."""
    return Kind(
        name=REQUEST,
        rule=Rule(
            requesters=CLERKS | {Role.AUDITOR, Role.SUPERVISOR},
            approvers=APPROVERS,
            needed=2,
            lives_us=14 * DAY_US,
        ),
        read=read_request,
        check=_check,
        execute=_execute,
        asks=_asks,
        rejected=_rejected,
        parties=_parties,
        known_to=approvers_of,
    )


def demand_kind() -> Kind:
    """Give the kind of act by which an authority has what it demands."""
    return Kind(
        name=DEMAND,
        rule=Rule(requesters=CLERKS, approvers=APPROVERS, needed=1, lives_us=7 * DAY_US),
        read=read_demand,
        check=_check,
        execute=_execute,
        asks=_asks,
        rejected=_rejected,
        parties=_parties,
        known_to=_known_to,
    )


def _asks(orm: Orm, person: Person, content: Content, now_us: int) -> None:
    """Raise ``Forbidden`` for a wish in another's name, ``NotFound`` for what she may not know of.

    Auditors know of no session before it is granted: they have its number from elsewhere.
    """
    own = str(content["username"]).lower() == person.who.name.lower()
    if not own and not person.roles & CLERKS:
        raise Forbidden("Ask for yourself; a paper application is filed by the archivist.")
    if not person.roles & KNOWS_SESSIONS:
        return
    known = known_sessions(orm, person.id, now_us)
    if known is None:
        return
    wanted = request_of(content).session_ids
    query = select(func.count()).select_from(Session).where(Session.id.in_(wanted), known)
    if orm.scalar(query) != len(set(wanted)):
        raise NotFound("There is no such session.")


def _check(orm: Orm, content: Content) -> None:
    check_form(orm, request_of(content))


def _execute(orm: Orm, act: Act) -> None:
    give(orm, act.who, act.at_us, act.row, request_of(act.content))


def _rejected(orm: Orm, row: Approval, who: Who, now_us: int) -> None:
    """Enter the refusal, with everybody's opinion."""
    form = request_of(content_of(row))
    sessions = sorted(set(form.session_ids))
    enter(orm, who, now_us, register_row(orm, RegisterKind.REFUSAL, row, form, sessions))


def _parties(content: Content) -> frozenset[str]:
    return frozenset({str(content.get("username", "")).lower()})


def _known_to(rule: Rule, content: Content, person: Person) -> bool:
    if not content.get("confidential"):
        return approvers_of(rule, content, person)
    named = named_in(content.get("officers"), person.who.name)
    return named or bool(person.roles & KNOW_CONFIDENTIAL)
