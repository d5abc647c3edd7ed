"""Knock at an RTSP address without any login, and say what answered.

libav follows a redirect to any host and takes the login along, answers a Basic challenge in
clear, and says little about why it failed. So it is first asked here what stands there.
"""

import re
import socket
import ssl
from dataclasses import dataclass

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError, InvalidInput

ANSWER_S = 6.0
MAX_ANSWER = 64 * 1024
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})")


@dataclass(frozen=True, slots=True)
class Door:
    """The answer to DESCRIBE: its status, the login schemes it offers, where it sends one."""

    status: int
    schemes: frozenset[str] = frozenset()
    location: str = ""


def admit(address: CameraAddress, ip: str) -> None:
    """Make sure that a media library may go to ``ip``, where ``address`` resolved to.

    What RTSP in HTTP answers is not asked first: its tunnel only opens with the login.
    Raises ``CameraError`` or ``InvalidInput``, with what to do.
    """
    if address.scheme != "rtsph":
        check_door(knock(address, ip), address)


def knock(address: CameraAddress, ip: str) -> Door:
    """Send DESCRIBE without a login to ``ip``, which is where ``address`` resolved to.

    Raises ``CameraError`` if nothing answers, ``InvalidInput`` if what answers is not RTSP.
    """
    request = (
        f"DESCRIBE {address} RTSP/1.0\r\n"
        "CSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: BidWitness\r\n\r\n"
    )
    try:
        with socket.create_connection((ip, address.port), ANSWER_S) as plain:
            plain.settimeout(ANSWER_S)
            if address.scheme == "rtsps":
                with _tls().wrap_socket(plain) as secure:
                    return _exchange(secure, request)
            return _exchange(plain, request)
    except TimeoutError:
        raise CameraError(f"The camera did not answer within {ANSWER_S:g} s.") from None
    except ConnectionRefusedError:
        raise CameraError(f"Nothing listens at port {address.port} of {address.host}.") from None
    except ssl.SSLError:
        raise CameraError("The camera does not speak TLS at this port: try rtsp://.") from None
    except OSError as error:
        raise CameraError(f"No connection to the camera: {error.strerror or 'cut off'}.") from None


def check_door(door: Door, address: CameraAddress) -> None:
    """Decide whether a media library may be sent there with the login. Pure.

    Raises ``InvalidInput`` naming the field and the fix.
    """
    if 300 <= door.status < 400:
        raise _wrong("address", "The camera sends elsewhere. Give the address it really is at.")
    if door.status == 401:
        if not address.username:
            raise _wrong("username", "The camera wants a user name and a password.")
        if "digest" not in door.schemes and address.scheme == "rtsp":
            raise _wrong(
                "password",
                "The camera only offers Basic, which sends the password readable. Switch it to "
                "Digest, or use rtsps://.",
            )
    elif door.status in (400, 404, 406, 415, 451, 454):
        raise _wrong("address", "The camera answers, but has no stream of this path.")
    elif door.status == 403:
        raise _wrong("username", "The camera does not let this computer in.")
    elif door.status >= 500:
        raise CameraError(f"The camera has a fault of its own (RTSP {door.status}).")


def parse_door(answer: bytes) -> Door:
    """Read the head of an RTSP answer. Raises ``InvalidInput`` if it is none. Pure."""
    found = _STATUS.match(answer)
    if found is None:
        raise _wrong("address", "What answers there does not speak RTSP.")
    schemes: set[str] = set()
    location = ""
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"www-authenticate":
                schemes.add(value.split()[0].decode("ascii", "replace").lower() if value else "")
            case b"location":
                location = value.strip().decode("ascii", "replace")[:300]
    return Door(int(found[1]), frozenset(schemes), location)


def _exchange(connection: socket.socket, request: str) -> Door:
    connection.sendall(request.encode("ascii", "replace"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER:
        more = connection.recv(4096)
        if not more:
            break
        answer += more
        if len(answer) > 16 and not _STATUS.match(answer):
            break
    if not answer:
        raise CameraError("The camera hung up without an answer.")
    return parse_door(answer)


def _tls() -> ssl.SSLContext:
    """Cameras have certificates of their own making: encrypted, but not proven to be theirs."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _wrong(named: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, fields={named: detail})
