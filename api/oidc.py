"""Signing in through an OpenID provider (authorization code, PKCE), and linking an account with it.

What goes wrong on the way back is told by the page it leads to, as one of a few words
(``?oidc=unreachable``): the provider's own text is never shown, nor followed.
"""

import logging

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ConfigDict
from sqlalchemy.orm import Session as Orm

from bidwitness.api import entering
from bidwitness.api.auth import wanted_factors
from bidwitness.api.deps import Owner, Parts, TheFront, ThePartsOf, prove_password
from bidwitness.api.limits import Origin
from bidwitness.api.oidc_flow import Flow, drop_flow, keep_flow, new_flow, read_flow
from bidwitness.api.oidc_provider import Named, Provider, SignInFailed
from bidwitness.api.schemas import Answer, Body, Password
from bidwitness.api.security import Front
from bidwitness.errors import Conflict, NotFound, TooMany, Unavailable
from bidwitness.storage import half_logins, logins, oidc_links
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Login, User
from bidwitness.words import Factor, LoginWay, SignInFault

logger = logging.getLogger(__name__)

router = APIRouter(tags=["auth"])

# The only places that the way back leads to; what comes with it is a word of ours.
HOME, ACCOUNT = "/", "/account"
SECOND, LINKED = "second", "linked"
# What is not the person's doing is not counted against her address.
NOBODYS = frozenset({SignInFault.UNREACHABLE, SignInFault.BUSY})


class ProofBody(Body):
    model_config = ConfigDict(str_strip_whitespace=False)

    password: Password


class WayAnswer(Answer):
    """The provider's page, for the browser to go to."""

    location: str


@router.post("/auth/oidc/start")
def start(response: Response, parts: ThePartsOf, front: TheFront) -> WayAnswer:
    """Begin to sign in: the answer sets a cookie and names the provider's page."""
    return _begin(response, parts, front, None)


@router.post("/account/oidc/link")
def link(
    body: ProofBody, response: Response, user: Owner, parts: ThePartsOf, front: TheFront
) -> WayAnswer:
    """Begin to link one's account with whom the provider will name."""
    _provider(parts)
    prove_password(parts, front, user, body.password.get_secret_value())
    with parts.database.read() as orm:
        if oidc_links.link_of(orm, parts.settings.oidc_issuer, user.id) is not None:
            raise Conflict("This account is linked already: unlink it first.")
    return _begin(response, parts, front, user.login_id)


@router.post("/account/oidc/unlink", status_code=204)
def unlink(body: ProofBody, user: Owner, parts: ThePartsOf, front: TheFront) -> None:
    """End the link of one's account."""
    prove_password(parts, front, user, body.password.get_secret_value())
    with parts.database.write() as orm:
        oidc_links.unlink(orm, user.who, user.id, parts.clock.utc_us())


# For browsers alone, so it is not described to programs.
@router.get("/auth/oidc/callback", include_in_schema=False)
def callback(request: Request, parts: ThePartsOf, front: TheFront) -> RedirectResponse:
    """Come back from the provider: signs in or links, and leads to a page of ours."""
    provider = _provider(parts)
    now = parts.clock.utc_us()
    page, flow = HOME, None
    # Counted for the address as wrong passwords are, and for nothing that others share.
    origin = Origin(front.address, own_address=True)
    try:
        parts.limiter.check(origin, "")
        flow = read_flow(request, parts.secrets, now)
        page = ACCOUNT if flow.login_id else HOME
        parts.spent.spend(flow.wish.state)
        named = provider.whom(_code(request, parts), flow.wish)
        answer = (
            _link(parts, flow.login_id, named, front)
            if flow.login_id
            else _enter(parts, request, front, named)
        )
    except TooMany:
        answer = _lead(HOME, SignInFault.BUSY.value)
    except SignInFailed as failure:
        logger.warning("no sign-in through the provider: %s (%s)", failure.fault, failure.why)
        if flow is not None and failure.fault not in NOBODYS:
            parts.limiter.failed(origin, flow.wish.state)
            _note(parts, front, flow, failure)
        answer = _lead(page, failure.fault.value)
    drop_flow(answer, front)
    return answer


