"""One's own second factors: an authenticator, security keys, recovery codes."""

from typing import Annotated, Any

import segno
from fastapi import APIRouter
from pydantic import ConfigDict, StringConstraints
from sqlalchemy.orm import Session as Orm

from bidwitness.api import entering
from bidwitness.api.deps import (
    CurrentUser,
    Owner,
    Parts,
    TheFront,
    ThePartsOf,
    prove_password,
)
from bidwitness.api.schemas import Answer, Body, IdPath, Name, Password, Printable
from bidwitness.api.security import Front
from bidwitness.errors import Conflict, Forbidden, InvalidInput
from bidwitness.storage import factors, security_keys
from bidwitness.storage.index.models import Login, User
from bidwitness.words import SecondFactor

router = APIRouter(prefix="/account", tags=["account"])

Code = Annotated[str, StringConstraints(min_length=6, max_length=10), Printable]


class ProofBody(Body):
    """The password once more: a stolen login must not be able to change how one signs in."""

    model_config = ConfigDict(str_strip_whitespace=False)

    password: Password


class CodeBody(Body):
    code: Code


class NewKeyBody(Body):
    name: Name
    # As the browser's credential describes itself (PublicKeyCredential.toJSON).
    credential: dict[str, Any]


class EnrolmentAnswer(Answer):
    """Told once: the secret, as text and as an address in a QR code (a data: URL)."""

    secret: str
    uri: str
    qr: str


class CodesAnswer(Answer):
    """New recovery codes, told once; empty if there are some already."""

    recovery_codes: list[str]


class KeyAnswer(CodesAnswer):
    id: str
    name: str


@router.post("/totp")
def begin_totp(body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront) -> EnrolmentAnswer:
    """Begin to set up an authenticator. It counts once a code of it has been given."""
    _check_allowed(parts)
    prove_password(parts, front, user, body.password.get_secret_value())
    secret = factors.new_secret()
    sealed = parts.secrets.seal(secret, factors.secret_about(user.id))
    with parts.database.write() as orm:
        factors.begin_authenticator(orm, user.id, sealed, parts.clock.utc_us())
    uri = factors.enrolment_uri(secret, user.username, parts.settings.name)
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(scale=5, border=4)
    return EnrolmentAnswer(secret=secret, uri=uri, qr=str(picture))


@router.post("/totp/confirm")
def confirm_totp(body: CodeBody, user: Owner, parts: ThePartsOf) -> CodesAnswer:
    """Give a code of the new authenticator; with the first factor come recovery codes."""
    with parts.database.read() as orm:
        sealed = factors.sealed_secret(orm, user.id, confirmed=False)
    if sealed is None:
        raise Conflict("No authenticator waits to be confirmed: begin again.")
    secret = parts.secrets.open(sealed, factors.secret_about(user.id))
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        good = factors.confirm_authenticator(orm, user.who, user.id, secret, body.code, now)
        codes = _first_codes(orm, user, now) if good else []
    if not good:
        raise InvalidInput("The code is wrong.", fields={"code": "is wrong"})
    return CodesAnswer(recovery_codes=codes)


@router.post("/totp/remove", status_code=204)
def remove_totp(body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront) -> None:
    """Remove one's authenticator."""
    prove_password(parts, front, user, body.password.get_secret_value())
    with parts.database.write() as orm:
        factors.remove_authenticator(orm, user.who, user.id, parts.clock.utc_us())
        _check_enough(orm, parts, user)


@router.post("/keys/options")
def key_options(body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront) -> dict[str, Any]:
    """Ask for what ``navigator.credentials.create`` needs to register a key."""
    _check_allowed(parts)
    place = _place(front)
    prove_password(parts, front, user, body.password.get_secret_value())
    challenge = security_keys.new_challenge()
    with parts.database.write() as orm:
        login = _login_of(orm, user)
        login.challenge, login.challenge_us = challenge, parts.clock.utc_us()
        owner = orm.get_one(User, user.id)
        keys = security_keys.keys_of(orm, user.id)
        name = parts.settings.name
        return security_keys.registration_options(place, name, owner, keys, challenge)


@router.post("/keys", status_code=201)
def add_key(body: NewKeyBody, user: Owner, parts: ThePartsOf, front: TheFront) -> KeyAnswer:
    """Keep a key that answered; with the first factor come recovery codes."""
    _check_allowed(parts)
    place = _place(front)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        login = _login_of(orm, user)
        challenge, since = login.challenge, login.challenge_us or 0
        # Spent by the try, whatever comes of it.
        login.challenge = None
    if challenge is None or now > since + security_keys.CHALLENGE_US:
        raise Conflict("The registration took too long: begin again.")
    new = security_keys.verify_registration(place, challenge, body.credential)
    with parts.database.write() as orm:
        row = security_keys.add_key(orm, user.who, user.id, place, body.name, new, now)
        codes = _first_codes(orm, user, now)
        return KeyAnswer(id=row.id, name=row.name, recovery_codes=codes)


@router.post("/keys/{key_id}/remove", status_code=204)
def remove_key(
    key_id: IdPath, body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront
) -> None:
    """Remove one of one's keys."""
    prove_password(parts, front, user, body.password.get_secret_value())
    with parts.database.write() as orm:
        security_keys.remove_key(orm, user.who, user.id, key_id, parts.clock.utc_us())
        _check_enough(orm, parts, user)


@router.post("/recovery-codes")
def new_codes(body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront) -> CodesAnswer:
    """Make new recovery codes in place of the old ones, which are good no longer."""
    prove_password(parts, front, user, body.password.get_secret_value())
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        if not factors.held_by(orm, user.id).any:
            raise Conflict("Recovery codes stand in for a second factor: set one up first.")
        return CodesAnswer(recovery_codes=factors.new_recovery_codes(orm, user.who, user.id, now))


def _first_codes(orm: Orm, user: CurrentUser, now: int) -> list[str]:
    if factors.held_by(orm, user.id).recovery_left:
        return []
    return factors.new_recovery_codes(orm, user.who, user.id, now)


def _login_of(orm: Orm, user: CurrentUser) -> Login:
    login = orm.get(Login, user.login_id, with_for_update=True)
    if login is None:
        raise Forbidden("Sign in yourself for this.")
    return login


def _check_allowed(parts: Parts) -> None:
    if parts.settings.second_factor is SecondFactor.OFF:
        raise Conflict("This site does not use second factors (BIDWITNESS_SECOND_FACTOR).")


def _check_enough(orm: Orm, parts: Parts, user: CurrentUser) -> None:
    """Raise ``Conflict``, undoing what was done, if a factor is required and none is left."""
    if parts.factor_due(orm, user.id):
        raise Conflict("This site requires a second factor: set up another one first.")


def _place(front: Front) -> security_keys.Place:
    place = entering.place_of(front)
    if place is None:
        raise Conflict("Security keys want a host with a name, not an address.")
    return place
