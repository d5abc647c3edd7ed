"""A watermarked copy through the API: what it is made from, what stays as it was, and its end."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import av
import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clips import picture_number
from support.footage import SIZE
from support.sealed_session import Sealed, fetched

from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.index.models import AuditEntry, Derivative, Grant, RegisterEntry, Segment
from bidwitness.storage.jobs import JobRun
from bidwitness.words import Action, JobState, Medium, Role

BODY = {"reason": "case 7", "form": "watermarked"}
EVERYTHING = list(Medium)


def spool_of(api: RunningApi) -> dict[str, str]:
    spool = api.parts.settings.spool
    return {
        str(path.relative_to(spool)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(spool.rglob("*"))
        if path.is_file()
    }


def numbers_of(film: bytes) -> list[int]:
    with av.open(io.BytesIO(film)) as container:
        return [
            picture_number(frame.to_ndarray(format="gray8")[:SIZE])
            for frame in container.decode(video=0)
        ]


def test_a_film_of_each_camera_with_its_record(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    before = spool_of(api)
    with api.as_user("auditor") as client:
        answer = client.post("/api/v1/exports", json={"session_id": sealed.id, **BODY})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert job["form"] == "watermarked"
        assert sealed.run(job["id"]) == JobState.DONE, client.get(
            f"/api/v1/exports/{job['id']}"
        ).text
        done = client.get(f"/api/v1/exports/{job['id']}").json()
        assert done["done"] == done["total"] == 20 * 25
        path = fetched(client, job["id"], tmp_path)
        listed = client.get("/api/v1/exports", params={"session_id": sealed.id}).json()
        assert listed == {"items": [done]}
        with api.as_user("stranger", Role.AUDITOR) as stranger:
            listed = stranger.get("/api/v1/exports", params={"session_id": sealed.id}).json()
            assert listed == {"items": []}
        # A package made afterwards is what it always was.
        package = client.post(
            "/api/v1/exports",
            json={"session_id": sealed.id, "reason": "case 7", "form": "package"},
        ).json()
        assert package["form"] == "package"
        assert sealed.run(package["id"]) == JobState.DONE
        assert verify_package(fetched(client, package["id"], tmp_path)).problems == []
    assert spool_of(api) == before
    with zipfile.ZipFile(path) as bag:
        record = json.loads(bag.read("watermark.json"))
        films = [bag.read(item["name"]) for item in record["files"]]
        assert set(bag.namelist()) == {record["files"][0]["name"], "watermark.json", "README.txt"}
    assert numbers_of(films[0]) == list(range(10 * 25, 30 * 25))
    (item,) = record["files"]
    assert item["sha256"] == hashlib.sha256(films[0]).hexdigest()
    assert (item["stream"], item["media"]) == (sealed.streams[0], ["picture", "sound"])
    assert record["made_for"] == {
        "name": "auditor",
        "username": "auditor",
        "department": "",
        "address": "127.0.0.1",
    }
    assert record["id"] == job["id"]
    assert record["tool"]["encoder"].startswith("libx264 ")
    with api.database.read() as orm:
        made = orm.scalars(select(Derivative).where(Derivative.kind == "watermarked")).one()
        assert made.recipe["record"] == record
        assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert made.expires_us is not None
        segments = {
            (row.run_id, row.run_seq): row.sha256.hex() for row in orm.scalars(select(Segment))
        }
        for source in item["made_from"]["segments"]:
            assert segments[source["run"], source["run_seq"]] == source["sha256"]
        lines = [row.content for row in orm.scalars(select(RegisterEntry))]
        assert [line for line in lines if job["id"] in line and "水印复制件" in line]
        entries = orm.scalars(select(AuditEntry).where(AuditEntry.action == "export.made"))
        assert [entry.facts["form"] for entry in entries] == ["watermarked", "package"]
    assert [p.name for p in api.parts.settings.exports.iterdir() if p.is_dir()] == []


def test_only_what_may_be_copied_is_in_it(api: RunningApi, sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("seer", [Medium.PICTURE], [Action.COPY])
    sealed.grant("listener", [Medium.SOUND], [Action.COPY])
    body = {"session_id": sealed.id, **BODY}
    with api.as_user("listener") as client:
        refusal = problem_of(client.post("/api/v1/exports", json=body), 422, "invalid-input")
        assert set(refusal["fields"]) == {"form"}  # type: ignore[call-overload]
    with api.as_user("seer") as client:
        job = client.post("/api/v1/exports", json=body).json()
        assert sealed.run(job["id"]) == JobState.DONE
        with zipfile.ZipFile(fetched(client, job["id"], tmp_path)) as bag:
            (film,) = [bag.read(name) for name in bag.namelist() if name.endswith(".mp4")]
        with av.open(io.BytesIO(film)) as container:
            assert [stream.type for stream in container.streams] == ["video"]
        address = f"/api/v1/exports/{job['id']}/package"
        with api.as_user("other", Role.AUDITOR) as other:
            problem_of(other.get(address), 404, "not-found")
        with api.database.write() as orm:
            for grant in orm.scalars(select(Grant)):
                grant.revoked_us = sealed.clock.utc_us()
        problem_of(client.get(address), 403, "forbidden")


def test_it_can_be_cancelled_on_the_way(
    api: RunningApi, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.grant("auditor", EVERYTHING, [Action.COPY])
    told: list[int] = []
    with api.as_user("auditor") as client:
        job = client.post("/api/v1/exports", json={"session_id": sealed.id, **BODY}).json()
        progress = JobRun.progress

        def cancelled(run: JobRun, done: int, total: int) -> None:
            told.append(done)
            if done >= 100:
                assert client.post(f"/api/v1/jobs/{run.id}/cancel").status_code == 200
            progress(run, done, total)

        monkeypatch.setattr(JobRun, "progress", cancelled)
        sealed.run(job["id"])
        assert client.get(f"/api/v1/exports/{job['id']}").json()["state"] == "cancelled"
        problem_of(client.get(f"/api/v1/exports/{job['id']}/package"), 409, "conflict")
    assert told == [0, 50, 100]
    assert list(api.parts.settings.exports.iterdir()) == []
