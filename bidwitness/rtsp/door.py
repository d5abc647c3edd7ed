"""Whether a camera may be sent a login, and what its refusals mean for people. Pure."""

from collections.abc import Sequence

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError, InvalidInput
from bidwitness.rtsp.login import Challenge, choose
from bidwitness.rtsp.messages import Message

_NO_STREAM = (400, 404, 406, 415, 451, 454)


def check_answer(answer: Message, address: CameraAddress) -> None:
    """Make sure that a request without a login was answered well, or only asked for one.

    Raises ``InvalidInput`` naming the field and the fix, ``CameraError`` for the camera's faults.
    """
    status = answer.status
    if 300 <= status < 400:
        raise wrong("address", "The camera sends elsewhere. Give the address it really is at.")
    if status in _NO_STREAM:
        raise wrong("address", "The camera answers, but has no stream of this path.")
    if status == 403:
        raise wrong("username", "The camera does not let this computer in.")
    if status >= 500:
        raise CameraError(f"The camera has a fault of its own (RTSP {status}).")
    if status == 461:
        raise CameraError(
            f"The camera at {address.host} does not send media this way. Try rtspu:// (datagrams) "
            "in place of rtsp://, or the other way about."
        )
    if status != 401 and not 200 <= status < 300:
        raise CameraError(f"The camera at {address.host} refuses the request (RTSP {status}).")


def choose_login(challenges: Sequence[Challenge], address: CameraAddress) -> Challenge:
    """Give the challenge to answer for the address's login.

    Raises ``InvalidInput`` if there is no login, none that we know, or it would go in clear.
    """
    if not address.username:
        raise wrong("username", "The camera wants a user name and a password.")
    chosen = choose(challenges)
    if chosen is None:
        offered = ", ".join(sorted({challenge.name for challenge in challenges})) or "nothing"
        raise wrong(
            "password",
            f"The camera only offers a login of a kind that is not known here ({offered}). Let "
            "it offer Digest, or Basic by rtsps://.",
        )
    if chosen.scheme == "basic" and address.scheme != "rtsps" and not address.basic_in_clear:
        raise wrong(
            "basic_in_clear",
            "The camera only offers Basic, which sends the password readable. Switch it to "
            "Digest, or use rtsps://, or allow Basic in clear for this camera.",
        )
    return chosen


def not_accepted(address: CameraAddress) -> InvalidInput:
    """The login was sent and refused."""
    detail = f"The camera at {address.host} refuses this user name or password."
    return InvalidInput(detail, fields={"password": detail})


def not_rtsp() -> InvalidInput:
    """Something else than a camera answers."""
    return wrong("address", "What answers there does not speak RTSP.")


def wrong(named: str, detail: str) -> InvalidInput:
    """Give the error that names a field and what to do about it."""
    return InvalidInput(detail, fields={named: detail})
