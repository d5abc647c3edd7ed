"""Four eyes: asked for, agreed to word for word, carried out once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, Forbidden, InvalidInput
from bidwitness.storage import approvals, people
from bidwitness.storage.approvals import Act, Content, Kind, Person, Rule
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Approval, ApprovalVote, AuditEntry, Outbox, User
from bidwitness.words import ApprovalState, Role

EVERYBODY = frozenset(Role)
DAY_US = 86_400_000_000
ADMIN, SUPERVISOR, AUDITOR = Role.SYSTEM_ADMIN, Role.SUPERVISOR, Role.AUDITOR


@dataclass
class Bell:
    """An act of the tests: it rings."""

    rung: list[dict[str, Any]] = field(default_factory=list)
    broken: str | None = None

    def kind(self, **rule: Any) -> Kind:
        given = {"requesters": EVERYBODY, "approvers": EVERYBODY, **rule}
        return Kind(
            name="bell.ring",
            rule=Rule(**given),
            read=self._read,
            check=self._check,
            execute=self._execute,
            prepare=lambda: {"sound": "dong"},
            told=("sound",),
        )

    def _read(self, content: Mapping[str, Any]) -> tuple[Content, str]:
        if not isinstance(content.get("times"), int):
            raise InvalidInput("How often?", fields={"content": "must say how often"})
        return {"times": content["times"]}, "bell:1"

    def _check(self, orm: Orm, content: Content) -> None:
        if self.broken:
            raise Conflict(self.broken)

    def _execute(self, orm: Orm, act: Act) -> None:
        self.rung.append({**act.content, **act.prepared, "by": act.who.name})


@pytest.fixture
def index(sqlite_index: Database) -> Database:
    """One kind of database is enough here: tests/api has the whole way on both."""
    return sqlite_index


@pytest.fixture
def bell() -> Bell:
    return Bell()


def somebody(index: Database, name: str, *roles: Role) -> Person:
    with index.write() as orm:
        username = f"the-{name}"
        user = people.create_user(
            orm, Who("test"), 1, username=username, name=name, roles=roles, password_hash="x"
        )
        return Person(user.id, frozenset(roles), Who(name, user.id))


def ask(index: Database, kind: Kind, person: Person, at: int = 0, times: int = 3) -> Approval:
    with index.write() as orm:
        row = approvals.request(orm, kind, person, {"times": times}, "it is noon", at)
        return approvals.find(orm, row.id)


def say(
    index: Database,
    kind: Kind,
    row: Approval,
    person: Person,
    at: int = 1,
    *,
    agreed: bool = True,
    digest: bytes | None = None,
) -> Approval:
    with index.write() as orm:
        found = approvals.find(orm, row.id, lock=True)
        return approvals.vote(
            orm,
            kind,
            found,
            person,
            agreed=agreed,
            content_sha256=digest or row.content_sha256,
            opinion="seen",
            now_us=at,
        )


def do(index: Database, kind: Kind, row: Approval, person: Person, at: int = 2) -> Approval:
    with index.write() as orm:
        found = approvals.find(orm, row.id, lock=True)
        return approvals.execute(
            orm,
            kind,
            found,
            person,
            content_sha256=row.content_sha256,
            prepared=kind.prepare(),
            now_us=at,
        )


def test_it_is_asked_for_agreed_to_and_done_once(index: Database, bell: Bell) -> None:
    kind = bell.kind(needed=2)
    asks = somebody(index, "a", ADMIN)
    first, second = somebody(index, "s", SUPERVISOR), somebody(index, "u", AUDITOR)
    row = ask(index, kind, asks)
    assert say(index, kind, row, first).state is ApprovalState.PENDING
    with pytest.raises(Conflict, match="enough"):
        do(index, kind, row, asks)
    assert say(index, kind, row, second).state is ApprovalState.APPROVED
    assert bell.rung == []
    assert do(index, kind, row, asks).state is ApprovalState.EXECUTED
    assert bell.rung == [{"times": 3, "sound": "dong", "by": "a"}]
    for again in (asks, first):
        with pytest.raises(Conflict, match="already"):
            do(index, kind, row, again)
    assert len(bell.rung) == 1


def test_every_step_leaves_its_receipt(index: Database, bell: Bell) -> None:
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    do(index, kind, row, asks)
    with index.read() as orm:
        entries = orm.scalars(
            select(AuditEntry)
            .where(AuditEntry.subject == f"approval:{row.id}")
            .order_by(AuditEntry.id)
        ).all()
        assert [(one.action, one.who) for one in entries] == [
            ("approval.request", "a"),
            ("approval.agree", "s"),
            ("approval.execute", "a"),
        ]
        assert {one.facts["sha256"] for one in entries if one.facts} == {row.content_sha256.hex()}
        assert entries[2].facts and entries[2].facts["agreed_by"] == [agrees.id]
        logged = set(orm.scalars(select(Outbox.key)))
        assert {f"audit:{one.id}" for one in entries} <= logged


def test_nobody_agrees_to_her_own_wish(index: Database, bell: Bell) -> None:
    kind = bell.kind(disjoint=False)
    asks = somebody(index, "a", ADMIN)
    with pytest.raises(Forbidden, match="herself"):
        say(index, kind, ask(index, kind, asks), asks)


def test_nobody_agrees_twice(index: Database, bell: Bell) -> None:
    kind = bell.kind(needed=2, disjoint=False)
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    with pytest.raises(Forbidden, match="already"):
        say(index, kind, row, agrees)


def test_roles_that_had_a_say_have_no_second(index: Database, bell: Bell) -> None:
    kind = bell.kind(needed=2)
    asks = somebody(index, "a", ADMIN)
    row = ask(index, kind, asks)
    with pytest.raises(Forbidden, match="another role"):
        say(index, kind, row, somebody(index, "b", ADMIN))
    say(index, kind, row, somebody(index, "s", SUPERVISOR))
    # As she would be in a small centre, or while she stands in for somebody.
    both = somebody(index, "both", AUDITOR)
    both = replace(both, roles=frozenset({SUPERVISOR, AUDITOR}))
    with pytest.raises(Forbidden, match="another role"):
        say(index, kind, row, both)


def test_only_who_may_asks_agrees_and_does(index: Database, bell: Bell) -> None:
    kind = bell.kind(requesters=frozenset({ADMIN}), approvers=frozenset({AUDITOR}))
    asks, other = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    with pytest.raises(Forbidden, match="system_admin"):
        ask(index, kind, other)
    row = ask(index, kind, asks)
    with pytest.raises(Forbidden, match="auditor"):
        say(index, kind, row, other)
    say(index, kind, row, somebody(index, "u", AUDITOR))
    with pytest.raises(Forbidden, match="asked for it or agreed"):
        do(index, kind, row, other)


def test_nothing_happens_after_its_time(index: Database, bell: Bell) -> None:
    kind = bell.kind(lives_us=DAY_US)
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    with pytest.raises(Conflict, match="time has passed"):
        say(index, kind, row, agrees, DAY_US)
    say(index, kind, row, agrees, DAY_US - 1)
    with pytest.raises(Conflict, match="time has passed"):
        do(index, kind, row, asks, DAY_US)
    assert bell.rung == []


def test_there_may_be_time_to_think_again(index: Database, bell: Bell) -> None:
    kind = bell.kind(cool_off_us=1000)
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees, 10)
    with pytest.raises(Conflict, match="think again"):
        do(index, kind, row, asks, 1009)
    with index.write() as orm:
        approvals.withdraw(orm, approvals.find(orm, row.id, lock=True), asks, 1009)
    with pytest.raises(Conflict, match="taken back"):
        do(index, kind, row, asks, 1010)


def test_an_agreement_to_one_request_is_none_to_another(index: Database, bell: Bell) -> None:
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    shown, same = ask(index, kind, asks), ask(index, kind, asks)
    assert shown.content == same.content
    with pytest.raises(Conflict, match="not the content"):
        say(index, kind, same, agrees, digest=shown.content_sha256)


CHANGES = (
    "UPDATE approvals SET content = '{\"times\":99}'",
    "UPDATE approvals SET content = '{\"times\": 3}'",
    "UPDATE approvals SET content = 'nothing'",
    "UPDATE approvals SET subject = 'bell:2'",
    "UPDATE approvals SET kind = 'bell.melt'",
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_after_it_was_agreed_to_is_not_done(
    index: Database, bell: Bell, change: str
) -> None:
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    with index.write() as orm:
        orm.connection().exec_driver_sql(change)
    with pytest.raises(Conflict, match="changed"):
        do(index, kind, row, asks)
    assert bell.rung == []


def test_a_digest_that_was_changed_too_is_not_what_was_agreed_to(
    index: Database, bell: Bell
) -> None:
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    with index.write() as orm:
        found = orm.get_one(Approval, row.id)
        found.content = '{"times":99}'
        found.content_sha256 = approvals.digest_of(row.id, row.kind, row.subject, {"times": 99})
        row.content_sha256 = found.content_sha256
    with pytest.raises(Conflict, match="changed"):
        do(index, kind, row, asks)
    assert bell.rung == []


def test_one_no_ends_it(index: Database, bell: Bell) -> None:
    kind = bell.kind(needed=2)
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    assert say(index, kind, row, agrees, agreed=False).state is ApprovalState.REJECTED
    with pytest.raises(Conflict, match="rejected"):
        say(index, kind, row, somebody(index, "u", AUDITOR))


def test_who_lost_her_role_has_not_agreed(index: Database, bell: Bell) -> None:
    kind = bell.kind(approvers=frozenset({AUDITOR}))
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "u", AUDITOR)
    rows = [ask(index, kind, asks) for _ in range(2)]
    for row in rows:
        say(index, kind, row, agrees)
    with index.write() as orm:
        user = orm.get_one(User, agrees.id)
        people.set_roles(orm, Who("test"), 2, user, [SUPERVISOR])
    with pytest.raises(Conflict, match="may not any more"):
        do(index, kind, rows[0], asks)
    with index.write() as orm:
        user = orm.get_one(User, agrees.id)
        people.set_roles(orm, Who("test"), 3, user, [AUDITOR])
        people.set_disabled(orm, Who("test"), 3, user, True)
    with pytest.raises(Conflict, match="may not any more"):
        do(index, kind, rows[1], asks)


def test_an_agreement_that_nobody_gave_does_not_count(index: Database, bell: Bell) -> None:
    """Somebody with the database at hand adds a row, even one of the requester's own."""
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    with index.write() as orm:
        vote = orm.scalars(select(ApprovalVote)).one()
        vote.user_id = asks.id
    with pytest.raises(Conflict):
        do(index, kind, row, asks)


