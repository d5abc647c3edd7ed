"""Retention policies: loop days by room kind, years by session kind and category."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import Forbidden, InvalidInput, NotFound
from bidwitness.periods import Policy, shortens
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import RetentionPolicy
from bidwitness.storage.index.policies import default_loop_days
from bidwitness.words import ProjectCategory, RoomKind, SessionKind


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """For which footage (empty: any), how long, and on what legal text it stands."""

    room_kind: RoomKind | None = None
    session_kind: SessionKind | None = None
    category: ProjectCategory | None = None
    loop_days: int | None = None
    keep_years: int | None = None
    basis: str | None = None


def set_policy(orm: Orm, who: Who, at_us: int, new: NewPolicy) -> RetentionPolicy:
    """Add a policy, or change the one for the same footage.

    Raises ``InvalidInput`` if it says neither days nor years.
    """
    if new.loop_days is None and new.keep_years is None:
        raise InvalidInput(
            "Say how long: loop_days or keep_years.", fields={"loop_days": "is missing"}
        )
    policy = _same_footage(orm, new)
    before = None
    if policy is None:
        policy = RetentionPolicy(
            room_kind=new.room_kind, session_kind=new.session_kind, category=new.category
        )
        orm.add(policy)
    else:
        before = {"loop_days": policy.loop_days, "keep_years": policy.keep_years}
    policy.loop_days, policy.keep_years = new.loop_days, new.keep_years
    policy.basis, policy.changed_us, policy.changed_by = new.basis, at_us, who.name
    orm.flush()
    leave_audit_entry(
        orm,
        who,
        "policy.set",
        f"policy:{policy.id}",
        at_us,
        facts={
            "before": before,
            "after": {"loop_days": new.loop_days, "keep_years": new.keep_years},
        },
    )
    return policy


def remove_policy(orm: Orm, who: Who, at_us: int, policy_id: str) -> None:
    """Take a policy back; the more general one, or the setting, counts again. ``NotFound``."""
    policy = orm.get(RetentionPolicy, policy_id)
    if policy is None:
        raise NotFound("There is no such policy.")
    before = {"loop_days": policy.loop_days, "keep_years": policy.keep_years}
    orm.delete(policy)
    facts = {"before": before}
    leave_audit_entry(orm, who, "policy.remove", f"policy:{policy_id}", at_us, facts=facts)


def refuse_shortening(
    before: Sequence[Policy], after: Sequence[Policy], settings: Settings
) -> None:
    """Raise ``Forbidden`` if what one person has just set lets any footage go sooner."""
    defaults = {kind: default_loop_days(kind, settings) for kind in RoomKind}
    if shortens(before, after, defaults):
        raise Forbidden(
            "This lets footage go sooner, which nobody decides alone: ask for it by "
            "POST /api/v1/approvals, kind policy.shorten."
        )


def _same_footage(orm: Orm, new: NewPolicy) -> RetentionPolicy | None:
    """Empty columns are equal here, which a unique constraint does not see."""
    table = RetentionPolicy
    given = (
        (table.room_kind, new.room_kind),
        (table.session_kind, new.session_kind),
        (table.category, new.category),
    )
    query = select(table)
    for column, value in given:
        query = query.where(column.is_(None) if value is None else column == value)
    return orm.scalars(query.limit(1)).first()
