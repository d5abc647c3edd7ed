"""The API behind a real server on loopback, in this process, with clients for it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy.orm import Session as Orm
from support.staff import FIRST, StaffAuth, username_of

from bidwitness.api.app import create_app
from bidwitness.api.binding import listen
from bidwitness.api.deps import Parts
from bidwitness.claims import FOREVER
from bidwitness.clock import Clock
from bidwitness.config import Settings, load_settings
from bidwitness.storage import people, services, tokens
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Roster, Shift
from bidwitness.words import ProjectCategory, Role

PASSWORD = "Correct-horse-9"
# The weakest that argon2 allows: what the tests prove does not hang on its cost.
QUICK = people.Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass(frozen=True)
class RunningApi:
    """A running API. ``client()`` is nobody; ``as_user`` is somebody by cookie."""

    base: str
    app: FastAPI
    database: Database

    @property
    def parts(self) -> Parts:
        parts: Parts = self.app.state.parts
        return parts

    def client(self, **headers: str) -> httpx.Client:
        """Give a client that sends the Origin a page of ours would. Close it after use."""
        return httpx.Client(
            base_url=self.base,
            headers={"Origin": self.base, **headers},
            timeout=60,
            trust_env=False,
        )

    def add_user(
        self,
        username: str,
        *roles: Role,
        password: str = PASSWORD,
        must_change: bool = False,
        on_duty: bool = True,
    ) -> str:
        """Add a user and give the id. Supervisors are on duty for everything, and attestors
        assigned to nothing."""
        with self.database.write() as orm:
            user_id = people.create_user(
                orm,
                Who("test"),
                self.parts.clock.utc_us(),
                username=username,
                name=username,
                roles=roles,
                password_hash=QUICK.hash(password),
                must_change_password=must_change,
            ).id
            if Role.SUPERVISOR in roles and on_duty:
                put_on_duty(orm, user_id)
            return user_id

    def add_service(self, username: str, *areas: str, read_only: bool = False) -> str:
        """Add a service account with its owner, and give the text of a token of its."""
        owner = self.add_user(f"{username}.owner", Role.DIRECTOR)
        now = self.parts.clock.utc_us()
        scope = tokens.Scope(frozenset(areas), read_only)
        with self.database.write() as orm:
            row = services.create_service(
                orm, Who("test"), now, username=username, name=username, owner_id=owner
            )
            new = tokens.NewToken("t", scope, 30)
            return tokens.make_token(orm, Who("test"), row.id, new, now, frozenset(areas))[0]

    def token_of(self, username: str, role: Role, *, on_duty: bool = True) -> str:
        """Add somebody of a role, a service account for its own, and give what signs her in."""
        if role is Role.SERVICE:
            return self.add_service(username)
        self.add_user(username, role, on_duty=on_duty)
        body = {"username": username, "password": PASSWORD}
        with self.client() as client:
            token: str = client.post("/api/v1/auth/token", json=body).json()["token"]
        return token

    @contextmanager
    def as_user(self, username: str, *roles: Role) -> Iterator[httpx.Client]:
        """Give a client signed in as a user, who is made if ``roles`` are given."""
        if roles:
            self.add_user(username, *roles)
        with self.client() as client:
            answer = client.post(
                "/api/v1/auth/login", json={"username": username, "password": PASSWORD}
            )
            assert answer.status_code == 200, answer.text
            yield client

    @contextmanager
    def as_staff(self) -> Iterator[httpx.Client]:
        """Give a client that is all of the centre's people: whoever may, makes the request."""
        tokens: dict[Role, str] = {}
        with self.client() as client:
            for role in FIRST:
                self.add_user(username_of(role), role)
                body = {"username": username_of(role), "password": PASSWORD}
                tokens[role] = client.post("/api/v1/auth/token", json=body).json()["token"]
            client.auth = StaffAuth(tokens)
            yield client


def put_on_duty(
    orm: Orm, user_id: str, *, categories: Sequence[ProjectCategory] = (), until_us: int = FOREVER
) -> str:
    """Put a supervisor on an approved roster; give its id."""
    roster = Roster(
        department="test",
        categories=list(categories),
        projects=[],
        reason="test",
        made_us=0,
        made_by="test",
        approved_us=0,
        approved_by="another",
        shifts=[Shift(user_id=user_id, from_us=0, until_us=until_us)],
    )
    orm.add(roster)
    orm.flush()
    return roster.id


@contextmanager
def running_api(
    database: Database,
    data: Path,
    *,
    clock: Clock | None = None,
    app: FastAPI | None = None,
    **settings: object,
) -> Iterator[RunningApi]:
    """Serve the API on a free port of loopback until the block ends."""
    if app is None:
        app = create_app(
            load_settings(data=data, **settings),
            database=database,
            clock=clock,
            passwords=QUICK,
        )
    with served(app) as base:
        yield RunningApi(base, app, database)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Run any application under uvicorn in a thread; give its address."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        # The socket listens already: a client that comes too early is simply kept waiting.
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    """Assert that an answer is the problem+json of that status and kind, and give its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["type"] == f"urn:bidwitness:{kind}", body
    assert body["status"] == status
    assert isinstance(body["detail"], str) and body["detail"]
    return body


def settings_for(data: Path, **more: object) -> Settings:
    return load_settings(data=data, **more)
