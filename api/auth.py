"""Signing in and out, and one's own password."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, StringConstraints

from bidwitness.api.deps import Parts, SignedIn, TheFront, ThePartsOf
from bidwitness.api.schemas import Answer, Body, Password, Printable
from bidwitness.api.security import COOKIE, Front
from bidwitness.errors import InvalidInput, Unauthenticated
from bidwitness.storage import logins, people
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import User
from bidwitness.words import Role

router = APIRouter(prefix="/auth", tags=["auth"])

GivenName = Annotated[str, StringConstraints(min_length=1, max_length=120), Printable]


class Credentials(Body):
    # Spaces around a password belong to it.
    model_config = ConfigDict(str_strip_whitespace=False)


class LoginBody(Credentials):
    username: GivenName
    password: Password


class PasswordBody(Credentials):
    old: Password
    new: Password


class MeAnswer(Answer):
    username: str
    name: str
    roles: list[Role]
    must_change_password: bool


class TokenAnswer(MeAnswer):
    token: str


@router.post("/login")
def login(
    body: LoginBody, request: Request, response: Response, parts: ThePartsOf, front: TheFront
) -> MeAnswer:
    """Sign in: the answer sets the login cookie."""
    token, found = _sign_in(body, request, parts, front)
    response.set_cookie(
        COOKIE,
        token,
        max_age=parts.settings.login_hours * 3600,
        path="/",
        httponly=True,
        secure=front.secure,
        samesite="strict",
    )
    return _me(found)


@router.post("/token")
def token(body: LoginBody, request: Request, parts: ThePartsOf, front: TheFront) -> TokenAnswer:
    """Sign in as a program: the same login, sent as ``Authorization: Bearer``."""
    given, found = _sign_in(body, request, parts, front)
    return TokenAnswer(token=given, **_me(found).model_dump())


@router.post("/logout", status_code=204)
def logout(response: Response, user: SignedIn, parts: ThePartsOf, front: TheFront) -> None:
    """End this login."""
    with parts.database.write() as orm:
        logins.end_login(orm, user.who, user.login_id, parts.clock.utc_us())
    response.delete_cookie(COOKIE, path="/", httponly=True, secure=front.secure, samesite="strict")


@router.get("/me")
def me(user: SignedIn) -> MeAnswer:
    """Who is signed in."""
    return MeAnswer(
        username=user.username,
        name=user.name,
        roles=sorted(user.roles),
        must_change_password=user.must_change_password,
    )


@router.post("/password", status_code=204)
def password(body: PasswordBody, user: SignedIn, parts: ThePartsOf, front: TheFront) -> None:
    """Change one's own password; all other logins of the user end."""
    parts.limiter.check(front.address, user.username)
    with parts.database.read() as orm:
        hashed = orm.get_one(User, user.id).password_hash
    old, new = body.old.get_secret_value(), body.new.get_secret_value()
    if not parts.passwords.matches(hashed, old):
        parts.limiter.failed(front.address, user.username)
        raise InvalidInput("The old password is wrong.", fields={"old": "is wrong"})
    if old == new:
        raise InvalidInput("The new password is the old one.", fields={"new": "is the old one"})
    try:
        people.check_password_rule(new, user.username)
    except InvalidInput as error:
        raise InvalidInput(error.detail, fields={"new": error.fields["password"]}) from None
    fresh = parts.passwords.hash(new)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        people.set_password(orm, user.who, now, orm.get_one(User, user.id), fresh)
        logins.end_other_logins(orm, user.id, user.login_id, now)


def _sign_in(
    body: LoginBody, request: Request, parts: Parts, front: Front
) -> tuple[str, logins.SignedIn]:
    """Check name and password. The answer and its time do not tell which of the two was wrong."""
    parts.limiter.check(front.address, body.username)
    with parts.database.read() as orm:
        user = people.find_user(orm, body.username)
        known = (user.id, user.username) if user else None
        hashed = user.password_hash if user and not user.disabled else None
    good = parts.passwords.matches(hashed, body.password.get_secret_value())
    now = parts.clock.utc_us()
    if known is None or not good:
        parts.limiter.failed(front.address, body.username)
        _note_failure(parts, known, front.address, now)
        raise Unauthenticated("The user name or the password is wrong.")
    parts.limiter.succeeded(front.address, body.username)
    with parts.database.write() as orm:
        return logins.open_login(
            orm,
            orm.get_one(User, known[0]),
            now,
            parts.login_limits,
            address=front.address,
            agent=request.headers.get("user-agent"),
        )


def _note_failure(parts: Parts, known: tuple[str, str] | None, address: str, now: int) -> None:
    # The name typed is not kept when nobody has it: people type passwords there.
    user_id, name = known or (None, "unknown")
    with parts.database.write() as orm:
        who = Who(name, user_id, address)
        leave_audit_entry(orm, who, "login", f"user:{user_id or name}", now, allowed=False)


def _me(found: logins.SignedIn) -> MeAnswer:
    return MeAnswer(
        username=found.username,
        name=found.name,
        roles=sorted(found.roles),
        must_change_password=found.must_change_password,
    )
