"""Films and mosaics through the API: who may have them, what is written down, how they end."""

import json
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.footage import numbers_in
from support.sealed_session import Sealed, fetched

from bidwitness.api import exports
from bidwitness.player import copying
from bidwitness.storage.index.models import AuditEntry, Derivative, Grant, RegisterEntry
from bidwitness.storage.jobs import JobRun
from bidwitness.words import Action, JobState, Medium

EVERYTHING = list(Medium)
FILMS = {"reason": "case 7", "form": "films"}
MOSAIC = {"reason": "case 7", "form": "mosaic"}


def test_films_are_made_registered_and_fetched(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    with api.as_user("auditor") as client:
        job = client.post("/api/v1/exports", json={"session_id": sealed.id, **FILMS}).json()
        assert sealed.run(job["id"]) == JobState.DONE, client.get(
            f"/api/v1/exports/{job['id']}"
        ).text
        done = client.get(f"/api/v1/exports/{job['id']}").json()
        assert done["form"] == "films" and done["done"] == done["total"] > 0
        with zipfile.ZipFile(fetched(client, job["id"], tmp_path)) as bag:
            record = json.loads(bag.read("films.json"))
            (film,) = record["files"]
            assert numbers_in(bag.read(film["name"])) == list(range(10 * 25, 30 * 25))
            assert {film["subtitles"], "timeline.csv", "timeline.json"} < set(bag.namelist())
    assert (film["role"], film["media"], film["holes"]) == ("main", ["picture", "sound"], [])
    with api.database.read() as orm:
        made = orm.scalars(select(Derivative).where(Derivative.kind == "films")).one()
        assert made.recipe["record"] == record and made.expires_us is not None
        assert [r for r in orm.scalars(select(RegisterEntry)) if "便捷视频" in (r.content or "")]
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "export.request")).one()
        assert (entry.facts or {})["form"] == "films" and (entry.facts or {})["chosen"]
    assert [p.name for p in api.parts.settings.exports.iterdir()] == [f"{job['id']}.zip"]


def test_only_the_media_and_times_that_may_be_had(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    sealed.grant("listener", [Medium.SOUND], [Action.COPY])
    times = {"from": sealed.start + 14_000_000, "to": sealed.start + 18_000_000}
    with api.as_user("listener") as client:
        body = {"session_id": sealed.id, **times}
        refusal = problem_of(
            client.post("/api/v1/exports", json={**body, **MOSAIC}), 422, "invalid-input"
        )
        assert set(refusal["fields"]) == {"form"}  # type: ignore[call-overload]
        job = client.post("/api/v1/exports", json={**body, **FILMS}).json()
        assert sealed.run(job["id"]) == JobState.DONE
        with zipfile.ZipFile(fetched(client, job["id"], tmp_path)) as bag:
            (film,) = json.loads(bag.read("films.json"))["files"]
            said = json.loads(bag.read("timeline.json"))
    assert (film["media"], film["pictures"]) == (["sound"], 0)
    # The timeline tells of hers alone.
    assert {medium for one in said["streams"] for medium in one["media"]} == {"sound"}
    for stream in said["streams"]:
        for part in stream["footage"]:
            assert times["from"] <= part["from"]["us"] <= part["to"]["us"] <= times["to"]


@pytest.mark.parametrize("body", [FILMS, MOSAIC])
def test_a_right_that_ends_while_it_is_made_ends_the_making(
    api: RunningApi, sealed: Sealed, monkeypatch: pytest.MonkeyPatch, body: dict[str, str]
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    monkeypatch.setattr(copying, "RECHECK_US", 0)
    monkeypatch.setattr(copying, "SAID_US", 0)
    progress = JobRun.progress
    told: list[int] = []

    def revoked(run: JobRun, done: int, total: int) -> None:
        told.append(done)
        with api.database.write() as orm:
            for grant in orm.scalars(select(Grant)):
                grant.revoked_us = sealed.clock.utc_us()
        progress(run, done, total)

    monkeypatch.setattr(JobRun, "progress", revoked)
    with api.as_user("auditor") as client:
        job = client.post("/api/v1/exports", json={"session_id": sealed.id, **body}).json()
        assert sealed.run(job["id"]) == JobState.FAILED
    # The next word after the right had ended was the last.
    assert len(told) == 1
    assert list(api.parts.settings.exports.iterdir()) == []


def test_a_mosaic_is_cancelled_and_made_again(
    api: RunningApi, sealed: Sealed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    times = {"from": sealed.start + 12_000_000, "to": sealed.start + 16_000_000}
    body = {"session_id": sealed.id, **times, **MOSAIC}
    with api.as_user("auditor") as client:
        refusal = problem_of(
            client.post("/api/v1/exports", json={**body, "sound": "none such"}),
            *(422, "invalid-input"),
        )
        assert set(refusal["fields"]) == {"sound"}  # type: ignore[call-overload]
        wish = {**body, "sound": sealed.streams[0]}
        job = client.post("/api/v1/exports", json=wish).json()
        progress = JobRun.progress

        def cancelled(run: JobRun, done: int, total: int) -> None:
            if done:
                assert client.post(f"/api/v1/jobs/{run.id}/cancel").status_code == 200
            progress(run, done, total)

        with monkeypatch.context() as patch:
            patch.setattr(JobRun, "progress", cancelled)
            sealed.run(job["id"])
        assert client.get(f"/api/v1/exports/{job['id']}").json()["state"] == "cancelled"
        assert list(api.parts.settings.exports.iterdir()) == []
        assert client.post(f"/api/v1/jobs/{job['id']}/retry").status_code == 200
        assert sealed.run(job["id"]) == JobState.DONE
        with zipfile.ZipFile(fetched(client, job["id"], tmp_path)) as bag:
            record = json.loads(bag.read("mosaic.json"))
    assert record["pictures"] == 50 and "auditor" in record["mark"]
    assert sorted(file["media"] for file in record["files"]) == [["picture"], ["sound"]]


def test_nobody_fills_the_queue(
    api: RunningApi, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    monkeypatch.setattr(exports, "MAX_OWN", 1)
    body = {"session_id": sealed.id, **FILMS}
    with api.as_user("auditor") as client:
        first = client.post("/api/v1/exports", json=body).json()
        refusal = client.post("/api/v1/exports", json=body)
        problem_of(refusal, 429, "too-many")
        assert refusal.headers["retry-after"] == "60"
        assert client.post(f"/api/v1/jobs/{first['id']}/cancel").status_code == 200
        assert client.post("/api/v1/exports", json=body).status_code == 202