def test_what_has_become_impossible_is_not_done(index: Database, bell: Bell) -> None:
    kind = bell.kind()
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)
    say(index, kind, row, agrees)
    bell.broken = "The bell has fallen down."
    with pytest.raises(Conflict, match="fallen"):
        do(index, kind, row, asks)
    bell.broken = None
    do(index, kind, row, asks)
    assert len(bell.rung) == 1


def test_what_cannot_be_read_or_kept_is_not_asked_for(index: Database, bell: Bell) -> None:
    kind = bell.kind()
    asks = somebody(index, "a", ADMIN)
    with index.write() as orm, pytest.raises(InvalidInput):
        approvals.request(orm, kind, asks, {"times": "often"}, "why not", 0)
    with pytest.raises(InvalidInput, match="kept"):
        ask(index, kind, asks, times=2**60)


def test_the_inbox_shows_what_concerns_one(index: Database, bell: Bell) -> None:
    kind = bell.kind(requesters=frozenset({ADMIN}), approvers=frozenset({AUDITOR}))
    asks, agrees = somebody(index, "a", ADMIN), somebody(index, "u", AUDITOR)
    other = somebody(index, "s", SUPERVISOR)
    row = ask(index, kind, asks)

    def inbox(person: Person, *, closed: bool = False, at: int = 1) -> list[str]:
        kinds = {kind.name: kind}
        with index.read() as orm:
            found = approvals.concerning(orm, kinds, person, closed=closed, limit=9, now_us=at)
            return [one.id for one in found]

    assert inbox(asks) == inbox(agrees) == [row.id]
    assert inbox(other) == inbox(other, closed=True) == []
    # What is asked of others, and later, does not push hers out of a short list.
    strange = bell.kind(requesters=frozenset({SUPERVISOR}), approvers=frozenset({SUPERVISOR}))
    strange = replace(strange, name="strange")
    for _ in range(12):
        ask(index, strange, other, at=1)
    assert inbox(agrees) == [row.id]
    assert inbox(agrees, at=4 * DAY_US) == []
    assert inbox(agrees, closed=True, at=4 * DAY_US) == [row.id]
    lost = replace(agrees, roles=frozenset({SUPERVISOR}))
    assert inbox(lost) == []
    say(index, kind, row, agrees)
    assert inbox(lost) == [row.id]
