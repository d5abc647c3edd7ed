"""The second step of signing in: a code or a security key, after the password."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints
from sqlalchemy.orm import Session as Orm

from bidwitness.api import entering
from bidwitness.api.deps import Parts, TheFront, ThePartsOf
from bidwitness.api.entering import MeAnswer, me_of
from bidwitness.api.schemas import Answer, Body, Printable
from bidwitness.api.security import HALF_COOKIE, Front
from bidwitness.errors import Conflict, InvalidInput, Unauthenticated
from bidwitness.storage import factors, half_logins, security_keys
from bidwitness.storage.half_logins import Half
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import HalfLogin
from bidwitness.words import Factor

router = APIRouter(prefix="/auth/second", tags=["auth"])

Code = Annotated[str, StringConstraints(min_length=6, max_length=40), Printable]
Check = Callable[[Orm, HalfLogin, int], bool]


class CodeBody(Body):
    factor: Literal[Factor.TOTP, Factor.RECOVERY]
    code: Code


class KeyBody(Body):
    # As the browser's credential describes itself (PublicKeyCredential.toJSON).
    credential: dict[str, Any]


class WantedAnswer(Answer):
    """Whose login waits, and for which of these."""

    username: str
    second_factor: list[Factor]


@router.get("")
def wanted(request: Request, parts: ThePartsOf, front: TheFront) -> WantedAnswer:
    """What is still wanted: for pages that come back from the OpenID provider."""
    half = _half(request, parts)
    place = entering.place_of(front)
    with parts.database.read() as orm:
        usable = usable_factors(orm, half.user_id, place)
    return WantedAnswer(username=half.username, second_factor=usable)


def usable_factors(orm: Orm, user_id: str, place: security_keys.Place | None) -> list[Factor]:
    """Give the second factors that somebody can give at this address."""
    keys = security_keys.keys_of(orm, user_id, place.site) if place else ()
    held = factors.held_by(orm, user_id).factors
    return [one for one in held if one is not Factor.KEY or keys]


@router.post("/code")
def code(
    body: CodeBody, request: Request, response: Response, parts: ThePartsOf, front: TheFront
) -> MeAnswer:
    """Give a one-time code, or a recovery code: the answer sets the login cookie."""
    half = _half(request, parts)
    if body.factor == Factor.TOTP:
        check = _totp_check(parts, half.user_id, body.code)
    else:

        def check(orm: Orm, row: HalfLogin, now: int) -> bool:
            return factors.take_recovery_code(orm, row.user_id, body.code, now)

    return _try(half, Factor(body.factor), check, request, response, parts, front)


@router.post("/key-options")
def key_options(request: Request, parts: ThePartsOf, front: TheFront) -> dict[str, Any]:
    """Ask for what ``navigator.credentials.get`` needs: a nonce, and the keys that may sign it."""
    half = _half(request, parts)
    place = _place(front)
    challenge = security_keys.new_challenge()
    with parts.database.write() as orm:
        row = half_logins.take_half(orm, half.id, parts.clock.utc_us())
        keys = security_keys.keys_of(orm, half.user_id, place.site)
        if row is None or not keys:
            raise Conflict("No security key of yours answers at this address.")
        row.challenge = challenge
        return security_keys.assertion_options(place, keys, challenge)


@router.post("/key")
def key(
    body: KeyBody, request: Request, response: Response, parts: ThePartsOf, front: TheFront
) -> MeAnswer:
    """Give what a security key signed: the answer sets the login cookie."""
    place = _place(front)

    def check(orm: Orm, row: HalfLogin, now: int) -> bool:
        # Spent by the try, whatever comes of it.
        challenge, row.challenge = row.challenge, None
        return challenge is not None and (
            security_keys.take_assertion(orm, row.user_id, place, challenge, body.credential, now)
            is not None
        )

    half = _half(request, parts)
    return _try(half, Factor.KEY, check, request, response, parts, front)


def _totp_check(parts: Parts, user_id: str, given: str) -> Check:
    with parts.database.read() as orm:
        sealed = factors.sealed_secret(orm, user_id, confirmed=True)
    secret = parts.secrets.open(sealed, factors.secret_about(user_id)) if sealed else None

    def check(orm: Orm, row: HalfLogin, now: int) -> bool:
        return secret is not None and factors.take_code(orm, row.user_id, secret, given, now)

    return check


def _half(request: Request, parts: Parts) -> Half:
    token = request.cookies.get(HALF_COOKIE, "")
    with parts.database.read() as orm:
        half = half_logins.find_half(orm, token, parts.clock.utc_us())
    if half is None:
        raise _begin_again()
    return half


def _try(
    half: Half,
    factor: Factor,
    check: Check,
    request: Request,
    response: Response,
    parts: Parts,
    front: Front,
) -> MeAnswer:
    """Sign in if ``check`` says that the factor is good; count and note it if not."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        origin = entering.origin_of(orm, request, front, half.user_id, now)
    parts.code_limiter.check(origin, half.username)
    with parts.database.write() as orm:
        row = half_logins.take_half(orm, half.id, now)
        if row is None:
            raise _begin_again()
        good = check(orm, row, now)
        if good:
            row.ended_us = now
            token, found = entering.enter(
                orm, parts, request, front, half.user_id, factor, half.way
            )
            device = entering.know_device(orm, parts, request, half.user_id)
        else:
            row.failures += 1
            who = Who(half.username, half.user_id, front.address)
            facts = {"factor": factor.value, "failures": row.failures}
            subject = f"user:{half.user_id}"
            leave_audit_entry(orm, who, "login.second", subject, now, allowed=False, facts=facts)
    if not good:
        parts.code_limiter.failed(origin, half.username)
        raise InvalidInput(
            "That was not accepted. A code is good once, and for half a minute.",
            fields={"code": "is not accepted"},
        )
    parts.code_limiter.succeeded(origin, half.username)
    entering.set_login_cookies(response, parts, front, token, device)
    return me_of(parts, front, found, must_enrol=False)


def _place(front: Front) -> security_keys.Place:
    place = entering.place_of(front)
    if place is None:
        raise Conflict("Security keys want a host with a name, not an address.")
    return place


def _begin_again() -> Unauthenticated:
    return Unauthenticated("Sign in first: the second factor comes after that.")
