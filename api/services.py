"""Service accounts and their tokens, by the security administrator."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints

from bidwitness.api.deps import Me, TheFront, ThePartsOf, prove_password
from bidwitness.api.schemas import Answer, Body, IdPath, Name, Password
from bidwitness.api.tokens import (
    ApiTokenAnswer,
    Area,
    Networks,
    NewTokenAnswer,
    TokenName,
    token_answer,
)
from bidwitness.api.users import UserAnswer, Username, user_answer
from bidwitness.storage import people, services, tokens

router = APIRouter(prefix="/services", tags=["services"])

OwnerId = Annotated[str, StringConstraints(pattern="^[a-z2-7]{1,16}$")]


class NewService(Body):
    username: Username
    name: Name | None = None
    # The person who is answerable for it.
    owner_id: OwnerId


class ServiceChange(Body):
    name: Name | None = None
    owner_id: OwnerId | None = None
    disabled: bool | None = None


class NewServiceToken(Body):
    model_config = ConfigDict(str_strip_whitespace=False)

    name: TokenName
    areas: Annotated[tuple[Area, ...], Field(min_length=1, max_length=40)]
    read_only: bool = True
    days: Annotated[int, Field(ge=1, le=tokens.MAX_DAYS)]
    networks: Networks = ()
    # Of the administrator who makes it.
    password: Password


class ServiceTokens(Answer):
    items: list[ApiTokenAnswer]
    # What a token may be for.
    areas: list[str]


@router.post("", status_code=201)
def create(body: NewService, user: Me, parts: ThePartsOf) -> UserAnswer:
    """Make a service account. It can do nothing until it has a token."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = services.create_service(
            orm,
            user.who,
            now,
            username=body.username,
            name=body.name or body.username,
            owner_id=body.owner_id,
        )
        return user_answer(row, services.owner_of(orm, row))


@router.patch("/{service_id}")
def change(service_id: IdPath, body: ServiceChange, user: Me, parts: ThePartsOf) -> UserAnswer:
    """Rename it, make another person answerable, shut it out or let it in."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = services.find_service(orm, service_id)
        if body.name is not None:
            people.set_name(orm, user.who, now, row, body.name)
        if body.owner_id is not None:
            services.set_owner(orm, user.who, now, row, body.owner_id)
        if body.disabled is not None:
            people.set_disabled(orm, user.who, now, row, body.disabled)
        return user_answer(row, services.owner_of(orm, row))


@router.get("/{service_id}/tokens")
def all_tokens(service_id: IdPath, user: Me, parts: ThePartsOf) -> ServiceTokens:
    """Its tokens, the newest first."""
    with parts.database.read() as orm:
        row = services.find_service(orm, service_id)
        items = [token_answer(token) for token in tokens.tokens_of(orm, row.id)]
    return ServiceTokens(items=items, areas=sorted(services.AREAS))


@router.post("/{service_id}/tokens", status_code=201)
def make_token(
    service_id: IdPath, body: NewServiceToken, user: Me, parts: ThePartsOf, front: TheFront
) -> NewTokenAnswer:
    """Make a token for it; the text is in this answer and nowhere else."""
    prove_password(parts, front, user, body.password.get_secret_value())
    scope = tokens.Scope(frozenset(body.areas), body.read_only)
    new = tokens.NewToken(body.name, scope, body.days, body.networks)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = services.find_service(orm, service_id)
        text, token = tokens.make_token(orm, user.who, row.id, new, now, services.AREAS)
        return NewTokenAnswer(token=text, **token_answer(token).model_dump())


@router.post("/{service_id}/tokens/{token_id}/revoke", status_code=204)
def revoke(service_id: IdPath, token_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """End one of its tokens at once."""
    with parts.database.write() as orm:
        row = services.find_service(orm, service_id)
        tokens.revoke_token(orm, user.who, row.id, token_id, parts.clock.utc_us())
