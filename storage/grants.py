"""Grants: who may replay or copy a session's footage, as several people have agreed to it."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, Forbidden, InvalidInput, NotFound
from bidwitness.rights import BY_GRANT
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.grant_forms import DemandForm, RequestForm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import (
    Approval,
    ApprovalVote,
    Grant,
    GrantUse,
    Item,
    Lot,
    Project,
    Session,
    Stream,
    User,
)
from bidwitness.storage.logins import DAY_US
from bidwitness.storage.people import find_user
from bidwitness.storage.register import NewRow, enter, enter_about, row_of_grant
from bidwitness.words import Action, GrantKind, RegisterKind, Role

# Nobody looks at footage for longer at a stretch: then it is another viewing.
VIEWING_US = DAY_US


def check_form(orm: Orm, form: RequestForm) -> User:
    """Give who is to have the grant.

    Raises ``InvalidInput`` for a user, session or stream that is none, or a right that the user's
    roles can never use.
    """
    user = find_user(orm, form.username)
    if user is None or user.disabled:
        raise InvalidInput("There is no such user.", fields={"content.username": "is not a user"})
    _check_use(user, form.actions)
    for ids, table, name in (
        (form.session_ids, Session, "session_ids"),
        (form.stream_ids, Stream, "stream_ids"),
    ):
        query = select(func.count()).select_from(table).where(table.id.in_(ids))
        if orm.scalar(query) != len(set(ids)):
            raise InvalidInput(
                "Not all of these are there.", fields={f"content.{name}": "holds one that is none"}
            )
    officers = form.officers if isinstance(form, DemandForm) else []
    for name in officers:
        if find_user(orm, name) is None:
            raise InvalidInput(
                f"There is no user {name}.", fields={"content.officers": "holds one that is none"}
            )
    return user


def give(orm: Orm, who: Who, at_us: int, approval: Approval, form: RequestForm) -> list[Grant]:
    """Make the grants that were agreed to, one a session, each with its row in the register.

    Raises ``InvalidInput`` as ``check_form`` does.
    """
    user = check_form(orm, form)
    demand = form if isinstance(form, DemandForm) else None
    grants: list[Grant] = []
    for session_id in sorted(set(form.session_ids)):
        grant = Grant(
            kind=GrantKind.DEMAND if demand else GrantKind.REQUEST,
            user_id=user.id,
            session_id=session_id,
            from_us=form.from_us,
            to_us=form.to_us,
            media=sorted({medium.value for medium in form.media}),
            actions=sorted({action.value for action in form.actions}),
            reason=form.purpose,
            document_no=form.document_no,
            made_us=at_us,
            made_by=who.name,
            expires_us=at_us + form.days * DAY_US,
            stream_ids=sorted(set(form.stream_ids)) or None,
            views=form.views,
            approval_id=approval.id,
            confidential=demand is not None and demand.confidential,
            officers=officers_of(form, approval, orm),
        )
        orm.add(grant)
        orm.flush()
        row = register_row(orm, RegisterKind.GRANT, approval, form, [session_id], grant)
        entry = enter(orm, who, at_us, row)
        leave_audit_entry(
            orm,
            who,
            "grant.make",
            f"session:{session_id}",
            at_us,
            reason=form.purpose,
            facts={
                "grant": grant.id,
                "user": user.username,
                "approval": approval.id,
                "register": entry.number,
                "media": grant.media,
                "actions": grant.actions,
            },
        )
        grants.append(grant)
    return grants


def register_row(
    orm: Orm,
    kind: RegisterKind,
    approval: Approval,
    form: RequestForm,
    session_ids: Sequence[str],
    grant: Grant | None = None,
) -> NewRow:
    """Say what the register holds of a request, as it was granted or refused."""
    user = find_user(orm, form.username)
    demand = form if isinstance(form, DemandForm) else None
    way = "调取" if demand else "复制" if Action.COPY in form.actions else "查阅"
    about: list[JsonValue] = [about_session(orm, session_id) for session_id in session_ids]
    names = "；".join(str(one["name"]) for one in about if isinstance(one, dict))
    media = "、".join(medium.zh for medium in sorted(set(form.media)))
    acts = "、".join(action.zh for action in sorted(set(form.actions)))
    asked = orm.get_one(User, approval.requested_by)
    facts: dict[str, JsonValue] = {
        **form.model_dump(mode="json", by_alias=True, exclude_none=True),
        "way": way,
        "about": about,
        "approval": approval.id,
        "requested_by": asked.name,
        "requested_at": approval.requested_us,
        "said": [_said(orm, vote) for vote in approval.votes],
    }
    if grant is not None:
        facts["expires_at"] = grant.expires_us
    if demand and demand.due_days and grant is not None:
        facts["due_at"] = grant.made_us + demand.due_days * DAY_US
    person = user.name if user else form.username
    return NewRow(
        kind=kind,
        person="、".join(one.name for one in demand.handlers) if demand else person,
        content=f"{way} {names}；{media}；{acts}",
        reason=form.purpose,
        grant_id=grant.id if grant else None,
        session_id=session_ids[0] if len(session_ids) == 1 else None,
        unit=form.unit,
        case_no=form.case_no,
        document_no=form.document_no,
        confidential=demand is not None and demand.confidential,
        officers=tuple(officers_of(form, approval, orm)),
        facts=facts,
    )


def officers_of(form: RequestForm, approval: Approval, orm: Orm) -> list[str]:
    """Give who knows of a confidential grant, by user name: the named, who asked, and who has it."""
    if not isinstance(form, DemandForm) or not form.confidential:
        return []
    asked = orm.get_one(User, approval.requested_by).username
    return sorted({name.lower() for name in (*form.officers, form.username, asked)})


def revoke_grant(orm: Orm, who: Who, at_us: int, grant_id: str, reason: str) -> Grant:
    """End a right at once; open viewings notice within seconds. Raises ``NotFound``, ``Conflict``."""
    grant = orm.get(Grant, grant_id)
    if grant is None:
        raise NotFound("There is no such grant.")
    if grant.revoked_us is not None:
        raise Conflict("The grant was revoked before.")
    grant.revoked_us = at_us
    first = row_of_grant(orm, grant.id)
    if first is not None:
        kind = RegisterKind.REVOCATION
        enter_about(orm, who, at_us, first, kind, content=kind.zh, reason=reason)
    leave_audit_entry(
        orm,
        who,
        "grant.revoke",
        f"session:{grant.session_id}",
        at_us,
        reason=reason,
        facts={"grant": grant.id},
    )
    return grant


def agree_to_grant(orm: Orm, who: Who, at_us: int, grant_id: str) -> Grant:
    """Note that the supervising department agrees.

    Raises ``NotFound``, ``Conflict``, and ``Forbidden`` for whoever gave it or is to have it.
    """
    grant = orm.get(Grant, grant_id)
    if grant is None:
        raise NotFound("There is no such grant.")
    if grant.revoked_us is not None or grant.department_us is not None:
        raise Conflict("The grant was agreed to or revoked before.")
    if grant.kind is not GrantKind.REQUEST:
        raise Conflict("The department is asked about what somebody has asked for alone.")
    asked = orm.get(Approval, grant.approval_id) if grant.approval_id else None
    voted = {vote.user_id for vote in asked.votes} if asked else set()
    if (
        who.name == grant.made_by
        or who.user_id in {grant.user_id, *voted}
        or (asked is not None and who.user_id == asked.requested_by)
    ):
        raise Forbidden("The department agrees by somebody who neither gave the grant nor has it.")
    grant.department_us, grant.department_by = at_us, who.name
    facts = {"grant": grant.id}
    leave_audit_entry(
        orm, who, "grant.department", f"session:{grant.session_id}", at_us, facts=facts
    )
    return grant


def uses_of(orm: Orm, grant_ids: Iterable[str]) -> dict[str, int]:
    """Give how many viewings were opened by each of these grants."""
    query = select(GrantUse.grant_id, func.count()).where(GrantUse.grant_id.in_(list(grant_ids)))
    return {row[0]: row[1] for row in orm.execute(query.group_by(GrantUse.grant_id))}


def take_views(orm: Orm, grant_ids: Iterable[str], playback_id: str, at_us: int) -> None:
    """Note that a viewing was opened by these grants. Raises ``Forbidden`` if one has no more."""
    for grant_id in sorted(grant_ids):
        # Two who open at once take their turns here.
        grant = orm.get(Grant, grant_id, with_for_update=True, populate_existing=True)
        used = uses_of(orm, [grant_id]).get(grant_id, 0)
        if grant is None or (grant.views is not None and used >= grant.views):
            raise Forbidden("All viewings of this grant have been used. Ask for it again.")
        orm.add(GrantUse(grant_id=grant_id, playback_id=playback_id, at_us=at_us))
    orm.flush()


def usable_actions(roles: Iterable[Role]) -> frozenset[Action]:
    """Give what a grant can give somebody of these roles. Pure."""
    return frozenset().union(*(BY_GRANT.get(role, frozenset()) for role in roles))


def _check_use(user: User, actions: Iterable[Action]) -> None:
    usable = usable_actions(row.role for row in user.roles)
    if not usable:
        raise InvalidInput(
            f"The roles of {user.username} take no grants: those are for auditors, supervisors "
            "and archivists.",
            fields={"content.username": "has no role that takes grants"},
        )
    wrong = sorted(set(actions) - usable)
    if wrong:
        raise InvalidInput(
            f"{user.username} cannot be granted {', '.join(wrong)}; "
            f"possible: {', '.join(sorted(usable))}.",
            fields={"content.actions": "holds what a grant cannot give"},
        )


def about_session(orm: Orm, session_id: str) -> dict[str, JsonValue]:
    """Name a session as it is called when the row is written, with its projects and lots."""
    session = orm.get_one(Session, session_id)
    query = (
        select(Project.code, Project.name, Lot.code)
        .join(Lot, Lot.project_id == Project.id)
        .join(Item, Item.lot_id == Lot.id)
        .where(Item.session_id == session_id)
        .order_by(Project.code, Lot.code)
        .distinct()
    )
    lots: list[Any] = [
        {"project": code, "project_name": name, "lot": lot}
        for code, name, lot in orm.execute(query)
    ]
    called = "、".join(f"{one['project']} · {one['lot']}" for one in lots)
    return {"session": session_id, "name": f"{called} · {session.kind.zh}", "lots": lots}


def _said(orm: Orm, vote: ApprovalVote) -> dict[str, JsonValue]:
    return {
        "name": orm.get_one(User, vote.user_id).name,
        "roles": list(vote.roles),
        "agreed": vote.agreed,
        "opinion": vote.opinion,
        "at": vote.at_us,
    }
