"""What routes ask for: the parts of the process, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bidwitness.api.hints import Hints
from bidwitness.api.limits import LoginLimiter, Tries
from bidwitness.api.security import COOKIE, Front
from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Forbidden, PasswordChangeRequired, Unauthenticated
from bidwitness.secrets import SecretBox
from bidwitness.storage import logins, people
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.words import Role

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
    secrets: SecretBox
    # Taken while a camera is tried out: each is a process of its own for some seconds.
    tries: Tries
    hints: Hints

    @property
    def login_limits(self) -> logins.Limits:
        return logins.Limits(
            self.settings.idle_minutes * logins.MINUTE_US,
            self.settings.login_hours * logins.HOUR_US,
        )


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who is asking, from where, by which login."""

    id: str
    username: str
    name: str
    roles: frozenset[Role]
    must_change_password: bool
    login_id: str
    address: str

    @property
    def who(self) -> Who:
        """The same person as audit entries name them."""
        return Who(self.username, self.id, self.address)


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

    Works for requests and WebSockets. Raises ``Unauthenticated``.
    """
    token = token_of(connection)
    if not token:
        raise Unauthenticated("Sign in first.")
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        found = logins.find_login(orm, token, now, parts.login_limits)
    if found is None:
        raise Unauthenticated("The login has ended. Sign in again.")
    if now - found.seen_us > MARK_SEEN_US:
        with parts.database.write() as orm:
            logins.mark_seen(orm, found.login_id, now)
    return CurrentUser(
        id=found.user_id,
        username=found.username,
        name=found.name,
        roles=found.roles,
        must_change_password=found.must_change_password,
        login_id=found.login_id,
        address=front.address,
    )


def current_user(user: Annotated[CurrentUser, Depends(signed_in)]) -> CurrentUser:
    """Give who is signed in and may go on.

    Raises ``Unauthenticated``, or ``PasswordChangeRequired`` until the first password is changed.
    """
    if user.must_change_password:
        raise PasswordChangeRequired(
            "Change the password first: POST /api/v1/auth/password {old, new}."
        )
    return user


SignedIn = Annotated[CurrentUser, Depends(signed_in)]
Me = Annotated[CurrentUser, Depends(current_user)]


def require_role(*roles: Role) -> Callable[[CurrentUser], CurrentUser]:
    """Give a dependency that lets only users with one of ``roles`` pass."""

    def check(user: Me) -> CurrentUser:
        if not user.roles & set(roles):
            named = ", ".join(roles)
            raise Forbidden(f"Only {named} may do this.")
        return user

    return check


Admin = Annotated[CurrentUser, Depends(require_role(Role.SYSTEM_ADMIN))]
