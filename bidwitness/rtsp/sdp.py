"""What DESCRIBE answers: a session description (RFC 8866), and what its media are called. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from bidwitness.words import Medium

MAX_MEDIA = 16
# Payload types that need no rtpmap (RFC 3551, 6): name, rate, channels.
_STATIC = {
    0: ("pcmu", 8000, 1),
    8: ("pcma", 8000, 1),
    9: ("g722", 8000, 1),
    10: ("l16", 44_100, 2),
    11: ("l16", 44_100, 1),
    14: ("mpa", 90_000, 0),
    26: ("jpeg", 90_000, 0),
    32: ("mpv", 90_000, 0),
}
_MEDIA = {"video": Medium.PICTURE, "audio": Medium.SOUND}
_RTPMAP = re.compile(r"(\d{1,3})\s+([\w.+-]+)/(\d{1,7})(?:/(\d{1,2}))?")
_FMTP = re.compile(r"(\d{1,3})\s+(.*)")


@dataclass(frozen=True, slots=True)
class Media:
    """One track that a camera offers.

    ``encoding`` is its name in RTP, in lower case; ``control`` the URL to set it up by.
    """

    medium: Medium
    payload_type: int
    encoding: str
    rate: int
    channels: int
    control: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Description:
    """The tracks of pictures and sound in their order, and the URL of all of them together."""

    control: str
    media: tuple[Media, ...]


def read_description(body: bytes, base: str) -> Description:
    """Read a description; ``base`` is the URL its controls belong to.

    Tracks that are neither picture nor sound, and what cannot be understood, are left out.
    """
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines()]
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    session, *media = sections
    found = (_media(section, base) for section in media[:MAX_MEDIA])
    return Description(
        _joined(base, _attribute(session, "control") or "*"), tuple(m for m in found if m)
    )


def _media(lines: list[str], base: str) -> Media | None:
    words = lines[0][2:].split()
    medium = _MEDIA.get(words[0]) if words else None
    if medium is None or len(words) < 4 or not (words[3].isascii() and words[3].isdigit()):
        return None
    kind = int(words[3])
    if kind > 127:
        return None
    name, rate, channels = _STATIC.get(kind, ("", 0, 0))
    for value in _attributes(lines, "rtpmap"):
        if (found := _RTPMAP.match(value)) and int(found[1]) == kind:
            name, rate = found[2].lower(), int(found[3])
            channels = int(found[4] or 0)
    if not name or not rate:
        return None
    return Media(
        *(medium, kind, name, rate),
        channels or (1 if medium is Medium.SOUND else 0),
        _joined(base, _attribute(lines, "control")),
        _parameters(lines, kind),
    )


def _parameters(lines: list[str], kind: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in _attributes(lines, "fmtp"):
        if (line := _FMTP.match(value)) and int(line[1]) == kind:
            for part in line[2].split(";"):
                name, _, text = part.strip().partition("=")
                found[name.strip().lower()] = text.strip()
    return found


def _attributes(lines: Iterable[str], name: str) -> list[str]:
    start = f"a={name}:"
    return [line[len(start) :].strip() for line in lines if line.startswith(start)]


def _attribute(lines: Iterable[str], name: str) -> str:
    return next(iter(_attributes(lines, name)), "")


def _joined(base: str, control: str) -> str:
    """Give a control's URL. Cameras append it to the base as if that were a folder."""
    if control in ("", "*"):
        return base
    if control.lower().startswith(("rtsp://", "rtsps://", "rtspu://")):
        return control
    if control.startswith("/") and not urlsplit(base).query:
        return urljoin(base, control)
    return base + ("" if base.endswith("/") else "/") + control
