"""The forms of requests and answers that several resources share."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from bidwitness.errors import InvalidInput

# JavaScript's largest exact whole number: every instant must survive a browser.
MAX_US = 2**53 - 1
ID_PATTERN = r"^[a-z2-7]{1,16}$"
DEFAULT_LIMIT = 100
MAX_LIMIT = 500


class Body(BaseModel):
    """The body of a request: unknown fields are refused, spaces around texts fall away."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Answer(BaseModel):
    """The body of an answer."""

    model_config = ConfigDict(frozen=True)


def _printable(text: str) -> str:
    """PostgreSQL keeps no NUL, and control characters in a name only deceive a reader."""
    if any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in text):
        raise ValueError("must not contain control characters")
    return text


Printable = AfterValidator(_printable)
Name = Annotated[str, StringConstraints(min_length=1, max_length=120), Printable]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200), Printable]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500), Printable]
Long = Annotated[str, StringConstraints(min_length=1, max_length=4000), Printable]
Reason = Annotated[str, StringConstraints(min_length=2, max_length=500), Printable]


def _encodable(secret: SecretStr) -> SecretStr:
    """Half a character pair, which JSON can spell, is no text and has no bytes to hash."""
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("must be text") from None
    return secret


# A password as it is typed: spaces belong to it (but see ``Body``).
Password = Annotated[SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_encodable)]
CameraPassword = Annotated[SecretStr, Field(max_length=200), AfterValidator(_encodable)]
IdText = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
# An instant in µs UTC.
Us = Annotated[int, Field(ge=0, le=MAX_US, strict=True)]

IdPath = Annotated[str, Path(pattern=ID_PATTERN)]
LimitQuery = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
CursorQuery = Annotated[str | None, Query(max_length=300)]
SearchQuery = Annotated[str | None, Query(max_length=120), Printable]


def cursor_of(*place: int | str) -> str:
    """Pack the place of a list's last row into the text that asks for what comes after it."""
    text = "\x1f".join(str(part) for part in place)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str | None, kinds: Sequence[type[int] | type[str]]) -> list[int | str] | None:
    """Unpack a cursor into values of ``kinds``; None if there is no cursor.

    Raises ``InvalidInput`` if it is not one of ours.
    """
    if cursor is None:
        return None
    wrong = InvalidInput(
        "The cursor is not one this server gave.", fields={"cursor": "is not valid"}
    )
    try:
        text = base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        ).decode()
        parts = text.split("\x1f")
        if len(parts) != len(kinds) or "\x00" in text:
            raise wrong
        place = [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, binascii.Error):
        raise wrong from None
    if any(isinstance(part, int) and abs(part) > MAX_US for part in place):
        raise wrong
    return place
