"""One sign-in through the provider, between the page that begins it and the one it comes back to.

The browser carries it, sealed, in a cookie that is sent when the provider's page leads back here
(SameSite=Lax) and to this one path. So nothing that a stranger begins takes room on the server, and
an answer that was made for another browser finds no cookie that fits.
"""

import base64
import hmac
import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from fastapi import Request, Response

from bidwitness.api.oidc_provider import SignInFailed, Wish
from bidwitness.api.security import Front
from bidwitness.errors import ConfigError, DamageFound
from bidwitness.secrets import SecretBox
from bidwitness.words import SignInFault

COOKIE = "bidwitness_oidc"
PATH = "/api/v1/auth/oidc"
BACK = f"{PATH}/callback"
LIFE_US = 10 * 60_000_000
MAX_COOKIE = 2000
# So many that have come back are remembered: none comes back twice.
REMEMBERED = 10_000
_ABOUT = "oidc sign-in"


@dataclass(frozen=True, slots=True)
class Flow:
    """``login_id``: the login from which an account is to be linked; none: somebody signs in."""

    wish: Wish
    begun_us: int
    login_id: str | None = None


def new_flow(front: Front, at_us: int, login_id: str | None = None) -> Flow:
    """Begin one, with fresh secrets, that comes back to where the browser sees us."""
    state, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    wish = Wish(state, nonce, secrets.token_urlsafe(48), front.origin + BACK)
    return Flow(wish, at_us, login_id)


def keep_flow(response: Response, box: SecretBox, front: Front, flow: Flow) -> None:
    """Give it to the browser to carry."""
    wish = flow.wish
    text = json.dumps(
        [wish.state, wish.nonce, wish.verifier, wish.back, flow.begun_us, flow.login_id]
    )
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(box.seal(text, _ABOUT)).decode(),
        max_age=LIFE_US // 1_000_000,
        path=PATH,
        httponly=True,
        secure=front.secure,
        samesite="lax",
    )


def drop_flow(response: Response, front: Front) -> None:
    """Take it from the browser."""
    response.delete_cookie(COOKIE, path=PATH, httponly=True, secure=front.secure, samesite="lax")


def read_flow(request: Request, box: SecretBox, now_us: int) -> Flow:
    """Give the one that a browser carries and that the address has come back for.

    Raises ``SignInFailed`` if there is none, if it is too old, or if it was another.
    """
    given = request.cookies.get(COOKIE, "")
    if not given or len(given) > MAX_COOKIE:
        raise SignInFailed(SignInFault.EXPIRED, "no sign-in was begun in this browser")
    try:
        sealed = base64.urlsafe_b64decode(given)
        state, nonce, verifier, back, begun_us, login_id = json.loads(box.open(sealed, _ABOUT))
    except (ValueError, DamageFound, ConfigError):
        # Nor is it if there is no key yet: nothing has been sealed here.
        raise SignInFailed(SignInFault.EXPIRED, "the cookie is not ours") from None
    if not begun_us <= now_us < begun_us + LIFE_US:
        raise SignInFailed(SignInFault.EXPIRED, "the sign-in was begun too long ago")
    came = request.query_params.get("state", "")
    if not hmac.compare_digest(came.encode(), state.encode()):
        raise SignInFailed(SignInFault.EXPIRED, "the state is another sign-in's")
    return Flow(Wish(state, nonce, verifier, back), begun_us, login_id)


class Spent:
    """Remembers which have come back, in memory of this process: the codes serve once anyway."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: OrderedDict[str, None] = OrderedDict()

    def spend(self, state: str) -> None:
        """Take one. Raises ``SignInFailed`` if it was taken before."""
        with self._lock:
            if state in self._states:
                raise SignInFailed(SignInFault.EXPIRED, "the sign-in has come back before")
            self._states[state] = None
            while len(self._states) > REMEMBERED:
                self._states.popitem(last=False)
