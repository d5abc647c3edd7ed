"""Asks an API everything its own document allows, and much that it does not; keeps what was wrong.

The cases are schemathesis's; each is sent by whoever may make the request, over a real socket.
"""

import random
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select
from support import factories
from support.api import RunningApi, running_api
from support.clock import FakeClock

from bidwitness.storage.index.database import open_database, upgrade
from bidwitness.storage.index.models import Stream

DOCUMENT = "/api/v1/openapi.json"
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
# They start processes that dial, or end the logins that all others need.
LEFT_OUT = re.compile(r"/(probe|discover|logout|password|end-logins|end-others)$")
# What breaks out of where it stands, in other programs.
HOSTILE = (
    *("../" * 8 + "etc/passwd", "..%2f..%2f..%2fkeys%2fsecrets.key", "%2e%2e/%2e%2e/index.db"),
    *("....//....//index.db", "/etc/passwd", "file:///etc/passwd", "C:\\windows\\win.ini"),
    *("' OR '1'='1", "'; DROP TABLE users; --", '" OR ""="', "1) UNION SELECT 1 --", "%' --"),
    *("{{7*7}}", "${7*7}", "$(id)", "`id`", "|id", "\r\nSet-Cookie: a=b", "%0d%0aX-Evil: 1"),
    *("<script>alert(1)</script>", "\x00", "%00", "\u202e", "＇ OR 1=1", "a" * 9000, "NaN", "-0"),
    *("[]", "{}", "null", "true", "9" * 400, "1e999", "..", ".", "%", "%%", "%zz", "é\ud800"),
)
SECRETS = re.compile(
    rb"root:x:|BEGIN [A-Z ]*PRIVATE KEY|Traceback|sqlalchemy|psycopg|SELECT .* FROM"
)


@dataclass
class Target:
    """A running API with one of everything, its document, and a client of its whole staff."""

    api: RunningApi
    client: httpx.Client
    session: requests.Session
    document: dict[str, Any]
    ids: list[str]


@dataclass
class Findings:
    """What was asked and what was wrong, each kind of it once for an operation."""

    asked: int = 0
    operations: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def count(self, status: int) -> None:
        self.asked += 1
        self.statuses[status] += 1

    def listed(self) -> list[str]:
        return [f"{where}: {what}: {how}" for (where, what), how in self.wrong.items()]

    def note(self, where: str, what: str, how: str) -> None:
        self.wrong.setdefault((where, what), how[:600])


@contextmanager
def fuzzed_target(data: Path, clock: FakeClock) -> Iterator[Target]:
    """Run an API with a room, cameras, a session, until the block ends."""
    database = open_database(f"sqlite:///{data}/index.db")
    upgrade(database)
    with running_api(database, data, clock=clock) as api, api.as_staff() as client:
        now = clock.utc_us()
        with database.write() as orm:
            room = factories.a_room(orm)
            booking = factories.booked(room, now, now + 3_600_000_000)
            session = factories.a_session(orm, clock, api.parts.settings, booking)
            ids = [session.id, room.id, room.site_id, *orm.scalars(select(Stream.id))]
        with requests.Session() as session:
            session.trust_env = False
            yield Target(api, client, session, client.get(DOCUMENT).json(), ids)
    database.close()


def fuzz(target: Target, findings: Findings, *, cases: int, seed: int) -> None:
    """Send so many cases of every operation, those the document allows and those it does not."""
    schema = schemathesis.openapi.from_dict(target.document)
    operations = [
        found.ok() for found in schema.get_all_operations() if not LEFT_OUT.search(found.ok().path)
    ]
    findings.operations = len(operations)
    for number, operation in enumerate(operations):
        for mode in schemathesis.GenerationMode:
            _operation(target, findings, operation, mode, cases, seed * 1000 + number)


def _operation(
    target: Target, findings: Findings, operation: Any, mode: Any, cases: int, seed: int
) -> None:
    strategy = operation.as_strategy(generation_mode=mode)
    known = random.Random(seed)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=strategy)
    def send(case: Any) -> None:
        # What is made up is nothing's name: half the time the name of something real is put in.
        for name in case.path_parameters or {}:
            if known.random() < 0.5:
                case.path_parameters[name] = known.choice(target.ids)
        _send(target, findings, case)

    try:
        send()
    except hypothesis.errors.Unsatisfiable:
        # Of this operation nothing is wrong: it takes no input.
        return


