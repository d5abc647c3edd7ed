"""Fetching a package takes long: the right to it is asked for again meanwhile."""

import functools

import pytest
from sqlalchemy import select
from support.api import RunningApi
from support.sealed_session import Sealed

from bidwitness.api import exports as exports_route
from bidwitness.api.deps import CurrentUser
from bidwitness.errors import Forbidden
from bidwitness.player.export import export_path
from bidwitness.player.tasks import wish_of
from bidwitness.storage.index.models import Derivative, Grant, Job, Login
from bidwitness.words import Action, Medium, Role


def test_a_package_breaks_off_when_the_right_ends(
    api: RunningApi, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fetches it slowly gets no byte of it five seconds after her right has gone."""
    monkeypatch.setattr(exports_route, "PIECE", 1000)
    sealed.grant("auditor", list(Medium), [Action.COPY])
    with api.as_user("auditor") as client:
        body = {"session_id": sealed.id, "reason": "case 10", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        sealed.run(job["id"])
        with api.database.read() as orm:
            login = orm.scalars(select(Login).where(Login.ended_us.is_(None))).one()
            made = orm.scalars(select(Derivative).where(Derivative.job_id == job["id"])).one()
            user = CurrentUser(
                *(login.user_id, "auditor", "auditor", frozenset({Role.AUDITOR})),
                *(False, login.id, "127.0.0.1"),
            )
            wish = wish_of(orm.get_one(Job, job["id"]).payload)
    path = export_path(api.parts.settings, job["id"])
    still = functools.partial(exports_route.still_hers, api.parts, user, wish, made)
    pieces = exports_route.while_allowed(api.parts, user, path, still)
    assert len(next(pieces)) == 1000
    sealed.clock.sleep(4)
    assert len(next(pieces)) == 1000
    with api.database.write() as orm:
        orm.scalars(select(Grant)).one().revoked_us = 1
    assert len(next(pieces)) == 1000, "it was asked a moment ago"
    sealed.clock.sleep(4)
    with pytest.raises(Forbidden):
        next(pieces)
