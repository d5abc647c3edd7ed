"""What routes ask for: the parts of the process, and who is asking."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session as Orm
from starlette.requests import HTTPConnection

from bidwitness.api.hints import Hints
from bidwitness.api.limits import LoginLimiter, Origin, Tries
from bidwitness.api.oidc_flow import Spent
from bidwitness.api.oidc_provider import Provider
from bidwitness.api.security import COOKIE, DISPLAY_COOKIE, Front
from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import (
    Forbidden,
    InvalidInput,
    PasswordChangeRequired,
    SecondFactorRequired,
    Unauthenticated,
)
from bidwitness.rights import Whence
from bidwitness.secrets import SecretBox
from bidwitness.storage import displays, factors, logins, oidc_links, people, tokens
from bidwitness.storage.approvals import Kinds
from bidwitness.storage.index.audit import AtDisplay, Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import User
from bidwitness.storage.rights import roles_now
from bidwitness.words import AccountKind, Factor, Role, SecondFactor

# A login's row is written at most so often; its idle time is that much less exact.
MARK_SEEN_US = 30_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process is made of; one object for its whole life, on ``app.state.parts``."""

    settings: Settings
    database: Database
    clock: Clock
    passwords: people.Passwords
    limiter: LoginLimiter
    # For one-time and recovery codes: there are few of them, so few tries.
    code_limiter: LoginLimiter
    secrets: SecretBox
    # Taken while a camera is tried out: each is a process of its own for some seconds.
    tries: Tries
    hints: Hints
    # What several people have to agree to, by name.
    kinds: Kinds
    # Who else may say who somebody is; None: nobody.
    provider: Provider | None
    # Which of the sign-ins there have come back.
    spent: Spent

    @property
    def login_limits(self) -> logins.Limits:
        return logins.Limits(
            self.settings.idle_minutes * logins.MINUTE_US,
            self.settings.login_hours * logins.HOUR_US,
        )

    def password_due(self, must_change: bool, set_us: int) -> bool:
        """Tell whether a password must be replaced before anything else."""
        days = self.settings.password_max_days
        return must_change or (days > 0 and self.clock.utc_us() >= set_us + days * logins.DAY_US)

    def enrol_due(self, orm: Orm, found: logins.SignedIn) -> bool:
        """Tell whether whoever has this login must set up a second factor before anything else.

        Not if the provider has asked for one, for this login.
        """
        return found.factor is not Factor.PROVIDER and self.factor_due(orm, found.user_id)

    def factor_due(self, orm: Orm, user_id: str) -> bool:
        """Tell whether somebody must set up a second factor before anything else."""
        return (
            self.settings.second_factor is SecondFactor.REQUIRED
            and not factors.held_by(orm, user_id).any
        )


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who is asking, from where, by which login; with the roles that she has for a time, too."""

    id: str
    username: str
    name: str
    roles: frozenset[Role]
    must_change_password: bool
    # Of a token's owner: the token's id, for she is not there herself.
    login_id: str
    address: str
    must_enrol: bool = False
    # The name of the API token that acts for her.
    token: str | None = None
    # The registered display that she signed in on.
    display: AtDisplay | None = None

    @property
    def who(self) -> Who:
        """The same person as audit entries name them."""
        name = f"{self.username} (token {self.token})" if self.token else self.username
        return Who(name, self.id, self.address, self.display)

    @property
    def whence(self) -> Whence:
        """From where she asks, as decisions see it."""
        return Whence(self.address, self.display.id if self.display else None)


def parts_of(connection: HTTPConnection) -> Parts:
    parts = connection.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def front_of(connection: HTTPConnection) -> Front:
    front = connection.state.front
    assert isinstance(front, Front)
    return front


ThePartsOf = Annotated[Parts, Depends(parts_of)]
TheFront = Annotated[Front, Depends(front_of)]


def database_of(parts: ThePartsOf) -> Database:
    return parts.database


def clock_of(parts: ThePartsOf) -> Clock:
    return parts.clock


def settings_of(parts: ThePartsOf) -> Settings:
    return parts.settings


TheDatabase = Annotated[Database, Depends(database_of)]
TheClock = Annotated[Clock, Depends(clock_of)]
TheSettings = Annotated[Settings, Depends(settings_of)]


def token_of(connection: HTTPConnection) -> str | None:
    """Give the Bearer token, else the cookie's. A Bearer token that is wrong is not forgiven."""
    given = connection.headers.get("authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return connection.cookies.get(COOKIE)


def signed_in(connection: HTTPConnection, parts: ThePartsOf, front: TheFront) -> CurrentUser:
    """Give who is signed in, even if the password must be changed first.

    Works for requests and WebSockets, for people and for API tokens within their scope. Raises
    ``Unauthenticated``, or ``Forbidden`` for what is beyond a token's scope.
    """
    # The rule of the route has asked already.
    known = getattr(connection.state, "user", None)
    if isinstance(known, CurrentUser):
        return known
    token = token_of(connection)
    if not token:
        raise Unauthenticated("Sign in first.")
    if token.startswith(tokens.PREFIX):
        return _by_token(token, connection, parts, front)
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        found = logins.find_login(orm, token, now, parts.login_limits)
        must_enrol = found is not None and parts.enrol_due(orm, found)
        by_provider = found is not None and oidc_links.by_provider_alone(
            orm, parts.settings, found.user_id
        )
        at = _display_of(orm, connection, front, found, now)
        roles = roles_now(orm, found.user_id, found.roles, now)[0] if found else frozenset[Role]()
    if found is None:
        raise Unauthenticated("The login has ended. Sign in again.")
    if now - found.seen_us > MARK_SEEN_US:
        with parts.database.write() as orm:
            logins.mark_seen(orm, found.login_id, now)
    user = CurrentUser(
        id=found.user_id,
        username=found.username,
        name=found.name,
        roles=roles,
        # Who never signs in by her password need not keep it fresh.
        must_change_password=not by_provider
        and parts.password_due(found.must_change_password, found.password_set_us),
        login_id=found.login_id,
        address=front.address,
        must_enrol=must_enrol,
        display=at,
    )
    connection.state.user = user
    return user


def _display_of(
    orm: Orm, connection: HTTPConnection, front: Front, found: logins.SignedIn | None, now_us: int
) -> AtDisplay | None:
    """Give the display that a login is bound to. Raises ``Unauthenticated`` anywhere else."""
    if found is None or found.display_id is None:
        return None
    token = connection.cookies.get(DISPLAY_COOKIE)
    row = displays.find_display(orm, token, front.address)
    if row is None or row.id != found.display_id:
        raise Unauthenticated("This login belongs to a display. Sign in again.")
    return AtDisplay(row.id, row.name)


def _by_token(text: str, connection: HTTPConnection, parts: Parts, front: Front) -> CurrentUser:
    """Give whom an API token acts for, if the request is within its scope."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        found = tokens.find_token(orm, text, now)
        if found is None:
            raise Unauthenticated("The API token is unknown, revoked or too old.")
        row, user = found
        is_person = user.kind is AccountKind.PERSON
        current = CurrentUser(
            id=user.id,
            username=user.username,
            name=user.name,
            roles=roles_now(orm, user.id, (entry.role for entry in user.roles), now)[0],
            must_change_password=is_person
            and parts.password_due(user.must_change_password, user.password_set_us),
            login_id=row.id,
            address=front.address,
            must_enrol=is_person and parts.factor_due(orm, user.id),
            token=row.name,
        )
    if not tokens.comes_from(row.networks, front.address):
        with parts.database.write() as orm:
            tokens.note_elsewhere(orm, current.who, row.id, now, MARK_SEEN_US)
        raise Forbidden("This API token is not for use from where you are.")
    scope = tokens.Scope(frozenset(row.areas), row.read_only)
    method = connection.scope.get("method", "WEBSOCKET")
    area = tokens.area_of(connection.scope["path"])
    if not scope.allows(area, method):
        raise Forbidden("This API token is not for that: it has another scope.")
    if row.used_us is None or now - row.used_us > MARK_SEEN_US:
        with parts.database.write() as orm:
            tokens.mark_used(orm, row.id, front.address, now)
    connection.state.user = current
    return current


def still_signed_in(parts: Parts, orm: Orm, user: CurrentUser, now_us: int) -> bool:
    """Tell whether the login or token of somebody found before is still good; for open sockets."""
    if user.token is not None:
        return tokens.token_stands(orm, user.login_id, now_us)
    return logins.still_stands(orm, user.login_id, now_us, parts.login_limits)


def current_user(user: Annotated[CurrentUser, Depends(signed_in)]) -> CurrentUser:
    """Give who is signed in and may go on.

    Raises ``Unauthenticated``, ``PasswordChangeRequired`` until a due password is changed, or
    ``SecondFactorRequired`` until one is set up where the site wants one.
    """
    if user.must_change_password:
        raise PasswordChangeRequired(
            "Change the password first: POST /api/v1/auth/password {old, new}."
        )
    if user.must_enrol:
        raise SecondFactorRequired(
            "Set up a second factor first: POST /api/v1/account/totp, or register a security key."
        )
    return user


def account_owner(user: Annotated[CurrentUser, Depends(signed_in)]) -> CurrentUser:
    """Give who is signed in herself, even if a second factor must be set up first.

    Raises ``Unauthenticated``, ``PasswordChangeRequired``.
    """
    if user.must_change_password:
        raise PasswordChangeRequired(
            "Change the password first: POST /api/v1/auth/password {old, new}."
        )
    return user


def prove_password(parts: Parts, front: Front, user: CurrentUser, password: str) -> None:
    """Have somebody who is signed in prove that she is still the one who signed in.

    Raises ``InvalidInput`` naming ``password``, or ``TooMany``.
    """
    origin = Origin(front.address, device=f"login {user.login_id}")
    parts.limiter.check(origin, user.username)
    with parts.database.read() as orm:
        hashed = orm.get_one(User, user.id).password_hash
    if parts.passwords.matches(hashed, password):
        return
    parts.limiter.failed(origin, user.username)
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        leave_audit_entry(orm, user.who, "password.prove", f"user:{user.id}", now, allowed=False)
    raise InvalidInput("The password is wrong.", fields={"password": "is wrong"})


SignedIn = Annotated[CurrentUser, Depends(signed_in)]
Me = Annotated[CurrentUser, Depends(current_user)]
Owner = Annotated[CurrentUser, Depends(account_owner)]
