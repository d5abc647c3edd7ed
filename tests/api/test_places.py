"""Rooms and cameras over the API, on both databases."""

import logging

import httpx
import pytest
from sqlalchemy import func, select
from support import factories
from support.api import RunningApi, problem_of
from support.clock import FakeClock

from bidwitness.storage.index.models import AuditEntry, Camera, Run, Stream, StreamStatus
from bidwitness.storage.wanted import camera_address
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import Health, Role

SECRET = "S3cret:@/é"


def a_room(client: httpx.Client, name: str = "评标室一", kind: str = "evaluation") -> str:
    answer = client.post("/api/v1/rooms", json={"name": name, "kind": kind})
    assert answer.status_code == 201, answer.text
    room_id: str = answer.json()["id"]
    return room_id


def camera_body(room: str, **more: object) -> dict[str, object]:
    return {
        "name": "前",
        "room_id": room,
        "source_url": "rtsp://192.0.2.7/main",
        "sub_url": "rtsp://192.0.2.7/sub",
        "username": "admin",
        "password": SECRET,
        **more,
    }


def test_rooms_are_made_listed_renamed_and_audited(api_on_both: RunningApi) -> None:
    with api_on_both.as_staff() as client:
        first, second = a_room(client, "b"), a_room(client, "a", "opening")
        problem_of(
            client.post("/api/v1/rooms", json={"name": "a", "kind": "duty"}), 409, "conflict"
        )
        body = problem_of(
            client.post("/api/v1/rooms", json={"name": "c", "kind": "kitchen"}),
            422,
            "invalid-input",
        )
        assert list(body["fields"]) == ["kind"]
        page = client.get("/api/v1/rooms?limit=1").json()
        assert [room["id"] for room in page["items"]] == [second]
        page = client.get("/api/v1/rooms", params={"cursor": page["next_cursor"]}).json()
        assert [room["id"] for room in page["items"]] == [first]
        assert page["next_cursor"] is None
        seat = client.post(f"/api/v1/rooms/{first}/seats", json={"name": "1"}).json()
        linked = client.put(
            f"/api/v1/rooms/{first}/linked-places", json={"place_ids": [second]}
        ).json()
        assert linked["seats"] == [seat] and linked["linked_place_ids"] == [second]
        changed = client.patch(f"/api/v1/rooms/{first}", json={"name": "d"}).json()
        assert (changed["name"], changed["kind"]) == ("d", "evaluation")
    with api_on_both.database.read() as orm:
        acts = set(orm.scalars(select(AuditEntry.action)))
    assert {"room.create", "seat.create", "room.linked_places", "room.change"} <= acts


