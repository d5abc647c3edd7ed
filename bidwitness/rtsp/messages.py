"""RTSP messages (RFC 2326, 4 to 6), read and written. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_MESSAGE = 64 * 1024
_STATUS = {name: re.compile(name + rb"/\d\.\d (\d{3})(?: |\r|$)") for name in (b"RTSP", b"HTTP")}
_REQUEST = re.compile(rb"([A-Z_]{3,20}) \S{1,2000} RTSP/1\.\d$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """An answer (with its ``status``), or a camera's own request (with its ``method``).

    Header names are in lower case; a header that came more than once has more than one entry.
    """

    status: int = 0
    method: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """Give the first header of a name, or an empty text."""
        return next((value for known, value in self.headers if known == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Give all headers of a name."""
        return tuple(value for known, value in self.headers if known == name)


class NotRtsp(ValueError):
    """What came is no message."""


def read_message(data: bytes, protocol: bytes = b"RTSP") -> tuple[Message, int] | None:
    """Read the message that ``data`` begins with; give it and its length in bytes.

    ``protocol`` is what answers begin with: ``HTTP`` where a tunnel is opened.

    None while it is not complete. Raises ``NotRtsp`` if it is no message or longer than
    ``MAX_MESSAGE``.
    """
    if not _may_be_one(data, protocol):
        raise NotRtsp
    end = data.find(_HEAD_END, 0, MAX_MESSAGE)
    if end < 0:
        if len(data) >= MAX_MESSAGE:
            raise NotRtsp
        return None
    first, *lines = data[:end].split(b"\r\n")
    headers = tuple(_header(line) for line in lines if b":" in line)
    length = next((value for name, value in headers if name == "content-length"), "0")
    if not (length.isascii() and length.isdigit() and int(length) <= MAX_MESSAGE):
        raise NotRtsp
    start = end + len(_HEAD_END)
    stop = start + int(length)
    if len(data) < stop:
        return None
    body = data[start:stop]
    if found := _STATUS[protocol].match(first):
        return Message(status=int(found[1]), headers=headers, body=body), stop
    if found := _REQUEST.match(first):
        return Message(method=found[1].decode(), headers=headers, body=body), stop
    raise NotRtsp


def _may_be_one(data: bytes, protocol: bytes) -> bool:
    """Say whether it begins as a message does, as far as it has come."""
    start = data[:5]
    if start == protocol + b"/":
        return len(data) < 13 or _STATUS[protocol].match(data) is not None
    line = data[:2100].partition(b"\r\n")
    if line[1]:
        return _REQUEST.match(line[0]) is not None
    if len(data) >= 2100:
        return False
    return (protocol + b"/").startswith(start) or start.isupper()


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.partition(b":")
    return name.strip().decode("latin-1").lower(), value.strip().decode("utf-8", "replace")


def write_request(
    method: str, url: str, number: int, headers: Mapping[str, str], body: str = ""
) -> bytes:
    """Give a request's bytes."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}", "User-Agent: BidWitness"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    # Whatever a value holds, it is one line (a user name may be of any characters).
    plain = (_CONTROL.sub("", line) for line in lines)
    return ("\r\n".join(plain) + "\r\n\r\n" + body).encode()


def write_answer(request: Message, status: str) -> bytes:
    """Give the answer to a camera's own request; ``status`` such as ``200 OK``."""
    return f"RTSP/1.0 {status}\r\nCSeq: {request.header('cseq')[:20]}\r\n\r\n".encode(
        "ascii", "replace"
    )