def _send(target: Target, findings: Findings, case: Any) -> None:
    where = f"{case.method} {case.path}"
    try:
        answer = case.call(
            base_url=target.api.base,
            session=target.session,
            headers=_who_may(target, case.method, case.formatted_path),
            timeout=60,
        )
    except (UnicodeError, ValueError):
        # No client can send it.
        return
    findings.count(answer.status_code)
    _judge(findings, where, answer.status_code, answer.content, answer.headers)
    # A camera that does not answer, or a part that is away, is no fault of the program.
    checks = [c for c in CHECKS if not (c is not_a_server_error and answer.status_code == 503)]
    try:
        case.validate_response(answer, checks=checks)
    except FailureGroup as group:
        for failure in group.exceptions:
            findings.note(where, type(failure).__name__, f"{answer.status_code} {failure}")


def _who_may(target: Target, method: str, path: str) -> dict[str, str]:
    """Give the headers of a request by whoever of the staff may make it."""
    assert isinstance(target.client.auth, httpx.Auth)
    request = httpx.Request(method, f"{target.api.base}{path}")
    signed = next(iter(target.client.auth.auth_flow(request)))
    return {"Authorization": signed.headers["Authorization"], "Origin": target.api.base}


def _judge(
    findings: Findings, where: str, status: int, content: bytes, headers: Mapping[str, Any]
) -> None:
    """Find what no check of a document can: traces, files of the machine, headers that were put in."""
    if status >= 500 and status != 503:
        findings.note(where, "server error", f"{status} {content[:300]!r}")
    if SECRETS.search(content):
        findings.note(where, "tells too much", repr(content[:300]))
    named = {name.lower() for name in headers}
    if "x-evil" in named or ("set-cookie" in named and "a=b" in str(headers["set-cookie"])):
        findings.note(where, "a header was put in", str(headers))


def fuzz_paths(target: Target, findings: Findings, *, cases: int, seed: int) -> None:
    """Put what breaks out elsewhere into paths, queries, bodies and tokens, over a plain socket's
    worth of spellings."""
    known = random.Random(seed)
    operations = sorted(
        (method.upper(), path)
        for path, methods in target.document["paths"].items()
        for method in methods
        if not LEFT_OUT.search(path)
    )
    for _ in range(cases):
        method, path = known.choice(operations)
        filled = re.sub(r"\{[^}]+\}", lambda _: _hostile(known, target.ids), path)
        if known.random() < 0.2:
            filled += "/" + _hostile(known, target.ids)
        headers = {}
        if known.random() < 0.3:
            headers["Authorization"] = f"Bearer {_token(known)}"
        try:
            request = target.client.build_request(
                method,
                filled,
                params={
                    known.choice(["q", "cursor", "limit", "state", "who"]): known.choice(HOSTILE)
                },
                headers=headers,
                json={known.choice(["name", "reason", "id"]): known.choice(HOSTILE)}
                if method != "GET"
                else None,
            )
            auth = None if headers else httpx.USE_CLIENT_DEFAULT
            answer = target.client.send(request, auth=auth)
        except (httpx.InvalidURL, UnicodeError, ValueError, httpx.LocalProtocolError):
            continue
        findings.count(answer.status_code)
        where = f"{method} {path}"
        _judge(findings, where, answer.status_code, answer.content, answer.headers)
        if (
            headers
            and answer.status_code == 200
            # Out of the API's part of the addresses there are the pages, which are for everybody.
            and "text/html" not in answer.headers["content-type"]
            and not path.startswith(("/log/", "/api/v1/system"))
        ):
            findings.note(where, "let in by a token that is none", headers["Authorization"])


def _hostile(known: random.Random, ids: list[str]) -> str:
    return known.choice([*HOSTILE, *ids, *ids])


def _token(known: random.Random) -> str:
    """Make up a token: of our form, of another's, or of none."""
    letters = string.ascii_letters + string.digits + "-_"
    random_part = "".join(known.choices(letters, k=known.choice([0, 1, 42, 43, 44, 5000])))
    return (
        known.choice(["", "bwt_", "bwt_bwt_", "eyJhbGciOiJub25lIn0.e30.", "\u00e9"]) + random_part
    )