def test_a_camera_comes_and_goes_and_its_password_never_comes_back(
    api_on_both: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = []
    with api_on_both.as_staff() as client:
        room = a_room(client)
        answers.append(client.post("/api/v1/cameras", json=camera_body(room)))
        camera = answers[0].json()
        assert camera["address"] == "rtsp://192.0.2.7/main"
        assert camera["sub_address"] == "rtsp://192.0.2.7/sub"
        assert camera["username"] == "admin" and camera["has_password"] is True
        assert [s["role"] for s in camera["streams"]] == ["main", "sub"]
        at = f"/api/v1/cameras/{camera['id']}"
        answers += [client.get(at), client.get("/api/v1/cameras"), client.get("/api/v1/rooms")]
        answers.append(client.patch(at, json={"name": "后"}))
        assert answers[-1].json()["name"] == "后" and answers[-1].json()["has_password"]
        answers.append(client.post("/api/v1/cameras", json=camera_body(room, name="后")))
        problem_of(answers[-1], 409, "conflict")
        with api_on_both.database.read() as orm:
            (main, sub) = sorted(wanted_streams(orm, 0), key=lambda w: w.role)
            assert (main.record_sound, sub.record_sound) == (True, False)
            dialled = camera_address(main, api_on_both.parts.secrets)
            assert (dialled.username, dialled.password) == ("admin", SECRET)
            assert SECRET not in repr(main) and SECRET.encode() not in (main.secret or b"")
        assert client.delete(at).status_code == 204
        problem_of(client.get(at), 404, "not-found")
        assert client.get("/api/v1/cameras").json()["items"] == []
        assert client.post("/api/v1/cameras", json=camera_body(room)).status_code == 201
    with api_on_both.database.read() as orm:
        facts = repr([(e.reason, e.facts, e.subject) for e in orm.scalars(select(AuditEntry))])
    told = "".join(answer.text for answer in answers) + facts + caplog.text
    assert "S3cret" not in told


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"source_url": "rtsp://192.0.2.7/other"}, True),
        ({"source_url": "rtsp://192.0.2.8/main", "sub_url": "rtsp://192.0.2.8/sub"}, False),
        ({"source_url": "rtsp://192.0.2.7:8554/main"}, False),
        ({"username": "other"}, False),
        ({"password": ""}, False),
        ({"name": "new"}, True),
        ({"sub_url": ""}, True),
    ],
)
def test_a_new_place_forgets_the_password(
    api: RunningApi, change: dict[str, str], kept: bool
) -> None:
    with api.as_staff() as client:
        camera = client.post("/api/v1/cameras", json=camera_body(a_room(client))).json()
        answer = client.patch(f"/api/v1/cameras/{camera['id']}", json=change)
        assert answer.status_code == 200, answer.text
        assert answer.json()["has_password"] is kept


def test_what_is_risky_is_allowed_for_one_camera_at_one_place(api: RunningApi) -> None:
    def allowed(answer: httpx.Response) -> tuple[bool, bool]:
        said = answer.json()
        return said["basic_in_clear"], said["unproven_certificate"]

    with api.as_staff() as client:
        created = client.post("/api/v1/cameras", json=camera_body(a_room(client)))
        assert allowed(created) == (False, False)
        at = f"/api/v1/cameras/{created.json()['id']}"
        changed = client.patch(at, json={"basic_in_clear": True, "unproven_certificate": True})
        assert allowed(changed) == (True, True)
        assert allowed(client.patch(at, json={"name": "other"})) == (True, True)
        with api.database.read() as orm:
            dialled = camera_address(wanted_streams(orm, 0)[0], api.parts.secrets)
            assert dialled.basic_in_clear and dialled.unproven_certificate
            entries = orm.scalars(select(AuditEntry).where(AuditEntry.action == "camera.change"))
            assert ["basic_in_clear", "unproven_certificate"] in [
                (entry.facts or {}).get("allowed") for entry in entries
            ]
        moved = {"source_url": "rtsp://192.0.2.8/main", "sub_url": "rtsp://192.0.2.8/sub"}
        assert allowed(client.patch(at, json=moved)) == (False, False)


def test_sending_everything_again_changes_nothing(api: RunningApi) -> None:
    """The recorder must not connect anew because a form was saved."""
    with api.as_staff() as client:
        body = camera_body(a_room(client))
        camera = client.post("/api/v1/cameras", json=body).json()
        with api.database.read() as orm:
            before = wanted_streams(orm, 0)
            entries = orm.scalar(select(func.count()).select_from(AuditEntry))
        assert client.patch(f"/api/v1/cameras/{camera['id']}", json=body).status_code == 200
        with api.database.read() as orm:
            assert wanted_streams(orm, 0) == before
            assert orm.scalar(select(func.count()).select_from(AuditEntry)) == entries


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source_url": "file:/etc/passwd"}, "source_url"),
        ({"source_url": "concat:/etc/passwd|/etc/hosts"}, "source_url"),
        ({"source_url": "subfile,,start,0,end,9,,:/etc/passwd"}, "source_url"),
        ({"source_url": "/etc/passwd"}, "source_url"),
        ({"source_url": "rtsp://127.0.0.1/x"}, "source_url"),
        ({"source_url": "rtsp://localhost/x"}, "source_url"),
        ({"source_url": "rtsp://169.254.169.254/x"}, "source_url"),
        ({"source_url": "rtsp://192.0.2.7/user=a&password=b"}, "source_url"),
        ({"sub_url": "file:/etc/passwd"}, "sub_url"),
        ({"sub_url": "rtsp://127.0.0.1/x"}, "sub_url"),
        ({"sub_url": "rtsp://192.0.2.9/sub"}, "sub_url"),
        ({"source_url": None}, "source_url"),
        ({"room_id": "a" * 16}, "room_id"),
        ({"room_id": "no such"}, "room_id"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"password": "x" * 300}, "password"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_wrong_with_a_camera_is_named(
    api: RunningApi, change: dict[str, object], field: str
) -> None:
    with api.as_staff() as client:
        answer = client.post("/api/v1/cameras", json=camera_body(a_room(client), **change))
        assert field in problem_of(answer, 422, "invalid-input")["fields"]
    with api.database.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Camera)) == 0


