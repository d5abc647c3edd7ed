"""The connection that RTSP runs over: plain, TLS, or a tunnel of two HTTP connections."""

import base64
import secrets
import socket
import ssl
import struct
from contextlib import ExitStack
from pathlib import Path

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError, InvalidInput
from bidwitness.rtsp.messages import MAX_MESSAGE, NotRtsp, read_message

_TUNNEL = "application/x-rtsp-tunnelled"
_KERNEL_BUFFER = 1 << 20


class Wire:
    """Bytes to and from a camera. Made by ``connect``; time-outs are ``TimeoutError``."""

    def __init__(self, back: socket.socket, there: socket.socket | None = None) -> None:
        self._back = back
        self._there = there
        self._seconds = back.gettimeout()

    @property
    def socket(self) -> socket.socket:
        """The socket that what the camera says comes by."""
        return self._back

    def send(self, data: bytes) -> None:
        """Send all of it. Raises ``OSError``."""
        if self._there is not None:
            self._there.sendall(base64.b64encode(data))
        else:
            self._back.sendall(data)

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes; give how many came, 0 at the end. Raises ``OSError``.

        What is less than the buffer holds is all that had come.
        """
        try:
            count = self._back.recv_into(buffer)
        except BlockingIOError:
            raise TimeoutError from None
        if count and isinstance(self._back, ssl.SSLSocket):
            count += self._further(self._back, buffer[count:])
        return count

    def _further(self, secured: ssl.SSLSocket, buffer: memoryview) -> int:
        """Give what else has come: TLS gives one record at a time, often one of a packet's size."""
        count = 0
        secured.settimeout(0)
        try:
            while count < len(buffer) and (more := secured.recv_into(buffer[count:])):
                count += more
        except OSError:
            # No more has come; or a fault, which the next call will meet again.
            return count
        finally:
            secured.settimeout(self._seconds)
        return count

    def patience(self, seconds: float) -> None:
        """Say how long to wait for what is received or sent."""
        self._seconds = seconds
        for each in (self._back, self._there):
            if each is None:
                continue
            if isinstance(each, ssl.SSLSocket):
                each.settimeout(seconds)
                continue
            # The kernel's own time-out spares asking it before each read whether there is one.
            each.settimeout(None)
            value = struct.pack("ll", int(seconds), int(seconds * 1_000_000) % 1_000_000)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def close(self) -> None:
        self._back.close()
        if self._there is not None:
            self._there.close()


def connect(address: CameraAddress, ip: str, seconds: float) -> Wire:
    """Connect to ``ip``, where ``address`` resolved to; every wait is at most ``seconds``.

    Raises ``CameraError`` if nobody answers, ``InvalidInput`` for a certificate that is not
    proven, each with what to do.
    """
    try:
        if address.scheme == "rtsph":
            wire = _tunnel(address, ip, seconds)
        elif address.scheme == "rtsps":
            wire = Wire(_secured(_dialled(address, ip, seconds), address))
        else:
            wire = Wire(_dialled(address, ip, seconds))
    except ConnectionRefusedError:
        raise CameraError(f"Nothing listens at port {address.port} of {address.host}.") from None
    except TimeoutError:
        raise CameraError(f"The camera did not answer within {seconds:g} s.") from None
    except ssl.SSLCertVerificationError as error:
        detail = (
            f"The camera's certificate is not proven: {error.verify_message}. Give the camera one "
            f"for {address.host} that this computer trusts, or allow an unproven certificate for "
            "this camera."
        )
        raise InvalidInput(detail, fields={"unproven_certificate": detail}) from None
    except ssl.SSLError:
        raise CameraError("The camera does not speak TLS at this port: try rtsp://.") from None
    except OSError as error:
        raise CameraError(f"No connection to the camera: {error.strerror or 'cut off'}.") from None
    wire.patience(seconds)
    return wire


def _dialled(address: CameraAddress, ip: str, seconds: float) -> socket.socket:
    connection = socket.create_connection((ip, address.port), seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What comes while nobody reads (a slow disk, a machine that is busy) waits here.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
    return connection


def _secured(plain: socket.socket, address: CameraAddress) -> ssl.SSLSocket:
    """Want a proof of whose certificate it is, unless somebody has allowed to do without."""
    context = ssl.create_default_context()
    found = ssl.get_default_verify_paths()
    authorities = found.cafile or found.openssl_cafile
    if Path(authorities).is_file():
        context.load_verify_locations(authorities)
    if address.unproven_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except OSError:
        plain.close()
        raise


def _tunnel(address: CameraAddress, ip: str, seconds: float) -> Wire:
    """What the GET brings back answers what the POST sends, in base 64."""
    head = (
        f"{address.path} HTTP/1.0\r\nHost: {address.host}:{address.port}\r\n"
        f"User-Agent: BidWitness\r\nx-sessioncookie: {secrets.token_hex(8)}\r\n"
    )
    with ExitStack() as stack:
        back = stack.enter_context(_dialled(address, ip, seconds))
        back.sendall(f"GET {head}Accept: {_TUNNEL}\r\n\r\n".encode("ascii", "replace"))
        _wait_for_answer(back)
        there = stack.enter_context(_dialled(address, ip, seconds))
        post = f"POST {head}Content-Type: {_TUNNEL}\r\nContent-Length: 32767\r\n\r\n"
        there.sendall(post.encode("ascii", "replace"))
        stack.pop_all()
        return Wire(back, there)


def _wait_for_answer(back: socket.socket) -> None:
    """Read the head of the answer to GET and nothing behind it."""
    said = b""
    while not said.endswith(b"\r\n\r\n") and len(said) < MAX_MESSAGE:
        more = back.recv(1)
        if not more:
            raise CameraError("The camera hung up without an answer.")
        said += more
        if len(said) == 5 and said != b"HTTP/":
            break
    try:
        answer = read_message(said, b"HTTP")
    except NotRtsp:
        answer = None
    if answer is None or answer[0].status != 200:
        detail = "The camera answers, but has no stream of this path."
        if answer is None:
            detail = "What answers there does not speak RTSP."
        raise InvalidInput(detail, fields={"address": detail})
