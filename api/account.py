"""One's own account: how one signs in, and where one is signed in."""

from fastapi import APIRouter

from bidwitness.api.deps import Me, Owner, ThePartsOf
from bidwitness.api.schemas import Answer, IdPath
from bidwitness.config import Settings
from bidwitness.storage import factors, logins, oidc_links, security_keys
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Login, OidcLink, User
from bidwitness.words import Factor, LoginWay, SecondFactor

router = APIRouter(prefix="/account", tags=["account"])


class SecurityKeyAnswer(Answer):
    id: str
    name: str
    # The host it answers under.
    site: str
    made_at: int
    used_at: int | None


class LinkAnswer(Answer):
    # What she is called there.
    label: str
    since: int
    used_at: int | None


class ProviderAnswer(Answer):
    """Who else may say who one is: the provider's name, and one's link with it."""

    name: str
    link: LinkAnswer | None


class AccountAnswer(Answer):
    username: str
    name: str
    password_set_at: int
    # When the password must be replaced; empty: not because of its age.
    password_until: int | None
    password_min_length: int
    second_factor: SecondFactor
    totp: bool
    keys: list[SecurityKeyAnswer]
    recovery_left: int
    # Empty: the site has none.
    oidc: ProviderAnswer | None


class LoginAnswer(Answer):
    id: str
    this: bool
    # What the browser says it is.
    agent: str | None
    address: str | None
    way: LoginWay
    factor: Factor | None
    since: int
    seen_at: int
    # When it ends in any case.
    until: int


class Logins(Answer):
    items: list[LoginAnswer]


class EndedAnswer(Answer):
    ended: int


@router.get("")
def account(user: Owner, parts: ThePartsOf) -> AccountAnswer:
    """How one signs in."""
    settings = parts.settings
    with parts.database.read() as orm:
        row = orm.get_one(User, user.id)
        held = factors.held_by(orm, user.id)
        link = oidc_links.link_of(orm, settings.oidc_issuer, user.id)
        keys = [
            SecurityKeyAnswer(
                id=key.id, name=key.name, site=key.site, made_at=key.made_us, used_at=key.used_us
            )
            for key in security_keys.keys_of(orm, user.id)
        ]
    days = settings.password_max_days
    return AccountAnswer(
        username=user.username,
        name=user.name,
        password_set_at=row.password_set_us,
        password_until=row.password_set_us + days * logins.DAY_US if days else None,
        password_min_length=settings.password_min_length,
        second_factor=settings.second_factor,
        totp=held.totp,
        keys=keys,
        recovery_left=held.recovery_left,
        oidc=_provider(settings, link),
    )


def _provider(settings: Settings, link: OidcLink | None) -> ProviderAnswer | None:
    if not settings.oidc_issuer:
        return None
    linked = None
    if link is not None:
        linked = LinkAnswer(label=link.label, since=link.linked_us, used_at=link.used_us)
    return ProviderAnswer(name=settings.oidc_name, link=linked)


@router.get("/logins")
def my_logins(user: Me, parts: ThePartsOf) -> Logins:
    """Where one is signed in, the last used first."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        rows = logins.logins_of(orm, user.id, now, parts.login_limits)
        return Logins(items=[_login(row, user.login_id) for row in rows])


@router.post("/logins/{login_id}/end", status_code=204)
def end_login(login_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """End one of one's logins."""
    with parts.database.write() as orm:
        logins.end_own_login(orm, user.who, user.id, login_id, parts.clock.utc_us())


@router.post("/logins/end-others")
def end_others(user: Me, parts: ThePartsOf) -> EndedAnswer:
    """End all of one's logins but this one."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        ended = logins.end_other_logins(orm, user.id, user.login_id, now)
        facts = {"logins": ended}
        leave_audit_entry(orm, user.who, "login.end_others", f"user:{user.id}", now, facts=facts)
    return EndedAnswer(ended=ended)


def _login(row: Login, this: str) -> LoginAnswer:
    return LoginAnswer(
        id=row.id,
        this=row.id == this,
        agent=row.agent,
        address=row.address,
        way=row.way,
        factor=row.factor,
        since=row.created_us,
        seen_at=row.seen_us,
        until=row.expires_us,
    )