def test_a_rest_room_takes_no_camera_and_none_becomes_one(api: RunningApi) -> None:
    with api.as_staff() as client:
        rest, room = a_room(client, "休息", "rest"), a_room(client)
        answer = client.post("/api/v1/cameras", json=camera_body(rest))
        assert "room_id" in problem_of(answer, 422, "invalid-input")["fields"]
        client.post("/api/v1/cameras", json=camera_body(room))
        answer = client.patch(f"/api/v1/rooms/{room}", json={"kind": "rest"})
        problem_of(answer, 409, "conflict")


def test_nothing_stops_a_pull_while_a_session_is_due(api: RunningApi, clock: FakeClock) -> None:
    now = clock.utc_us()
    with api.database.write() as orm:
        room = factories.a_room(orm)
        other_id = factories.a_room(orm, "other", cameras=0).id
        for stream in orm.scalars(select(Stream)):
            stream.address = "rtsp://192.0.2.7/a"
            camera_id = stream.camera_id
            row = orm.get(StreamStatus, stream.id) or StreamStatus(stream_id=stream.id)
            row.recorder, row.state, row.since_us = "r", Health.OK, now
            row.at_us = row.last_us = now
            orm.add(row)
        booking = factories.booked(room, now + 60_000_000, now + 3_600_000_000)
        factories.a_session(orm, clock, api.parts.settings, booking)
    at = f"/api/v1/cameras/{camera_id}"
    with api.as_staff() as client:
        problem_of(client.patch(at, json={"enabled": False}), 409, "needs-approval")
        problem_of(client.delete(at), 409, "needs-approval")
        problem_of(client.patch(at, json={"room_id": other_id}), 409, "needs-approval")
        moved = {"source_url": "rtsp://192.0.2.8/a", "sub_url": ""}
        problem_of(client.patch(at, json=moved), 409, "needs-approval")
        assert client.patch(at, json={"name": "a better name"}).status_code == 200
        clock.sleep(30)  # nothing was recorded for half a minute: there is no pull to stop
        assert client.patch(at, json=moved).status_code == 200


def test_a_camera_with_footage_stays_in_its_room(api: RunningApi) -> None:
    with api.as_staff() as client:
        room, other = a_room(client), a_room(client, "other")
        camera = client.post("/api/v1/cameras", json=camera_body(room)).json()
        at = f"/api/v1/cameras/{camera['id']}"
        assert client.patch(at, json={"room_id": other}).json()["room_id"] == other
        with api.database.write() as orm:
            stream = orm.scalars(select(Stream).limit(1)).one()
            orm.add(Run(id="r" * 16, stream_id=stream.id, recorder="r", started_us=0))
        problem_of(client.patch(at, json={"room_id": room}), 409, "conflict")


