"""API tokens: what a program may do in somebody's name. Handed out once, kept as their SHA-256."""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import ApiToken, User
from bidwitness.storage.logins import DAY_US, TOKEN_BYTES, digest

# By it a token is told from a login's, and found by those who search for what leaked.
PREFIX = "bwt_"
MAX_DAYS = 365
MAX_TOKENS = 20
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "WEBSOCKET"})
# Whoever holds a token must not be able to become its owner: not these, whatever its scope.
NEVER = frozenset({"auth", "account"})
# And of these no more than reading: they make people and their rights, and let things happen.
READ_ONLY = frozenset(
    {
        *("users", "services", "approvals", "grants"),
        *("rights", "rosters", "scopes", "substitutions", "break-glass"),
    }
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is good for: areas of routes (empty: all of them), and whether only to read."""

    areas: frozenset[str] = frozenset()
    read_only: bool = True

    def allows(self, area: str, method: str) -> bool:
        """Tell whether a request is within the scope. ``method`` of a socket: ``WEBSOCKET``. Pure."""
        if area in NEVER or (self.areas and area not in self.areas):
            return False
        return method in SAFE or not (self.read_only or area in READ_ONLY)


@dataclass(frozen=True, slots=True)
class NewToken:
    """What somebody wants of a token."""

    name: str
    scope: Scope
    days: int
    # From where it may be used (CIDR); empty: from anywhere.
    networks: tuple[str, ...] = ()


def area_of(path: str) -> str:
    """Name the area of a route by its path: ``/api/v1/sessions/x`` is of ``sessions``. Pure."""
    parts = path.strip("/").split("/")
    return parts[2] if parts[:2] == ["api", "v1"] and len(parts) > 2 else parts[0]


def read_networks(given: Sequence[str]) -> list[str]:
    """Give networks as they are kept, an address as one of its own. Pure. Raises ``InvalidInput``."""
    try:
        return sorted({str(ipaddress.ip_network(one.strip())) for one in given})
    except ValueError as error:
        raise InvalidInput(
            "Write networks as 10.1.2.0/24 or 2001:db8::/64, or an address.",
            fields={"networks": str(error)},
        ) from None


def comes_from(networks: Sequence[str], address: str) -> bool:
    """Tell whether an address lies in one of the networks; without networks, any does. Pure."""
    if not networks:
        return True
    try:
        here = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(here, ipaddress.IPv6Address) and here.ipv4_mapped is not None:
        here = here.ipv4_mapped
    return any(here in ipaddress.ip_network(one) for one in networks)


def make_token(
    orm: Orm, who: Who, user_id: str, new: NewToken, at_us: int, areas: frozenset[str]
) -> tuple[str, ApiToken]:
    """Make a token of somebody; give its text, which is never told again, and its row.

    ``areas`` are those that there are. Raises ``InvalidInput``, or ``Conflict`` at too many.
    """
    wrong = new.scope.areas - (areas - NEVER)
    if wrong:
        named = ", ".join(sorted(wrong))
        raise InvalidInput(
            f"A token cannot be for: {named}.", fields={"areas": f"cannot be {named}"}
        )
    if not 1 <= new.days <= MAX_DAYS:
        raise InvalidInput(
            "A token ends within a year.", fields={"days": f"must be 1 to {MAX_DAYS}"}
        )
    networks = read_networks(new.networks)
    standing = (
        select(func.count())
        .select_from(ApiToken)
        .where(
            ApiToken.user_id == user_id,
            ApiToken.revoked_us.is_(None),
            ApiToken.expires_us > at_us,
        )
    )
    if (orm.scalar(standing) or 0) >= MAX_TOKENS:
        raise Conflict(f"At most {MAX_TOKENS} tokens: revoke one first.")
    text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = ApiToken(
        user_id=user_id,
        name=new.name,
        token_sha256=digest(text),
        areas=sorted(new.scope.areas),
        read_only=new.scope.read_only,
        made_us=at_us,
        expires_us=at_us + new.days * DAY_US,
        networks=networks,
    )
    orm.add(row)
    orm.flush()
    facts = {
        **_facts(row),
        "areas": row.areas,
        "read_only": row.read_only,
        "days": new.days,
        "networks": networks,
    }
    leave_audit_entry(orm, who, "token.make", f"user:{user_id}", at_us, facts=facts)
    return text, row


def find_token(orm: Orm, text: str, at_us: int) -> tuple[ApiToken, User] | None:
    """Give a token that stands, with its owner; None if it is unknown, revoked or too old."""
    query = (
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_sha256 == digest(text))
    )
    found = orm.execute(query).first()
    if found is None or not _stands(found[0], found[1], at_us):
        return None
    return found[0], found[1]


def token_stands(orm: Orm, token_id: str, at_us: int) -> bool:
    """Tell whether a token found before is still good; for sockets that stay open."""
    row = orm.get(ApiToken, token_id)
    return row is not None and _stands(row, orm.get_one(User, row.user_id), at_us)


def mark_used(orm: Orm, token_id: str, address: str, at_us: int) -> None:
    """Note when and from where a token was last used."""
    orm.execute(
        update(ApiToken).where(ApiToken.id == token_id).values(used_us=at_us, used_from=address)
    )


def note_elsewhere(orm: Orm, who: Who, token_id: str, at_us: int, pause_us: int) -> None:
    """Note that a token was used from outside of its networks; not more often than each ``pause_us``."""
    row = orm.get(ApiToken, token_id)
    if row is None or (row.refused_us is not None and at_us < row.refused_us + pause_us):
        return
    row.refused_us = at_us
    subject, facts = f"user:{row.user_id}", _facts(row)
    leave_audit_entry(orm, who, "token.elsewhere", subject, at_us, allowed=False, facts=facts)


def tokens_of(orm: Orm, user_id: str) -> Sequence[ApiToken]:
    """Give somebody's tokens that were not revoked, the newest first."""
    return orm.scalars(
        select(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_us.is_(None))
        .order_by(ApiToken.made_us.desc(), ApiToken.id)
    ).all()


def revoke_token(orm: Orm, who: Who, user_id: str, token_id: str, at_us: int) -> None:
    """End one of somebody's tokens. Raises ``NotFound``."""
    row = orm.get(ApiToken, token_id)
    if row is None or row.user_id != user_id or row.revoked_us is not None:
        raise NotFound("There is no such token.")
    row.revoked_us = at_us
    leave_audit_entry(orm, who, "token.revoke", f"user:{user_id}", at_us, facts=_facts(row))


def revoke_all(orm: Orm, user_id: str, at_us: int) -> int:
    """End all of somebody's tokens, and give how many. The caller leaves the entry."""
    standing = (ApiToken.user_id == user_id, ApiToken.revoked_us.is_(None))
    ended = orm.execute(
        update(ApiToken).where(*standing).values(revoked_us=at_us).returning(ApiToken.id)
    )
    return len(ended.all())


def _facts(row: ApiToken) -> dict[str, object]:
    return {"token": row.id, "name": row.name}


def _stands(row: ApiToken, user: User, at_us: int) -> bool:
    return row.revoked_us is None and at_us < row.expires_us and not user.disabled