def _begin(response: Response, parts: Parts, front: Front, login_id: str | None) -> WayAnswer:
    provider = _provider(parts)
    parts.limiter.check(Origin(front.address, own_address=True), "")
    flow = new_flow(front, parts.clock.utc_us(), login_id)
    try:
        address = provider.address_for(flow.wish)
    except SignInFailed as failure:
        logger.warning("the provider cannot be asked: %s (%s)", failure.fault, failure.why)
        raise Unavailable(
            f"{parts.settings.oidc_name} does not answer as it should. Sign in by password, or "
            "try again later."
        ) from None
    keep_flow(response, parts.secrets, front, flow)
    return WayAnswer(location=address)


def _code(request: Request, parts: Parts) -> str:
    """Give the code that came back. The provider may say no, and must not be another one."""
    given = request.query_params
    if given.get("iss", parts.settings.oidc_issuer) != parts.settings.oidc_issuer:
        raise SignInFailed(SignInFault.UNTRUSTED, "another provider answers")
    code = given.get("code", "")
    if "error" in given or not 0 < len(code) <= 2000:
        raise SignInFailed(SignInFault.REFUSED, "the provider says no")
    return code


def _enter(parts: Parts, request: Request, front: Front, named: Named) -> RedirectResponse:
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        user = oidc_links.find_linked(orm, named.stranger)
        if user is None:
            raise SignInFailed(SignInFault.NOT_LINKED, "nobody is linked with this identity")
        if user.disabled:
            raise SignInFailed(SignInFault.SHUT_OUT, f"user {user.id} is shut out")
        oidc_links.mark_used(orm, user.id, now)
        if wanted_factors(orm, parts, user.id).any and not named.factor:
            half = half_logins.open_half(orm, user, now, LoginWay.OIDC)
            who = Who(user.username, user.id, front.address)
            leave_audit_entry(orm, who, "login.oidc", f"user:{user.id}", now)
            answer = _lead(HOME, SECOND)
            entering.set_half_cookie(answer, front, half)
            return answer
        factor = Factor.PROVIDER if named.factor else None
        token, _ = entering.enter(orm, parts, request, front, user.id, factor, LoginWay.OIDC)
    answer = RedirectResponse(HOME, status_code=303)
    # The cookie of known browsers does not come along from elsewhere, so it is not renewed.
    entering.set_login_cookies(answer, parts, front, token, None)
    return answer


def _link(parts: Parts, login_id: str, named: Named, front: Front) -> RedirectResponse:
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        user = _linking(orm, parts, login_id, now)
        who = Who(user.username, user.id, front.address)
        try:
            oidc_links.link(orm, who, user.id, named.stranger, now)
        except Conflict as error:
            raise SignInFailed(SignInFault.TAKEN, error.detail) from None
    return _lead(ACCOUNT, LINKED)


def _linking(orm: Orm, parts: Parts, login_id: str, now: int) -> User:
    """Give whose login the linking was begun from: its cookie does not come along from elsewhere."""
    if not logins.still_stands(orm, login_id, now, parts.login_limits):
        raise SignInFailed(SignInFault.EXPIRED, "the login that began it has ended")
    return orm.get_one(User, orm.get_one(Login, login_id).user_id)


def _note(parts: Parts, front: Front, flow: Flow, failure: SignInFailed) -> None:
    facts = {"way": LoginWay.OIDC.value, "fault": failure.fault.value}
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        if flow.login_id is None:
            who, action, subject = Who("unknown", None, front.address), "login", "user:unknown"
        else:
            user = orm.get_one(User, orm.get_one(Login, flow.login_id).user_id)
            who, action = Who(user.username, user.id, front.address), "oidc.link"
            subject = f"user:{user.id}"
        leave_audit_entry(orm, who, action, subject, now, allowed=False, facts=facts)


def _lead(page: str, word: str) -> RedirectResponse:
    return RedirectResponse(f"{page}?oidc={word}", status_code=303)


def _provider(parts: Parts) -> Provider:
    if parts.provider is None:
        raise NotFound("This site has no OpenID provider.")
    return parts.provider
