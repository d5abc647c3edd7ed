"""Knock at an RTSP address without any login, and say what answered.

libav follows a redirect to any host and takes the login along, answers a Basic challenge in
clear, and says little about why it failed. So it is first asked here what stands there.
"""

import base64
import re
import secrets
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError, InvalidInput

ANSWER_S = 6.0
MAX_ANSWER = 64 * 1024
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})")
_HTTP_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})")
_ALGORITHM = re.compile(rb'(?i)algorithm="?([A-Za-z0-9-]+)')
# What libav is told to open (a closed list), by the address's scheme, and how media come.
_PROTOCOLS = {"rtsp": "tcp", "rtsps": "tls,tcp", "rtsph": "http,tcp", "rtspu": "udp,rtp,tcp"}
_TRANSPORT = {"rtsp": "tcp", "rtsps": "tcp", "rtsph": "http", "rtspu": "udp"}
_KERNEL_BUFFER = 4 << 20
_TUNNEL = "application/x-rtsp-tunnelled"


@dataclass(frozen=True, slots=True)
class Door:
    """The answer to DESCRIBE: its status, the login schemes it offers, where it sends one.

    Digest with anything but MD5 is called ``digest-`` and its algorithm.
    """

    status: int
    schemes: frozenset[str] = frozenset()
    location: str = ""


def admit(address: CameraAddress, ip: str) -> None:
    """Make sure that a media library may go to ``ip``, where ``address`` resolved to.

    Raises ``CameraError`` or ``InvalidInput``, with what to do.
    """
    check_door(knock(address, ip), address)


def media_options(address: CameraAddress) -> dict[str, str]:
    """Give libav's options for an address: how media come, by which protocols, what to prove."""
    options = {
        "rtsp_transport": _TRANSPORT[address.scheme],
        "protocol_whitelist": _PROTOCOLS[address.scheme],
    }
    if address.scheme == "rtspu":
        # Datagrams may come in another order, and in bursts.
        options |= {"buffer_size": str(_KERNEL_BUFFER), "max_delay": "200000"}
    else:
        options |= {"reorder_queue_size": "0", "max_delay": "0"}
    if address.scheme == "rtsps" and not address.unproven_certificate:
        # Its own list of authorities is empty: verifying without one would refuse everybody.
        options |= {"tls_verify": "1", "ca_file": authorities()}
    return options


def authorities() -> str:
    """Give the file of the certificates that this system trusts (or SSL_CERT_FILE names)."""
    found = ssl.get_default_verify_paths()
    return found.cafile or found.openssl_cafile


def dialled(address: CameraAddress, ip: str) -> str:
    """Give the URL for libav, with the login: by number, but where a certificate names a host."""
    return address.dial(address.host if address.scheme == "rtsps" else ip)


def knock(address: CameraAddress, ip: str) -> Door:
    """Send DESCRIBE without a login to ``ip``, which is where ``address`` resolved to.

    Raises ``CameraError`` if nothing answers, ``InvalidInput`` if what answers is not RTSP.
    """
    request = (
        f"DESCRIBE {replace(address, username='', password='').dial(address.host)} RTSP/1.0\r\n"
        "CSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: BidWitness\r\n\r\n"
    )
    try:
        if address.scheme == "rtsph":
            return _through_tunnel(address, ip, request)
        with _connect(address, ip) as plain:
            if address.scheme == "rtsps":
                with _tls(address).wrap_socket(plain, server_hostname=address.host) as secure:
                    return _exchange(secure, request)
            return _exchange(plain, request)
    except TimeoutError:
        raise CameraError(f"The camera did not answer within {ANSWER_S:g} s.") from None
    except ConnectionRefusedError:
        raise CameraError(f"Nothing listens at port {address.port} of {address.host}.") from None
    except ssl.SSLCertVerificationError as error:
        said = f"The camera's certificate is not proven: {error.verify_message}."
        raise _wrong(
            "unproven_certificate",
            f"{said} Give the camera one for {address.host} that this computer trusts, or allow "
            "an unproven certificate for this camera.",
        ) from None
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
        if "digest" not in door.schemes:
            _check_without_digest(door, address)
    elif door.status in (400, 404, 406, 415, 451, 454):
        raise _wrong("address", "The camera answers, but has no stream of this path.")
    elif door.status == 403:
        raise _wrong("username", "The camera does not let this computer in.")
    elif door.status >= 500:
        raise CameraError(f"The camera has a fault of its own (RTSP {door.status}).")


