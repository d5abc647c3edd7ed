"""Every error becomes one kind of answer, and none tells what it must not."""

import json
import logging

import pytest
from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from support.api import QUICK, RunningApi, problem_of, served, settings_for

from bidwitness import errors
from bidwitness.api.app import create_app
from bidwitness.api.problems import from_validation
from bidwitness.api.problems import problem_of as answer_of
from bidwitness.storage.index.database import Database

TREE = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.BidWitnessError)
]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_each_error_of_the_tree_has_its_answer(kind: type[errors.BidWitnessError]) -> None:
    answer = answer_of(kind("rtsp://u:p4ss@h/x fails", fields={"a": "token=abc"}))
    body = json.loads(bytes(answer.body))
    assert answer.status_code == body["status"] == kind.status
    assert answer.media_type == "application/problem+json"
    assert body["type"] == f"urn:bidwitness:{kind.kind}" and body["title"]
    assert "p4ss" not in body["detail"] and "abc" not in body["fields"]["a"]


def test_an_answer_says_when_to_come_back() -> None:
    assert answer_of(errors.TooMany("wait", retry_after_s=7)).headers["retry-after"] == "7"


def test_validation_names_fields_and_never_values() -> None:
    error = from_validation(
        [
            {"loc": ("body", "a", 0, "b"), "msg": "wrong", "input": "s3cret"},
            {"loc": ("query", "limit"), "msg": "too big", "input": "s3cret"},
            {"loc": ("body", 3), "type": "json_invalid", "msg": "x", "input": {}},
        ]
    )
    assert error.fields["a.0.b"] == "wrong" and error.fields["limit"] == "too big"
    assert "s3cret" not in repr((error.detail, error.fields))


@pytest.mark.parametrize(
    ("raised", "status", "kind"),
    [
        (RuntimeError("s3cret in a trace"), 500, "internal"),
        (KeyError("s3cret"), 500, "internal"),
        (StaleDataError("s3cret"), 409, "conflict"),
        (IntegrityError("INSERT s3cret", {}, Exception()), 409, "conflict"),
        (PoolTimeout("s3cret"), 503, "index"),
        (errors.StoreError("the store is away"), 503, "store"),
    ],
)
def test_whatever_is_raised_nothing_leaks(
    sqlite_index: Database,
    tmp_path: object,
    caplog: pytest.LogCaptureFixture,
    raised: Exception,
    status: int,
    kind: str,
) -> None:
    router = APIRouter()

    @router.get("/api/v1/raise")
    def fail() -> None:
        raise raised

    app = create_app(settings_for(tmp_path), database=sqlite_index, passwords=QUICK)  # type: ignore[arg-type]  # a Path
    app.router.routes.insert(0, router.routes[0])
    with served(app) as base, RunningApi(base, app, sqlite_index).client() as client:
        body = problem_of(client.get("/api/v1/raise"), status, kind)
    assert "s3cret" not in json.dumps(body) and "Trace" not in json.dumps(body)
    if kind == "internal":
        number = str(body["detail"]).rstrip(".").rsplit(" ", 1)[1]
        (record,) = [r for r in caplog.records if number in r.getMessage()]
        assert record.levelno == logging.ERROR and record.exc_info is not None


def test_an_index_that_is_away_is_said_to_be(api: RunningApi) -> None:
    with api.database.engine.connect() as raw:
        raw.execute(text("ALTER TABLE logins RENAME TO gone"))
        raw.commit()
    with api.client() as client:
        answer = client.get("/api/v1/auth/me", headers={"Authorization": "Bearer x"})
        problem_of(answer, 503, "index")


def test_an_address_that_is_none(api: RunningApi) -> None:
    with api.client() as client:
        problem_of(client.get("/api/v1/nothing"), 404, "not-found")
        problem_of(client.get("/play/nothing"), 404, "not-found")
        problem_of(client.post("/api/v1/system", json={}), 405, "method-not-allowed")
