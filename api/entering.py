"""What signing in by password alone and by a second factor have in common: how a login begins."""

import ipaddress
import re

from fastapi import Request, Response
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import Parts
from bidwitness.api.limits import Origin
from bidwitness.api.schemas import Answer
from bidwitness.api.security import COOKIE, DEVICE_COOKIE, DISPLAY_COOKIE, HALF_COOKIE, Front
from bidwitness.storage import devices, displays, half_logins, logins
from bidwitness.storage.index.audit import AtDisplay
from bidwitness.storage.index.models import User
from bidwitness.storage.security_keys import Place
from bidwitness.storage.sights import person_of
from bidwitness.words import Factor, LoginWay, Role

# The cookies beside the login's own go to the routes of signing in only.
HALF_PATH = "/api/v1/auth"
MAX_COOKIE = 100


class MeAnswer(Answer):
    username: str
    name: str
    roles: list[Role]
    must_change_password: bool
    # A second factor must be set up before anything else.
    must_enrol: bool
    # What stands over every picture beside the name: the supervising departments she is there for
    # (empty: none), and where she sits as we see it.
    department: str
    address: str


def department_of(parts: Parts, user_id: str) -> str:
    with parts.database.read() as orm:
        return person_of(orm, user_id, parts.clock.utc_us()).department


def me_of(parts: Parts, front: Front, found: logins.SignedIn, *, must_enrol: bool) -> MeAnswer:
    return MeAnswer(
        username=found.username,
        name=found.name,
        roles=sorted(found.roles),
        must_change_password=parts.password_due(found.must_change_password, found.password_set_us),
        must_enrol=must_enrol,
        department=department_of(parts, found.user_id),
        address=front.address,
    )


def origin_of(orm: Orm, request: Request, front: Front, user_id: str | None, now_us: int) -> Origin:
    """Give where a try comes from. For nobody the same is asked as for somebody."""
    asked = user_id or ""
    device = devices.find_device(orm, asked, request.cookies.get(DEVICE_COOKIE), now_us)
    own = logins.knows_address(orm, asked, front.address, now_us)
    return Origin(front.address, device, own)


def place_of(front: Front) -> Place | None:
    """Give where security keys are used; None where none can be: they want a host with a name."""
    site = re.sub(r":\d+$", "", front.host)
    try:
        ipaddress.ip_address(site.strip("[]"))
    except ValueError:
        return Place(site, front.origin)
    return None


def enter(
    orm: Orm,
    parts: Parts,
    request: Request,
    front: Front,
    user_id: str,
    factor: Factor | None = None,
    way: LoginWay = LoginWay.PASSWORD,
) -> tuple[str, logins.SignedIn]:
    """Open a login: the token and whom it stands for. On a registered display it is bound to it."""
    on = displays.find_display(orm, request.cookies.get(DISPLAY_COOKIE), front.address)
    return logins.open_login(
        orm,
        orm.get_one(User, user_id),
        parts.clock.utc_us(),
        parts.login_limits,
        address=front.address,
        agent=request.headers.get("user-agent"),
        factor=factor,
        display=AtDisplay(on.id, on.name) if on else None,
        way=way,
    )


def know_device(orm: Orm, parts: Parts, request: Request, user_id: str) -> str:
    """Remember the browser as one of somebody's; give the token that it is to keep."""
    given = request.cookies.get(DEVICE_COOKIE)
    token = given if given and len(given) <= MAX_COOKIE else devices.new_device_token()
    devices.remember_device(orm, user_id, token, parts.clock.utc_us())
    return token


def set_login_cookies(
    response: Response, parts: Parts, front: Front, token: str, device: str | None
) -> None:
    """Give the browser its login, and what it is known by the next time, if that was asked for."""
    hours = parts.settings.login_hours
    _set_cookie(response, front, COOKIE, token, hours * 3600, "/")
    if device is not None:
        days = devices.LIFE_US // logins.DAY_US
        _set_cookie(response, front, DEVICE_COOKIE, device, days * 86_400, HALF_PATH)
    drop_half_cookie(response, front)


def set_half_cookie(response: Response, front: Front, token: str) -> None:
    """Give the browser what it needs for the second step, and for nothing else."""
    _set_cookie(response, front, HALF_COOKIE, token, half_logins.LIFE_US // 1_000_000, HALF_PATH)


def drop_half_cookie(response: Response, front: Front) -> None:
    response.delete_cookie(
        HALF_COOKIE, path=HALF_PATH, httponly=True, secure=front.secure, samesite="strict"
    )


def _set_cookie(
    response: Response, front: Front, name: str, value: str, seconds: int, path: str
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        secure=front.secure,
        samesite="strict",
    )