def _check_without_digest(door: Door, address: CameraAddress) -> None:
    """Decide about a camera that does not offer Digest with MD5, which is all libav answers."""
    # Where both are offered libav takes Digest, whatever its algorithm.
    if "basic" not in door.schemes or len(door.schemes) > 1:
        offered = ", ".join(sorted(door.schemes)) or "nothing"
        raise _wrong(
            "password",
            f"The camera only offers a login of a kind that is not known here ({offered}). Let "
            "it offer Digest with MD5 as well, or Basic by rtsps://.",
        )
    if address.scheme != "rtsps" and not address.basic_in_clear:
        raise _wrong(
            "basic_in_clear",
            "The camera only offers Basic, which sends the password readable. Switch it to "
            "Digest, or use rtsps://, or allow Basic in clear for this camera.",
        )


def parse_door(answer: bytes, status: re.Pattern[bytes] = _STATUS) -> Door:
    """Read the head of an RTSP answer. Raises ``InvalidInput`` if it is none. Pure."""
    found = status.match(answer)
    if found is None:
        raise _wrong("address", "What answers there does not speak RTSP.")
    schemes: set[str] = set()
    location = ""
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"www-authenticate":
                schemes.add(_scheme(value.strip()))
            case b"location":
                location = value.strip().decode("ascii", "replace")[:300]
    return Door(int(found[1]), frozenset(schemes), location)


def _scheme(challenge: bytes) -> str:
    name = challenge.partition(b" ")[0].decode("ascii", "replace").lower() if challenge else ""
    algorithm = _ALGORITHM.search(challenge)
    if name != "digest" or algorithm is None or algorithm[1].upper().startswith(b"MD5"):
        return name
    return f"digest-{algorithm[1].decode('ascii').lower()}"


def _connect(address: CameraAddress, ip: str) -> socket.socket:
    connection = socket.create_connection((ip, address.port), ANSWER_S)
    connection.settimeout(ANSWER_S)
    return connection


def _through_tunnel(address: CameraAddress, ip: str, request: str) -> Door:
    """Ask by two HTTP connections: what the GET brings back answers what the POST sends."""
    head = (
        f"{address.path} HTTP/1.0\r\nHost: {address.host}:{address.port}\r\n"
        f"User-Agent: BidWitness\r\nx-sessioncookie: {secrets.token_hex(8)}\r\n"
    )
    with ExitStack() as stack:
        back = stack.enter_context(_connect(address, ip))
        back.sendall(f"GET {head}Accept: {_TUNNEL}\r\n\r\n".encode("ascii", "replace"))
        door = _read_door(back, _HTTP_STATUS)
        if door.status != 200:
            return door
        body = base64.b64encode(request.encode("ascii", "replace"))
        post = f"POST {head}Content-Type: {_TUNNEL}\r\nContent-Length: 32767\r\n\r\n"
        there = stack.enter_context(_connect(address, ip))
        there.sendall(post.encode("ascii", "replace") + body)
        return _read_door(back, _STATUS)


def _exchange(connection: socket.socket, request: str) -> Door:
    connection.sendall(request.encode("ascii", "replace"))
    return _read_door(connection, _STATUS)


def _read_door(connection: socket.socket, status: re.Pattern[bytes]) -> Door:
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER:
        more = connection.recv(4096)
        if not more:
            break
        answer += more
        if len(answer) > 16 and not status.match(answer):
            break
    if not answer:
        raise CameraError("The camera hung up without an answer.")
    return parse_door(answer, status)


def _tls(address: CameraAddress) -> ssl.SSLContext:
    """Want a proof of whose certificate it is, unless somebody has allowed to do without."""
    context = ssl.create_default_context()
    if Path(authorities()).is_file():
        context.load_verify_locations(authorities())
    if address.unproven_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _wrong(named: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, fields={named: detail})