def test_health_says_when_nobody_vouches_for_it(api: RunningApi, clock: FakeClock) -> None:
    now = clock.utc_us()
    with api.as_staff() as client:
        camera = client.post("/api/v1/cameras", json=camera_body(a_room(client))).json()
        stream = camera["streams"][0]
        assert stream["health"] is None
        with api.database.write() as orm:
            orm.add(
                StreamStatus(
                    stream_id=stream["id"],
                    recorder="r",
                    state=Health.OK,
                    since_us=now,
                    last_us=now,
                    centi_fps=2500,
                    kbps=4000,
                    gop_ms=10_000,
                    centi_dbfs=-4250,
                    clock_us=-1500,
                    verdicts={"silent": True, "long_gop": True, "clock_offset": False},
                    at_us=now,
                )
            )
        at = f"/api/v1/cameras/{camera['id']}"
        health = client.get(at).json()["streams"][0]["health"]
        assert (health["state"], health["fps"], health["kbps"]) == ("ok", 25.0, 4000)
        assert (health["gop_seconds"], health["level_dbfs"]) == (10.0, -42.5)
        assert (health["clock_offset_us"], health["cause"]) == (-1500, None)
        assert health["faults"] == ["silent", "long_gop"]
        with api.database.write() as orm:
            orm.get_one(StreamStatus, stream["id"]).state = Health.DEGRADED
        assert client.get(at).json()["streams"][0]["health"]["cause"] == "silent"
        clock.sleep(20)
        health = client.get(at).json()["streams"][0]["health"]
        assert (health["state"], health["cause"], health["fps"]) == (
            "offline",
            "recorder_down",
            None,
        )


def test_who_sees_what_of_the_places(api: RunningApi) -> None:
    with api.as_staff() as client:
        client.post("/api/v1/cameras", json=camera_body(a_room(client)))
    with api.as_user("eye", Role.SUPERVISOR) as client:
        (room,) = client.get("/api/v1/rooms").json()["items"]
        assert len(room["cameras"]) == 1
        (camera,) = client.get("/api/v1/cameras").json()["items"]
        assert camera["address"] == "" and camera["username"] is None
        problem_of(
            client.post("/api/v1/rooms", json={"name": "x", "kind": "duty"}), 403, "forbidden"
        )
        problem_of(client.delete(f"/api/v1/cameras/{camera['id']}"), 403, "forbidden")
    with api.as_user("li", Role.AUDITOR) as client:
        assert client.get("/api/v1/rooms").json()["items"] == []
        problem_of(client.get("/api/v1/cameras"), 403, "forbidden")


def test_recording_for_sessions_only_wants_a_reason_and_is_audited(api: RunningApi) -> None:
    with api.as_staff() as client:
        room = a_room(client)
        created = client.post("/api/v1/cameras", json=camera_body(room)).json()
        assert (created["mode"], created["mode_reason"]) == ("continuous", None)
        at = f"/api/v1/cameras/{created['id']}"
        for body in ({"mode": "session"}, {"mode": "session", "mode_reason": "  "}):
            refused = problem_of(client.patch(at, json=body), 422, "invalid-input")
            assert list(refused["fields"]) == ["mode_reason"]
        why = "业主单位书面要求: 除场次外不保存"
        changed = client.patch(at, json={"mode": "session", "mode_reason": why}).json()
        assert (changed["mode"], changed["mode_reason"]) == ("session", why)
        with api.database.read() as orm:
            # The same road: it is pulled as before.
            assert len(wanted_streams(orm, 0)) == 2
            entries = list(
                orm.scalars(select(AuditEntry).where(AuditEntry.action == "camera.change"))
            )
            assert [(entry.reason, (entry.facts or {})["mode"]) for entry in entries] == [
                (why, "session")
            ]
        back = client.patch(at, json={"mode": "continuous"}).json()
        assert (back["mode"], back["mode_reason"]) == ("continuous", None)
        named = {**camera_body(room), "name": "other", "mode": "session"}
        problem_of(client.post("/api/v1/cameras", json=named), 422, "invalid-input")
        made = client.post("/api/v1/cameras", json={**named, "mode_reason": why}).json()
        assert made["mode"] == "session"
