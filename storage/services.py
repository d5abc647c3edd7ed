"""Service accounts (服务账号): other systems, such as the centre's trading system.

None ever signs in: it has no password, no second factor and no page, only API tokens that the
security administrator makes. A person is answerable for each.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.ids import new_id
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import User, UserRole
from bidwitness.storage.people import check_username, find_user
from bidwitness.words import AccountKind, Role

# What their tokens may be for: as far as the role's routes reach, and the figures for a monitor.
AREAS = frozenset({"lots", "metrics", "projects", "rooms", "sessions", "sites"})
# No hash looks like this, so no password is its.
NO_PASSWORD = "-"


def create_service(
    orm: Orm, who: Who, at_us: int, *, username: str, name: str, owner_id: str
) -> User:
    """Add a service account.

    Raises ``InvalidInput`` for a name or owner that is none, ``Conflict`` if the name is taken.
    """
    check_username(username)
    owner = _owner(orm, owner_id)
    if find_user(orm, username) is not None:
        raise Conflict(f"There is a user {username} already.", fields={"username": "is taken"})
    row = User(
        id=new_id(),
        username=username,
        name=name,
        password_hash=NO_PASSWORD,
        must_change_password=False,
        created_us=at_us,
        password_set_us=at_us,
        kind=AccountKind.SERVICE,
        owner_id=owner.id,
        roles=[UserRole(role=Role.SERVICE)],
    )
    orm.add(row)
    orm.flush()
    facts = {"username": username, "owner": owner.username}
    leave_audit_entry(orm, who, "service.create", f"user:{row.id}", at_us, facts=facts)
    return row


def find_service(orm: Orm, user_id: str) -> User:
    """Give a service account. Raises ``NotFound``, for a person, too."""
    row = orm.get(User, user_id)
    if row is None or row.kind is not AccountKind.SERVICE:
        raise NotFound("There is no such service account.")
    return row


def set_owner(orm: Orm, who: Who, at_us: int, row: User, owner_id: str) -> None:
    """Make another person answerable. Raises ``InvalidInput``."""
    owner = _owner(orm, owner_id)
    if row.owner_id == owner.id:
        return
    before = orm.get(User, row.owner_id) if row.owner_id else None
    row.owner_id = owner.id
    facts = {"before": before.username if before else None, "after": owner.username}
    leave_audit_entry(orm, who, "service.owner", f"user:{row.id}", at_us, facts=facts)


def owner_of(orm: Orm, row: User) -> User | None:
    """Give who is answerable for a service account; None for a person's."""
    return orm.get(User, row.owner_id) if row.owner_id else None


def owners(orm: Orm) -> dict[str, str]:
    """Give the user names of all who are answerable for something, by their ids."""
    owned = select(User.owner_id).where(User.owner_id.is_not(None))
    rows = orm.execute(select(User.id, User.username).where(User.id.in_(owned)))
    return {row.id: row.username for row in rows}


def _owner(orm: Orm, owner_id: str) -> User:
    row = orm.get(User, owner_id)
    if row is None or row.kind is not AccountKind.PERSON or row.disabled:
        raise InvalidInput(
            "Name a person who can sign in: she is answerable for it.",
            fields={"owner_id": "is no person who can sign in"},
        )
    return row
