"""One's own API tokens: for programs, within a scope, for a year at most."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, StringConstraints

from bidwitness.api.deps import Me, TheFront, ThePartsOf, prove_password
from bidwitness.api.schemas import Answer, Body, IdPath, Password, Printable
from bidwitness.storage import tokens
from bidwitness.storage.index.models import ApiToken

router = APIRouter(prefix="/account/tokens", tags=["account"])

TokenName = Annotated[
    str, StringConstraints(min_length=1, max_length=40, strip_whitespace=True), Printable
]
Area = Annotated[str, StringConstraints(pattern=r"^[a-z_-]{1,40}$")]


# From where it may be used (CIDR); empty: from anywhere.
Network = Annotated[str, StringConstraints(min_length=2, max_length=50), Printable]
Networks = Annotated[tuple[Network, ...], Field(max_length=20)]


class NewTokenBody(Body):
    model_config = ConfigDict(str_strip_whitespace=False)

    name: TokenName
    # Empty: all areas that a token may have.
    areas: Annotated[tuple[Area, ...], Field(max_length=40)] = ()
    read_only: bool = True
    days: Annotated[int, Field(ge=1, le=tokens.MAX_DAYS)]
    networks: Networks = ()
    password: Password


class ApiTokenAnswer(Answer):
    id: str
    name: str
    areas: list[str]
    read_only: bool
    made_at: int
    expires_at: int
    used_at: int | None
    used_from: str | None
    networks: list[str]
    # When it was last used from elsewhere, and refused.
    refused_at: int | None


class NewTokenAnswer(ApiTokenAnswer):
    # Told once.
    token: str


class Tokens(Answer):
    items: list[ApiTokenAnswer]
    # What a token may be for.
    areas: list[str]


@router.get("")
def my_tokens(user: Me, request: Request, parts: ThePartsOf) -> Tokens:
    """One's tokens, the newest first."""
    with parts.database.read() as orm:
        items = [token_answer(row) for row in tokens.tokens_of(orm, user.id)]
    return Tokens(items=items, areas=sorted(_areas(request) - tokens.NEVER))


@router.post("", status_code=201)
def make(
    body: NewTokenBody, user: Me, request: Request, parts: ThePartsOf, front: TheFront
) -> NewTokenAnswer:
    """Make a token; its text is in this answer and nowhere else."""
    prove_password(parts, front, user, body.password.get_secret_value())
    scope = tokens.Scope(frozenset(body.areas), body.read_only)
    new = tokens.NewToken(body.name, scope, body.days, body.networks)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        text, row = tokens.make_token(orm, user.who, user.id, new, now, _areas(request))
        return NewTokenAnswer(token=text, **token_answer(row).model_dump())


@router.post("/{token_id}/revoke", status_code=204)
def revoke(token_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """End a token at once."""
    with parts.database.write() as orm:
        tokens.revoke_token(orm, user.who, user.id, token_id, parts.clock.utc_us())


def _areas(request: Request) -> frozenset[str]:
    """Name the areas of all routes. Sockets are not described, but there is only one kind."""
    paths: dict[str, object] = request.app.openapi()["paths"]
    return frozenset(tokens.area_of(path) for path in paths) | {"live"}


def token_answer(row: ApiToken) -> ApiTokenAnswer:
    """Say what there is to say of a token: all but its text."""
    return ApiTokenAnswer(
        id=row.id,
        name=row.name,
        areas=list(row.areas),
        read_only=row.read_only,
        made_at=row.made_us,
        expires_at=row.expires_us,
        used_at=row.used_us,
        used_from=row.used_from,
        networks=list(row.networks),
        refused_at=row.refused_us,
    )
