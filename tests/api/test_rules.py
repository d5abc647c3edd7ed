"""Every route has a rule, every rule is kept, and the tables say what the docs say."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import Route
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock

from bidwitness.api.app import PREFIX, ROOT_ROUTERS, ROUTERS, create_app
from bidwitness.api.pages import pages
from bidwitness.api.rules import EVERYBODY, RULES, Rule, Ruled, name_of, rule_of
from bidwitness.config import load_settings
from bidwitness.storage.index.database import Database, open_database
from bidwitness.words import Role

DOCS = Path(__file__).parents[2] / "docs" / "rights.md"
NOBODY = None
GIVEN = {
    "track": "picture",
    "init": "0" * 64,
    "run": "r1",
    "run_seq": "0",
    "first": "0",
    "last": "1",
    "sheet": "0",
    "surplus_id": "1",
    "shard": "2026",
    "entry_id": "1",
}


@dataclass(frozen=True)
class Door:
    """A route or WebSocket as somebody comes to it."""

    name: str
    method: str
    path: str

    @property
    def address(self) -> str:
        """The path with names that are nobody's, of the form that each place wants."""
        return re.sub(r"{(\w+)(:path)?}", lambda found: GIVEN.get(found[1], "a" * 16), self.path)


def all_doors() -> list[Door]:
    found: list[Door] = []
    for prefix, routers in ((PREFIX, ROUTERS), ("", (*ROOT_ROUTERS, pages()))):
        for router in routers:
            for route in router.routes:
                assert isinstance(route, APIRoute | APIWebSocketRoute), route
                methods = route.methods if isinstance(route, APIRoute) else {"WS"}
                name = name_of(route.endpoint)
                found += [Door(name, m, prefix + route.path) for m in sorted(methods)]
    return found


DOORS = all_doors()
ROUTES = [door for door in DOORS if door.method != "WS"]


def test_every_route_has_a_rule_and_every_rule_its_routes() -> None:
    names = {door.name for door in DOORS}
    assert [door for door in DOORS if rule_of_name(door.name) is None] == []
    ruled = [name for rule in RULES for name in rule.names]
    assert len(ruled) == len(set(ruled)), "a route has two rules"
    left = [name for name in ruled if name not in names and not name.endswith(".*")]
    assert left == [], "rules of routes that are none"


def rule_of_name(name: str) -> Rule | None:
    rules = {n: rule for rule in RULES for n in rule.names}
    return rules.get(name) or rules.get(f"{name.partition('.')[0]}.*")


def test_the_application_has_no_other_doors(tmp_path: Path) -> None:
    """Whatever is not included with the rules would be open: there is the description alone."""
    app = create_app(load_settings(data=tmp_path, database="sqlite://"))
    own = [route for route in app.routes if isinstance(route, Route)]
    assert [route.path for route in own] == [f"{PREFIX}/openapi.json"]
    assert len(app.routes) == len(own) + len(ROUTERS) + len(ROOT_ROUTERS) + 1


def test_a_route_without_a_rule_is_refused_to_everybody(
    sqlite_index: Database, tmp_path: Path
) -> None:
    router = APIRouter()

    @router.get("/unruled")
    def unruled() -> str:
        return "open"

    assert rule_of(unruled) is None
    with running_api(sqlite_index, tmp_path) as api:
        # In front of the pages, which answer every path.
        api.app.include_router(router, dependencies=[Ruled])
        api.app.router.routes.insert(0, api.app.router.routes.pop())
        for role in Role:
            token = api.token_of(f"a.{role}", role)
            with api.client(Authorization=f"Bearer {token}") as client:
                problem_of(client.get("/unruled"), 403, "forbidden")


@pytest.fixture(scope="module")
def people(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path
) -> Iterator[dict[Role | None, httpx.Client]]:
    """One of each role, and nobody."""
    data = tmp_path_factory.mktemp("rules")
    shutil.copyfile(migrated_sqlite, data / "index.db")
    database = open_database(f"sqlite:///{data}/index.db")
    with ExitStack() as stack:
        api: RunningApi = stack.enter_context(running_api(database, data, clock=FakeClock()))
        clients: dict[Role | None, httpx.Client] = {NOBODY: stack.enter_context(api.client())}
        for role in Role:
            client = stack.enter_context(api.client())
            client.headers["Authorization"] = f"Bearer {api.token_of(f'a.{role}', role)}"
            clients[role] = client
        yield clients
    database.close()


