"""Users: made, listed, shut out and let in by the security administrator."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from bidwitness.api.deps import Me, Parts, ThePartsOf
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    Body,
    CursorQuery,
    IdPath,
    LimitQuery,
    Name,
    Password,
    cursor_of,
    place_of,
)
from bidwitness.errors import NotFound
from bidwitness.rights import check_founding
from bidwitness.storage import oidc_links, people, services
from bidwitness.storage.index.models import User
from bidwitness.storage.password_rule import check_password_rule
from bidwitness.words import AccountKind, Role

router = APIRouter(prefix="/users", tags=["users"])

Username = Annotated[str, StringConstraints(pattern=people.USERNAME)]
Roles = Annotated[list[Role], Field(min_length=1, max_length=10)]


class NewUser(Body):
    # Spaces around a password belong to it.
    model_config = ConfigDict(str_strip_whitespace=False)

    username: Username
    name: Name | None = None
    roles: Roles
    # Without one, a random password is made and told once, in the answer.
    password: Password | None = None


class UserChange(Body):
    model_config = ConfigDict(str_strip_whitespace=False)

    name: Name | None = None
    roles: Roles | None = None
    disabled: bool | None = None
    password: Password | None = None


class UserAnswer(Answer):
    id: str
    username: str
    name: str
    roles: list[Role]
    disabled: bool
    must_change_password: bool
    created_at: int
    # Whether she may sign in through the OpenID provider.
    linked: bool
    kind: AccountKind
    # The user name of the person who is answerable for a service account.
    owner: str | None


class NewUserAnswer(UserAnswer):
    password: str | None


class EndedAnswer(Answer):
    ended: int


class UserPage(Answer):
    items: list[UserAnswer]
    next_cursor: str | None


@router.get("")
def users(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = DEFAULT_LIMIT
) -> UserPage:
    """All users, by user name."""
    query = select(User).options(selectinload(User.roles)).order_by(User.username)
    place = place_of(cursor, (str,))
    if place is not None:
        query = query.where(User.username > place[0])
    with parts.database.read() as orm:
        rows = orm.scalars(query.limit(limit + 1)).all()
        linked = oidc_links.linked_users(orm, parts.settings.oidc_issuer)
        owners = services.owners(orm)
        items = [
            _answer(row, linked=row.id in linked, owner=owners.get(row.owner_id or ""))
            for row in rows[:limit]
        ]
    more = cursor_of(items[-1].username) if len(rows) > limit else None
    return UserPage(items=items, next_cursor=more)


@router.post("", status_code=201)
def create(body: NewUser, user: Me, parts: ThePartsOf) -> NewUserAnswer:
    """Make a user, who must change the password at the first login."""
    check_founding(user.roles, body.roles)
    made = None if body.password else people.new_password()
    password = made or (body.password.get_secret_value() if body.password else "")
    hashed = _hash(parts, password, body.username, body.name)
    with parts.database.write() as orm:
        row = people.create_user(
            orm,
            user.who,
            parts.clock.utc_us(),
            username=body.username,
            name=body.name or body.username,
            roles=body.roles,
            password_hash=hashed,
        )
        return NewUserAnswer(password=made, **_answer(row, linked=False).model_dump())


@router.patch("/{user_id}")
def change(user_id: IdPath, body: UserChange, user: Me, parts: ThePartsOf) -> UserAnswer:
    """Change name or roles, shut out or let in, or set a password that must be changed."""
    with parts.database.read() as orm:
        before = _found(orm.get(User, user_id))
    given = body.password.get_secret_value() if body.password else None
    hashed = _hash(parts, given, before.username, body.name or before.name) if given else None
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = _found(orm.get(User, user_id))
        if body.name is not None:
            people.set_name(orm, user.who, now, row, body.name)
        if body.roles is not None:
            people.set_roles(orm, user.who, now, row, body.roles)
        if body.disabled is not None:
            people.set_disabled(orm, user.who, now, row, body.disabled)
        if hashed is not None:
            people.reset_password(orm, user.who, now, row, hashed)
        link = oidc_links.link_of(orm, parts.settings.oidc_issuer, row.id)
        owner = services.owner_of(orm, row)
        named = owner.username if owner else None
        return _answer(row, linked=link is not None, owner=named)


@router.post("/{user_id}/end-logins")
def end_logins(user_id: IdPath, user: Me, parts: ThePartsOf) -> EndedAnswer:
    """End all of a person's logins, whatever has been done with them."""
    with parts.database.write() as orm:
        row = _found(orm.get(User, user_id))
        return EndedAnswer(ended=people.end_logins(orm, user.who, parts.clock.utc_us(), row))


@router.post("/{user_id}/unlink", status_code=204)
def unlink(user_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """End the link of a person's account with the OpenID provider."""
    with parts.database.write() as orm:
        row = _found(orm.get(User, user_id))
        oidc_links.unlink(orm, user.who, row.id, parts.clock.utc_us())


def _hash(parts: Parts, password: str, username: str, name: str | None) -> str:
    least = parts.settings.password_min_length
    check_password_rule(password, username, name=name, least=least)
    return parts.passwords.hash(password)


def _found(row: User | None) -> User:
    if row is None:
        raise NotFound("There is no such user.")
    return row


def user_answer(row: User, owner: User | None) -> UserAnswer:
    """Say what there is to say of a service account."""
    return _answer(row, linked=False, owner=owner.username if owner else None)


def _answer(row: User, *, linked: bool, owner: str | None = None) -> UserAnswer:
    return UserAnswer(
        id=row.id,
        username=row.username,
        name=row.name,
        roles=sorted(entry.role for entry in row.roles),
        disabled=row.disabled,
        must_change_password=row.must_change_password,
        created_at=row.created_us,
        linked=linked,
        kind=row.kind,
        owner=owner,
    )
