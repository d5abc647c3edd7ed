"""Signing in and out, and one's own password."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, StringConstraints
from sqlalchemy.orm import Session as Orm

from bidwitness.api import entering
from bidwitness.api.deps import Parts, SignedIn, TheFront, ThePartsOf, prove_password
from bidwitness.api.entering import MeAnswer, me_of
from bidwitness.api.schemas import Answer, Body, Password, Printable
from bidwitness.api.second_step import usable_factors
from bidwitness.api.security import COOKIE, Front
from bidwitness.errors import Forbidden, InvalidInput, Unauthenticated
from bidwitness.storage import factors, half_logins, logins, oidc_links, people
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import User
from bidwitness.storage.password_rule import check_password_rule
from bidwitness.words import AccountKind, Factor, SecondFactor

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


class SecondStepAnswer(Answer):
    """The password was right; one of these is wanted besides (``POST auth/second/…``)."""

    second_factor: list[Factor]


class TokenAnswer(MeAnswer):
    token: str


@dataclass(frozen=True, slots=True)
class _Right:
    """Whose name and password were right, and what is wanted besides."""

    user_id: str
    username: str
    wanted: factors.Held


@router.post("/login")
def login(
    body: LoginBody, request: Request, response: Response, parts: ThePartsOf, front: TheFront
) -> MeAnswer | SecondStepAnswer:
    """Sign in: the answer sets the login cookie, or asks for the second factor."""
    right = _check_password(body, request, parts, front)
    if right.wanted.any:
        return _ask_for_second(right, response, parts, front)
    with parts.database.write() as orm:
        token, found = entering.enter(orm, parts, request, front, right.user_id)
        device = entering.know_device(orm, parts, request, right.user_id)
        must_enrol = parts.factor_due(orm, right.user_id)
    entering.set_login_cookies(response, parts, front, token, device)
    return me_of(parts, front, found, must_enrol=must_enrol)


@router.post("/token")
def token(body: LoginBody, request: Request, parts: ThePartsOf, front: TheFront) -> TokenAnswer:
    """Sign in as a program: the same login, sent as ``Authorization: Bearer``.

    Not for whoever has a second factor: her programs use API tokens.
    """
    right = _check_password(body, request, parts, front)
    if right.wanted.any:
        raise Unauthenticated("This user has a second factor: programs need an API token of hers.")
    with parts.database.write() as orm:
        given, found = entering.enter(orm, parts, request, front, right.user_id)
        must_enrol = parts.factor_due(orm, right.user_id)
    me = me_of(parts, front, found, must_enrol=must_enrol)
    return TokenAnswer(token=given, **me.model_dump())


@router.post("/logout", status_code=204)
def logout(response: Response, user: SignedIn, parts: ThePartsOf, front: TheFront) -> None:
    """End this login."""
    with parts.database.write() as orm:
        logins.end_login(orm, user.who, user.login_id, parts.clock.utc_us())
    response.delete_cookie(COOKIE, path="/", httponly=True, secure=front.secure, samesite="strict")


@router.get("/me")
def me(user: SignedIn, parts: ThePartsOf) -> MeAnswer:
    """Who is signed in."""
    return MeAnswer(
        username=user.username,
        name=user.name,
        roles=sorted(user.roles),
        must_change_password=user.must_change_password,
        must_enrol=user.must_enrol,
        department=entering.department_of(parts, user.id),
        address=user.address,
    )


@router.post("/password", status_code=204)
def password(body: PasswordBody, user: SignedIn, parts: ThePartsOf, front: TheFront) -> None:
    """Change one's own password; all other logins of the user end."""
    old, new = body.old.get_secret_value(), body.new.get_secret_value()
    try:
        prove_password(parts, front, user, old)
    except InvalidInput:
        raise InvalidInput("The old password is wrong.", fields={"old": "is wrong"}) from None
    if old == new:
        raise InvalidInput("The new password is the old one.", fields={"new": "is the old one"})
    least = parts.settings.password_min_length
    try:
        check_password_rule(new, user.username, name=user.name, least=least)
    except InvalidInput as error:
        raise InvalidInput(error.detail, fields={"new": error.fields["password"]}) from None
    _check_history(parts, user.id, new)
    fresh = parts.passwords.hash(new)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        people.set_password(orm, user.who, now, orm.get_one(User, user.id), fresh)
        logins.end_other_logins(orm, user.id, user.login_id, now)


def _check_history(parts: Parts, user_id: str, new: str) -> None:
    with parts.database.read() as orm:
        hashes = people.hashes_of(orm, orm.get_one(User, user_id))
    if any(parts.passwords.matches(hashed, new) for hashed in hashes):
        why = f"was used before (the last {people.REMEMBERED} are remembered)"
        raise InvalidInput(f"The new password {why}.", fields={"new": why})


def _check_password(body: LoginBody, request: Request, parts: Parts, front: Front) -> _Right:
    """Check name and password. The answer and its time do not tell which of the two was wrong."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        user = people.find_user(orm, body.username)
        known = (user.id, user.username) if user else None
        may_have = user and not user.disabled and user.kind is AccountKind.PERSON
        hashed = user.password_hash if user and may_have else None
        origin = entering.origin_of(orm, request, front, user.id if user else None, now)
    parts.limiter.check(origin, body.username)
    good = parts.passwords.matches(hashed, body.password.get_secret_value())
    if known is None or not good:
        limited = parts.limiter.failed(origin, body.username)
        _note_failure(parts, known, front.address, now, limited)
        raise Unauthenticated("The user name or the password is wrong.")
    parts.limiter.succeeded(origin, body.username)
    with parts.database.read() as orm:
        if oidc_links.by_provider_alone(orm, parts.settings, known[0]):
            raise Forbidden(f"This account signs in with {parts.settings.oidc_name}.")
        return _Right(*known, wanted_factors(orm, parts, known[0]))


def wanted_factors(orm: Orm, parts: Parts, user_id: str) -> factors.Held:
    """Give what somebody has set up and is asked for at this site."""
    if parts.settings.second_factor is SecondFactor.OFF:
        return factors.Held(totp=False, keys=0, recovery_left=0)
    return factors.held_by(orm, user_id)


def _ask_for_second(
    right: _Right, response: Response, parts: Parts, front: Front
) -> SecondStepAnswer:
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        half = half_logins.open_half(orm, orm.get_one(User, right.user_id), now)
        who = Who(right.username, right.user_id, front.address)
        leave_audit_entry(orm, who, "login.password", f"user:{right.user_id}", now)
        usable = usable_factors(orm, right.user_id, entering.place_of(front))
    entering.set_half_cookie(response, front, half)
    return SecondStepAnswer(second_factor=usable)


def _note_failure(
    parts: Parts, known: tuple[str, str] | None, address: str, now: int, limited: bool
) -> None:
    # The name typed is not kept when nobody has it: people type passwords there.
    user_id, name = known or (None, "unknown")
    facts = {"limited": True} if limited else None
    with parts.database.write() as orm:
        who = Who(name, user_id, address)
        subject = f"user:{user_id or name}"
        leave_audit_entry(orm, who, "login", subject, now, allowed=False, facts=facts)
