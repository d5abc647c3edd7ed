"""Whatever is sent, the answer is one of ours: never a 500, never a trace."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support import factories
from support.api import RunningApi, running_api
from support.clock import FakeClock
from support.database import empty_database

from bidwitness.storage.index.database import open_database, upgrade
from bidwitness.storage.index.models import Stream

WORDS = st.sampled_from(
    ["", "a" * 16, "rtsp://h/x", "\x00", "\ud800", "𝄞", "a" * 5000, "system_admin", "evaluation"]
)
NUMBERS = st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, 2**70, 10**400, 1.5, 1e308])
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def shaped(schema: dict[str, Any], known: list[str], parts: dict[str, Any]) -> Any:
    """Give values of the form a schema asks for, with hostile contents, and sometimes not."""
    if "$ref" in schema:
        return shaped(parts[schema["$ref"].rsplit("/", 1)[1]], known, parts)
    if "anyOf" in schema:
        return st.one_of([shaped(choice, known, parts) for choice in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            wanted = set(schema.get("required", ()))
            fields = {name: shaped(of, known, parts) for name, of in properties.items()}
            return st.fixed_dictionaries(
                {name: of for name, of in fields.items() if name in wanted},
                optional={name: of for name, of in fields.items() if name not in wanted},
            )
        case "array":
            return st.lists(shaped(schema.get("items", {}), known, parts), min_size=1, max_size=3)
        case "integer":
            return st.sampled_from([0, 1, 7, 2**53 - 1]) | NUMBERS
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "string":
            names = ["li", "rtsp://192.0.2.1/x", "r1", "door.opened", "Correct-horse-9", "审计抽查"]
            return st.sampled_from([*known, *names]) | WORDS
    return VALUES


IDS = st.sampled_from(["a" * 16, "%00", "..", "x" * 40, "a%2Fb", "🙂", "-1"])
QUERIES = st.dictionaries(
    st.sampled_from(["cursor", "limit", "session_id", "state", "who", "from", "to", "open", "q"]),
    st.sampled_from(["", "0", "-1", "99999999999999999999", "a\x00b", "é", "AAAA", "true", "MR8x"]),
    max_size=3,
)
# Not these: they start processes, or end the login that the others need.
SKIPPED = re.compile(r"/(probe|discover|logout|password)$|/play/")


class Target:
    """A running API with one of everything, and its operations as it describes them itself."""

    def __init__(self, api: RunningApi, client: httpx.Client, ids: list[str]) -> None:
        self.client = client
        self.ids = ids
        said: dict[str, Any] = client.get("/api/v1/openapi.json").json()
        self.operations = sorted(
            (method.upper(), path)
            for path, methods in said["paths"].items()
            for method in methods
            if not SKIPPED.search(path)
        )
        self.bodies = {
            (method.upper(), path): shaped(
                operation["requestBody"]["content"]["application/json"]["schema"],
                ids,
                said["components"]["schemas"],
            )
            for path, methods in said["paths"].items()
            for method, operation in methods.items()
            if "requestBody" in operation
        }


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("fuzz")
    with ExitStack() as stack:
        url = f"sqlite:///{data}/index.db"
        if request.param == "postgresql":
            url = stack.enter_context(empty_database(request.getfixturevalue("postgres")))
        database = open_database(url)
        upgrade(database)
        clock = FakeClock()
        api = stack.enter_context(running_api(database, data, clock=clock))
        with database.write() as orm:
            room = factories.a_room(orm)
            booking = factories.booked(room, clock.utc_us(), clock.utc_us() + 3_600_000_000)
            session = factories.a_session(orm, clock, api.parts.settings, booking)
            streams = orm.scalars(select(Stream.id)).all()
            ids = [session.id, room.id, room.site_id, *streams]
        client = stack.enter_context(api.as_staff())
        yield Target(api, client, ids)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_body_breaks_it(target: Target, data: st.DataObject) -> None:
    method, path = data.draw(st.sampled_from(target.operations))
    known = st.sampled_from(target.ids)
    shape = target.bodies.get((method, path), st.none())
    shape = shape if data.draw(st.integers(0, 4)) else VALUES
    path = re.sub(r"\{[^}]+\}", lambda _: data.draw(known | IDS), path)
    params = data.draw(QUERIES)
    body = json.dumps(data.draw(shape)).encode()
    headers = {"Content-Type": "application/json"}
    answer = target.client.request(method, path, params=params, content=body, headers=headers)
    # 503: a camera of the body does not answer.
    assert answer.status_code < 500 or answer.status_code == 503, (method, path, body, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert answer.json()["status"] == answer.status_code
