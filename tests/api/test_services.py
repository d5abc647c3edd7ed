"""Service accounts: other systems, by tokens alone, in a few routes, with a person answerable."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of
from support.clock import FakeClock
from support.factories import a_room

from bidwitness.errors import InvalidInput
from bidwitness.storage.index.models import AuditEntry, Grant, Session, User
from bidwitness.storage.tokens import comes_from, read_networks
from bidwitness.words import GrantKind, Role, RoomKind, SessionState

V1 = "/api/v1"
HOUR = 3_600_000_000


@pytest.fixture
def owner(api: RunningApi) -> str:
    return api.add_user("wang", Role.DIRECTOR)


class Desk:
    """The security administrator and the service account that she has made."""

    def __init__(self, api: RunningApi, owner: str) -> None:
        self.api = api
        self._signed_in = api.as_user("sec", Role.SECURITY_ADMIN)
        self.admin = self._signed_in.__enter__()
        made = self.admin.post(f"{V1}/services", json={"username": "trade", "owner_id": owner})
        assert made.status_code == 201, made.text
        assert (made.json()["kind"], made.json()["owner"]) == ("service", "wang")
        self.address = f"{V1}/services/{made.json()['id']}"
        self.id = made.json()["id"]

    def close(self) -> None:
        self._signed_in.__exit__(None, None, None)

    def token(self, *areas: str, read_only: bool = False, **more: object) -> str:
        body = {"name": "booking", "areas": areas, "read_only": read_only, "days": 90}
        given = {**body, "password": PASSWORD, **more}
        answer = self.admin.post(f"{self.address}/tokens", json=given)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])


@pytest.fixture
def desk(api: RunningApi, owner: str) -> Iterator[Desk]:
    opened = Desk(api, owner)
    yield opened
    opened.close()


def plan(clock: FakeClock, room: str) -> dict[str, object]:
    now = clock.utc_us()
    booking = {"room_id": room, "from": now + HOUR, "to": now + 2 * HOUR, "role": "main"}
    return {"items": [{"project_code": "P-1"}], "kind": "opening", "bookings": [booking]}


def test_a_trading_system_announces_and_books(
    api: RunningApi, desk: Desk, clock: FakeClock
) -> None:
    with api.database.write() as orm:
        room = a_room(orm, "A", RoomKind.OPENING).id
    token = desk.token("projects", "lots", "sessions", "rooms")
    with api.client(Authorization=f"Bearer {token}") as trade:
        made = trade.post(f"{V1}/projects", json={"code": "P-1", "name": "Bridge"})
        assert made.status_code == 201, made.text
        lot = made.json()["lots"][0]["id"]
        phase = trade.post(f"{V1}/lots/{lot}/phase", json={"phase": "opening"})
        assert phase.status_code == 200, phase.text
        planned = trade.post(f"{V1}/sessions", json=plan(clock, room))
        assert planned.status_code == 201, planned.text
        session = f"{V1}/sessions/{planned.json()['id']}"
        assert trade.get(session).json()["state"] == "scheduled"
        assert [row["code"] for row in trade.get(f"{V1}/projects").json()["items"]] == ["P-1"]
        # Only the desk runs it; and what has begun, the desk alone changes.
        problem_of(trade.post(f"{session}/start", json={}), 403, "forbidden")
        with api.database.write() as orm:
            orm.get_one(Session, planned.json()["id"]).state = SessionState.RECORDING
        change = trade.patch(session, json={"reason": "late", "kind": "bidding"})
        assert "before they begin" in str(problem_of(change, 403, "forbidden")["detail"])
        moved = trade.post(f"{session}/move", json={"bookings": plan(clock, room)["bookings"]})
        assert "before they begin" in str(problem_of(moved, 403, "forbidden")["detail"])
    with api.database.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "project.create"))
        assert entry.who == "trade (token booking)"


def test_it_never_signs_in_and_sees_no_footage(api: RunningApi, desk: Desk) -> None:
    with api.client() as client:
        for password in ("-", "", PASSWORD):
            body = {"username": "trade", "password": password}
            for route in ("login", "token"):
                assert client.post(f"{V1}/auth/{route}", json=body).status_code in (401, 422)
    with api.database.write() as orm:
        # Whatever anybody might write into the index: no role of its opens anything.
        orm.add(
            Grant(
                kind=GrantKind.REQUEST,
                user_id=desk.id,
                media=["picture"],
                actions=["live", "replay", "copy"],
                reason="t",
                made_us=0,
                made_by="t",
            )
        )
    with api.client(Authorization=f"Bearer {desk.token('sessions', 'rooms')}") as trade:
        for route in ("exports", "jobs", "grants", "account", "auth/me", "approvals", "alarms"):
            assert trade.get(f"{V1}/{route}").status_code == 403, route
        for route in ("playbacks", "exports", "snapshots"):
            assert trade.post(f"{V1}/{route}", json={}).status_code == 403, route
    body = {"name": "t", "areas": ["exports"], "days": 1, "password": PASSWORD}
    problem = problem_of(desk.admin.post(f"{desk.address}/tokens", json=body), 422, "invalid-input")
    assert "areas" in problem["fields"]  # type: ignore[operator]
    body["areas"] = []
    problem_of(desk.admin.post(f"{desk.address}/tokens", json=body), 422, "invalid-input")


def test_a_token_ends(api: RunningApi, desk: Desk, clock: FakeClock) -> None:
    first, second = desk.token("projects"), desk.token("projects", days=1)
    listed = desk.admin.get(f"{desk.address}/tokens").json()
    assert "metrics" in listed["areas"] and len(listed["items"]) == 2
    assert first not in str(listed)
    with api.client(Authorization=f"Bearer {first}") as trade:
        assert trade.get(f"{V1}/projects").status_code == 200
        problem_of(trade.get(f"{V1}/sessions"), 403, "forbidden")
        desk.admin.patch(desk.address, json={"disabled": True})
        problem_of(trade.get(f"{V1}/projects"), 401, "unauthenticated")
        desk.admin.patch(desk.address, json={"disabled": False})
        assert trade.get(f"{V1}/projects").status_code == 200
        for row in listed["items"]:
            desk.admin.post(f"{desk.address}/tokens/{row['id']}/revoke")
        problem_of(trade.get(f"{V1}/projects"), 401, "unauthenticated")
    third = desk.token("projects", days=1)
    clock.advance(25 * HOUR)
    for token in (second, third):
        with api.client(Authorization=f"Bearer {token}") as trade:
            problem_of(trade.get(f"{V1}/projects"), 401, "unauthenticated")


def test_a_token_is_bound_to_networks(api: RunningApi, desk: Desk, clock: FakeClock) -> None:
    here, away = desk.token("projects", networks=["127.0.0.0/8"]), "10.9.0.0/16"
    with api.client(Authorization=f"Bearer {here}") as trade:
        assert trade.get(f"{V1}/projects").status_code == 200
    elsewhere = desk.token("projects", networks=[away, "2001:db8::1"])
    with api.client(Authorization=f"Bearer {elsewhere}") as trade:
        for _ in range(3):
            problem_of(trade.get(f"{V1}/projects"), 403, "forbidden")
    (row,) = [
        one
        for one in desk.admin.get(f"{desk.address}/tokens").json()["items"]
        if one["networks"] == [away, "2001:db8::1/128"]
    ]
    assert row["refused_at"] and row["used_at"] is None
    with api.database.read() as orm:
        noted = orm.scalars(select(AuditEntry).where(AuditEntry.action == "token.elsewhere")).all()
        # One for all that happens within half a minute.
        assert [(one.who, one.allowed) for one in noted] == [("trade (token booking)", False)]
    body = {"name": "t", "areas": ["lots"], "days": 1, "password": PASSWORD, "networks": ["x/y"]}
    problem = problem_of(desk.admin.post(f"{desk.address}/tokens", json=body), 422, "invalid-input")
    assert "networks" in problem["fields"]  # type: ignore[operator]


def test_networks() -> None:
    assert read_networks(["10.0.0.1", " 10.0.0.0/8 "]) == ["10.0.0.0/8", "10.0.0.1/32"]
    for wrong in ("10.0.0.1/8", "10.0.0", "host", ""):
        with pytest.raises(InvalidInput):
            read_networks([wrong])
    assert comes_from([], "anything")
    assert comes_from(["10.0.0.0/8"], "10.1.2.3") and comes_from(["10.0.0.0/8"], "::ffff:10.1.2.3")
    for away in ("11.0.0.1", "::1", "", "unknown"):
        assert not comes_from(["10.0.0.0/8"], away)


def test_metrics_are_for_it_too(api: RunningApi, desk: Desk) -> None:
    headers = {"X-Forwarded-For": "10.0.0.1"}
    with api.client(**headers) as monitor:
        assert monitor.get("/metrics").status_code == 401
        for areas, status in ((["metrics"], 200), (["lots"], 403)):
            token = desk.token(*areas, read_only=True)
            answer = monitor.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
        hers = {"name": "m", "areas": [], "days": 1, "password": PASSWORD}
        token = desk.admin.post(f"{V1}/account/tokens", json=hers).json()["token"]
        answer = monitor.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


def test_a_person_is_answerable(api: RunningApi, desk: Desk, owner: str) -> None:
    admin = desk.admin
    li = api.add_user("li", Role.DIRECTOR)
    refused = admin.patch(f"{V1}/users/{owner}", json={"disabled": True})
    assert "trade" in str(problem_of(refused, 409, "conflict")["detail"])
    assert admin.patch(desk.address, json={"owner_id": li}).json()["owner"] == "li"
    assert admin.patch(f"{V1}/users/{owner}", json={"disabled": True}).status_code == 200
    for nobody in (owner, desk.id, "a" * 16):
        problem = problem_of(
            admin.patch(desk.address, json={"owner_id": nobody}), 422, "invalid-input"
        )
        assert "owner_id" in problem["fields"]  # type: ignore[operator]
    rows = {row["username"]: row for row in admin.get(f"{V1}/users").json()["items"]}
    assert (rows["trade"]["kind"], rows["trade"]["owner"]) == ("service", "li")
    assert (rows["li"]["kind"], rows["li"]["owner"]) == ("person", None)


def test_a_service_account_becomes_no_person_and_no_person_one(
    api: RunningApi, desk: Desk, owner: str
) -> None:
    admin, users = desk.admin, f"{V1}/users"
    for change in ({"password": "Quiet-lamps-9"}, {"roles": ["venue"]}):
        problem_of(admin.patch(f"{users}/{desk.id}", json=change), 409, "conflict")
    problem_of(admin.patch(f"{users}/{owner}", json={"roles": ["service"]}), 422, "invalid-input")
    robot = {"username": "robot", "roles": ["service"]}
    problem_of(admin.post(users, json=robot), 422, "invalid-input")
    problem_of(admin.patch(f"{V1}/services/{owner}", json={"name": "x"}), 404, "not-found")
    wish = {"kind": "user.recover", "content": {"user_id": desk.id}, "reason": "lost"}
    problem_of(admin.post(f"{V1}/approvals", json=wish), 409, "conflict")
    wrong = {"name": "t", "areas": ["lots"], "days": 1, "password": "Wrong-horse-9"}
    problem_of(admin.post(f"{desk.address}/tokens", json=wrong), 422, "invalid-input")
    # The administrator's own token makes none.
    hers = {"name": "m", "areas": [], "read_only": False, "days": 1, "password": PASSWORD}
    token = admin.post(f"{V1}/account/tokens", json=hers).json()["token"]
    with api.client(Authorization=f"Bearer {token}") as program:
        body = {"username": "other", "owner_id": owner}
        problem_of(program.post(f"{V1}/services", json=body), 403, "forbidden")
    with api.database.read() as orm:
        assert orm.scalars(select(User.password_hash).where(User.id == desk.id)).one() == "-"
