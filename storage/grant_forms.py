"""What a request for a grant says, word for word: read from outside, in one form. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from bidwitness.errors import InvalidInput
from bidwitness.storage.approvals import Content
from bidwitness.words import Action, Medium

MAX_US = 2**53 - 1
MAX_SESSIONS = 20
MAX_DAYS = 180
MAX_VIEWS = 1000
Id = Annotated[str, StringConstraints(pattern=r"^[a-z2-7]{1,16}$")]


def _plain(text: str) -> str:
    """A database keeps no NUL, and control characters only deceive whoever has to agree."""
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise ValueError("must not contain control characters")
    return text


Plain = AfterValidator(_plain)
Said = Annotated[str, StringConstraints(min_length=1, max_length=200), Plain]
SaidLong = Annotated[str, StringConstraints(min_length=1, max_length=500), Plain]
Username = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{1,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Instant = Annotated[int, Field(ge=0, le=MAX_US, strict=True)]

ParsedForm = TypeVar("ParsedForm", bound="Form")


class Form(BaseModel):
    """Unknown fields are refused, spaces around texts fall away."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Handler(Form):
    """One of those who come for an authority: on whose card it says so, and how to reach her."""

    name: Said
    card_no: Said
    contact: Said


class RequestForm(Form):
    """调阅: who wants to see or copy what, why, until when and how often.

    ``from_us`` and ``to_us`` bound the footage (µs UTC; empty: as far as the sessions reach).
    ``days``: how long the right stands from the day it is given. ``views``: how often a viewing may
    be opened by it; empty: as often as one likes.
    """

    username: Username
    unit: Said
    session_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_SESSIONS)]
    stream_ids: Annotated[list[Id], Field(max_length=64)] = []
    from_us: Annotated[Instant | None, Field(alias="from")] = None
    to_us: Annotated[Instant | None, Field(alias="to")] = None
    media: Annotated[list[Medium], Field(min_length=1, max_length=3)]
    actions: Annotated[list[Action], Field(min_length=1, max_length=5)]
    purpose: SaidLong
    document_no: Said
    basis: Said | None = None
    case_no: Said | None = None
    papers_sha256: Sha256 | None = None
    card_no: Said | None = None
    contact: Said | None = None
    # Where it is watched, and who sits beside her.
    place: Said | None = None
    company: Said | None = None
    days: Annotated[int, Field(ge=1, le=MAX_DAYS, strict=True)]
    views: Annotated[int | None, Field(ge=1, le=MAX_VIEWS, strict=True)] = None


class DemandForm(RequestForm):
    """调取: an authority has come with papers and two handlers. ``unit`` is the authority,
    ``username`` who carries it out in the centre. ``due_days``: within which what was handed over
    has to come back or be destroyed. ``confidential``: only the ``officers`` (user names), the
    director and the audit administrator know of it."""

    basis: Said
    papers_sha256: Sha256
    handlers: Annotated[list[Handler], Field(min_length=2, max_length=4)]
    due_days: Annotated[int | None, Field(ge=1, le=3660, strict=True)] = None
    confidential: bool = False
    officers: Annotated[list[Username], Field(max_length=10)] = []


def read_form(form: type[ParsedForm], content: Mapping[str, Any]) -> ParsedForm:
    """Read a form. Raises ``InvalidInput`` naming each wrong field."""
    try:
        return form.model_validate(dict(content))
    except ValidationError as error:
        fields = {
            "content." + ".".join(str(part) for part in one["loc"]): one["msg"]
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        }
        listed = "; ".join(f"{name}: {why}" for name, why in fields.items())
        raise InvalidInput(f"The request cannot be read. {listed}.", fields=fields) from None


def read_request(content: Mapping[str, Any]) -> tuple[Content, str]:
    """Give a request in its one form, and whose grant it would be."""
    return _exact(read_form(RequestForm, content))


def read_demand(content: Mapping[str, Any]) -> tuple[Content, str]:
    """Give a demand in its one form, and who would carry it out."""
    form = read_form(DemandForm, content)
    if form.officers and not form.confidential:
        raise InvalidInput(
            "Officers are named for what is confidential.",
            fields={"content.officers": "is for confidential demands"},
        )
    if len({handler.card_no for handler in form.handlers}) < len(form.handlers):
        raise InvalidInput(
            "Two handlers have two cards.", fields={"content.handlers": "names one person twice"}
        )
    return _exact(form)


def request_of(content: Content) -> RequestForm:
    """Give the form of a content that was kept. Raises ``InvalidInput``."""
    return read_form(DemandForm if "handlers" in content else RequestForm, content)


def _exact(form: RequestForm) -> tuple[Content, str]:
    """Lists that say the same are the same; what is empty is not there."""
    if form.from_us is not None and form.to_us is not None and form.to_us <= form.from_us:
        raise InvalidInput(
            "The time ends before it begins.", fields={"content.to": "is not after from"}
        )
    if form.views is not None and Action.LIVE in form.actions:
        raise InvalidInput(
            "Live is not counted in viewings.", fields={"content.views": "cannot be kept for live"}
        )
    said = form.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in ("session_ids", "stream_ids", "media", "actions", "officers"):
        if name in said:
            said[name] = sorted(set(said[name]))
    return said, f"grant:{form.username}"