TOKENS_SCOPE = "another scope"
# They would end the logins of the others, or search the network.
LEFT_OUT = {
    *("auth.login", "auth.token", "auth.logout", "auth.password", "cameras.discover"),
    *("account.end_others",),
}
TRIED = [door for door in ROUTES if door.name not in LEFT_OUT]


@pytest.mark.parametrize("door", TRIED, ids=lambda door: f"{door.method}-{door.name}")
def test_only_the_roles_of_its_rule_pass(
    door: Door, people: dict[Role | None, httpx.Client]
) -> None:
    rule = rule_of_name(door.name)
    assert rule is not None
    roles = rule.roles
    for role, client in people.items():
        answer = client.request(door.method, door.address, json={})
        assert answer.status_code < 500 or door.name in ("pages.page", "health.ready"), answer.text
        said = answer.json().get("detail", "") if answer.status_code in (401, 403) else ""
        if role is Role.SERVICE and answer.status_code == 403 and TOKENS_SCOPE in said:
            # What no token reaches, whatever its scope.
            assert roles is None or Role.SERVICE not in roles
        elif roles is None:
            assert not said.startswith("Only ")
        elif role is NOBODY:
            assert answer.status_code == 401, (door, answer.text)
        elif role in roles:
            assert not said.startswith("Only "), (door, role, said)
        else:
            assert answer.status_code == 403, (door, role, answer.status_code)
            assert said.startswith("Only "), (door, role, said)


def test_a_display_is_nobody(people: dict[Role | None, httpx.Client]) -> None:
    """Its credential opens what belongs to it, and what is open to everybody."""
    security = people[Role.SECURITY_ADMIN]
    body = {"name": "wall", "place": "hall", "reason": "test"}
    code = security.post(f"{PREFIX}/displays", json=body).json()["code"]
    with httpx.Client(base_url=security.base_url, trust_env=False) as display:
        display.headers["Origin"] = str(security.base_url).rstrip("/")
        assert display.post(f"{PREFIX}/display/pair", json={"code": code}).status_code == 204
        assert display.get(f"{PREFIX}/display").status_code == 200
        refused = Counter[str]()
        for door in TRIED:
            rule = rule_of_name(door.name)
            assert rule is not None
            if rule.roles is None and not door.name.startswith(("account.", "factors.", "tokens.")):
                continue
            answer = display.request(door.method, door.address, json={})
            assert answer.status_code in (401, 422), (door, answer.text)
            refused["ruled" if rule.roles is not None else "own"] += 1
            assert rule.roles is None or answer.status_code == 401, (door, answer.text)
        assert refused["ruled"] > 80
        assert refused["own"] > 10


def may_use(role: Role) -> set[str]:
    return {name for rule in RULES if role in (rule.roles or ()) for name in rule.names}


def test_what_never_may_change() -> None:
    """Said apart from the table, so that whoever changes the table has to change two places."""
    runs = {name for name in may_use(Role.VENUE) if name.startswith("sessions.")}
    changes = runs - {"sessions.sessions", "sessions.one"}
    for role in set(Role) - {Role.VENUE, Role.SERVICE}:
        assert not changes & may_use(role), role
    assert may_use(Role.SERVICE) == {
        *("projects.projects", "projects.create", "projects.phase", "rooms.sites", "rooms.rooms"),
        *("sessions.sessions", "sessions.one", "sessions.plan", "sessions.change"),
        *("sessions.move", "sessions.cancel"),
    }
    for name, only in (
        ("users.change", {Role.SECURITY_ADMIN}),
        ("users.create", {Role.SECURITY_ADMIN}),
        ("grants.revoke", {Role.SECURITY_ADMIN, Role.DIRECTOR}),
        ("grants.agree", {Role.SUPERVISOR}),
        ("rosters.approve", {Role.DIRECTOR}),
        ("displays.register", {Role.SECURITY_ADMIN}),
        ("displays.revoke", {Role.SECURITY_ADMIN}),
        ("audit.audit", {Role.AUDIT_ADMIN}),
        ("cameras.create", {Role.SYSTEM_ADMIN}),
        ("rights.change_settings", {Role.SECURITY_ADMIN}),
    ):
        assert {role for role in Role if name in may_use(role)} == only, name
    # Who makes a roster or a grant is never who approves it.
    assert not {"rosters.approve", "grants.agree"} & may_use(Role.SECURITY_ADMIN)
    for role in (Role.OPERATOR, Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN):
        assert not {"sessions.sessions", "timeline.timeline", "markers.markers"} & may_use(role)
    assert frozenset(Role) - {Role.SERVICE} == EVERYBODY


def test_the_docs_have_every_role() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for role in Role:
        assert f"| `{role.value}` | {role.zh} |" in text
