"""Whom an OpenID provider means: its (issuer, subject) belongs to one account, and that to no other.

Only the person herself links, from within her own login and with her password: an administrator who
could write a subject here could sign in as anybody. Administrators unlink.
"""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import Conflict, NotFound
from bidwitness.rights import ADMINISTRATORS
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import OidcLink, User, UserRole

MAX_LABEL = 120


@dataclass(frozen=True, slots=True)
class Stranger:
    """Whom the provider has named, and what she is called there."""

    issuer: str
    subject: str
    label: str


def find_linked(orm: Orm, stranger: Stranger) -> User | None:
    """Give whose account is linked, shut out or not."""
    return orm.scalars(
        select(User)
        .join(OidcLink, OidcLink.user_id == User.id)
        .where(OidcLink.issuer == stranger.issuer, OidcLink.subject == stranger.subject)
    ).first()


def link_of(orm: Orm, issuer: str, user_id: str) -> OidcLink | None:
    """Give somebody's link with this provider; one with another provider is none."""
    row = orm.get(OidcLink, user_id)
    return row if row is not None and row.issuer == issuer else None


def linked_users(orm: Orm, issuer: str) -> frozenset[str]:
    """Give the ids of all who are linked with this provider."""
    return frozenset(orm.scalars(select(OidcLink.user_id).where(OidcLink.issuer == issuer)))


def link(orm: Orm, who: Who, user_id: str, stranger: Stranger, at_us: int) -> None:
    """Link an account. Raises ``Conflict`` if it, or whom the provider names, has a link already."""
    old = orm.get(OidcLink, user_id, with_for_update=True)
    if old is not None and old.issuer == stranger.issuer:
        raise Conflict("This account is linked already: unlink it first.")
    if find_linked(orm, stranger) is not None:
        raise Conflict("Another account is linked with this identity already.")
    if old is not None:
        # Of a provider that the site has left.
        orm.delete(old)
        orm.flush()
    row = OidcLink(
        user_id=user_id,
        issuer=stranger.issuer,
        subject=stranger.subject,
        label=stranger.label[:MAX_LABEL],
        linked_us=at_us,
    )
    orm.add(row)
    orm.flush()
    leave_audit_entry(orm, who, "oidc.link", f"user:{user_id}", at_us, facts=_facts(row))


def unlink(orm: Orm, who: Who, user_id: str, at_us: int) -> None:
    """End somebody's link. Raises ``NotFound`` if there is none."""
    row = orm.get(OidcLink, user_id)
    if row is None:
        raise NotFound("This account is not linked.")
    facts = _facts(row)
    orm.delete(row)
    leave_audit_entry(orm, who, "oidc.unlink", f"user:{user_id}", at_us, facts=facts)


def drop_link(orm: Orm, user_id: str) -> bool:
    """End somebody's link if there is one, and tell if it was. The caller leaves the entry."""
    gone = orm.execute(
        delete(OidcLink).where(OidcLink.user_id == user_id).returning(OidcLink.user_id)
    )
    return bool(gone.all())


def mark_used(orm: Orm, user_id: str, at_us: int) -> None:
    """Note that somebody signed in by her link."""
    row = orm.get(OidcLink, user_id)
    if row is not None:
        row.used_us = at_us


def by_provider_alone(orm: Orm, settings: Settings, user_id: str) -> bool:
    """Tell whether somebody may not sign in by her password: she is linked, and the site wants it so.

    Administrators always may: a provider that is gone locks nobody out of the settings.
    """
    if not settings.oidc_issuer or settings.oidc_passwords:
        return False
    if link_of(orm, settings.oidc_issuer, user_id) is None:
        return False
    roles = orm.scalars(select(UserRole.role).where(UserRole.user_id == user_id))
    return not ADMINISTRATORS & frozenset(roles)


def _facts(row: OidcLink) -> dict[str, object]:
    return {"issuer": row.issuer, "subject": row.subject, "label": row.label}
