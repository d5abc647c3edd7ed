"""Users, passwords and roles, as rules and as rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.api import QUICK

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.storage import logins, people
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Login, User
from bidwitness.storage.password_rule import check_password_rule
from bidwitness.words import Role

ROOT = Who("root")
LIMITS = logins.Limits(idle_us=30 * logins.MINUTE_US, absolute_us=12 * logins.HOUR_US)


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("Correct-horse9", True),
        ("correct horse battery", True),
        ("密码很长而且没有人猜得到它是什么对不对呢", True),
        ("Short-1", False),
        ("Wang-is-here-1", False),
        ("onlysmallletters", False),
        ("Aa1Aa1Aa1Aa1", False),
        ("x" * 201, False),
    ],
)
def test_the_rule_of_passwords(password: str, good: bool) -> None:
    if good:
        check_password_rule(password, "wang")
        return
    with pytest.raises(InvalidInput) as caught:
        check_password_rule(password, "wang")
    assert password not in caught.value.detail


@given(st.integers())
def test_made_passwords_keep_the_rule(_: int) -> None:
    check_password_rule(people.new_password(), "admin")


def test_made_passwords_differ() -> None:
    assert len({people.new_password() for _ in range(100)}) == 100


def test_hashes_are_argon2id_and_differ_for_one_password() -> None:
    hashes = {people.Passwords().hash("Correct-horse9") for _ in range(2)}
    assert len(hashes) == 2
    for hashed in hashes:
        assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert people.Passwords().matches(hashed, "Correct-horse9")


def test_nothing_matches_nobody_or_a_broken_hash() -> None:
    assert not QUICK.matches(None, "anything")
    assert not QUICK.matches("", "anything")
    assert not QUICK.matches("plain", "plain")


@pytest.mark.parametrize("name", ["", "a", "-a", "a b", "a/b", "王", "a" * 65, "a\n"])
def test_what_is_no_user_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        people.check_username(name)


def add(index: Database, username: str, *roles: Role) -> str:
    with index.write() as orm:
        return people.create_user(
            orm, ROOT, 1, username=username, name=username, roles=roles, password_hash="x"
        ).id


def test_the_first_administrator_is_made_once(index: Database) -> None:
    made = []
    for _ in range(2):
        with index.write() as orm:
            made.append(people.create_first_administrator(orm, 1, "hash"))
    assert made == [True, False]
    with index.read() as orm:
        user = orm.scalars(select(User)).one()
        assert user.must_change_password and [r.role for r in user.roles] == [Role.SYSTEM_ADMIN]


def test_a_name_is_taken_whatever_its_letters_case(index: Database) -> None:
    add(index, "Wang", Role.AUDITOR)
    with pytest.raises(Conflict):
        add(index, "wANG", Role.AUDITOR)
    with index.read() as orm:
        assert people.find_user(orm, "WANG") is not None


def test_the_last_administrator_stays(index: Database) -> None:
    first = add(index, "a1", Role.SYSTEM_ADMIN)
    with pytest.raises(Conflict), index.write() as orm:
        people.set_disabled(orm, ROOT, 2, orm.get_one(User, first), True)
    with pytest.raises(Conflict), index.write() as orm:
        people.set_roles(orm, ROOT, 2, orm.get_one(User, first), [Role.AUDITOR])
    second = add(index, "a2", Role.SYSTEM_ADMIN)
    with index.write() as orm:
        people.set_disabled(orm, ROOT, 2, orm.get_one(User, first), True)
    with pytest.raises(Conflict), index.write() as orm:
        people.set_disabled(orm, ROOT, 2, orm.get_one(User, second), True)


def test_who_is_shut_out_is_out_at_once(index: Database) -> None:
    add(index, "root", Role.SYSTEM_ADMIN)
    wang = add(index, "wang", Role.SUPERVISOR)
    with index.write() as orm:
        token, _ = logins.open_login(
            orm, orm.get_one(User, wang), 10, LIMITS, address=None, agent="x" * 900
        )
    with index.read() as orm:
        found = logins.find_login(orm, token, 11, LIMITS)
        assert found is not None and found.roles == {Role.SUPERVISOR}
        assert logins.still_stands(orm, found.login_id, 11, LIMITS)
    with index.write() as orm:
        people.set_disabled(orm, ROOT, 12, orm.get_one(User, wang), True)
    with index.read() as orm:
        assert logins.find_login(orm, token, 13, LIMITS) is None
        assert not logins.still_stands(orm, found.login_id, 13, LIMITS)
    with index.write() as orm:
        people.set_disabled(orm, ROOT, 14, orm.get_one(User, wang), False)
    with index.read() as orm:
        assert logins.find_login(orm, token, 15, LIMITS) is None  # let in is not signed in
        acts = list(orm.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert acts == ["user.create", "user.create", "login", "user.disable", "user.enable"]


def test_a_login_ends_by_idleness_and_by_age(index: Database) -> None:
    wang = add(index, "wang", Role.SUPERVISOR)
    with index.write() as orm:
        token, signed = logins.open_login(
            orm, orm.get_one(User, wang), 0, LIMITS, address=None, agent=None
        )
    with index.read() as orm:
        assert logins.find_login(orm, token, LIMITS.idle_us - 1, LIMITS)
        assert logins.find_login(orm, token, LIMITS.idle_us, LIMITS) is None
        assert logins.find_login(orm, token + "x", 1, LIMITS) is None
    with index.write() as orm:
        logins.mark_seen(orm, signed.login_id, LIMITS.absolute_us - 1)
    with index.read() as orm:
        assert logins.find_login(orm, token, LIMITS.absolute_us - 1, LIMITS)
        assert logins.find_login(orm, token, LIMITS.absolute_us, LIMITS) is None
        assert orm.scalars(select(Login)).one().seen_us == LIMITS.absolute_us - 1
