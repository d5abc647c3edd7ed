"""Cameras tried and added over the API, against virtual ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import factories
from support.api import RunningApi, problem_of, running_api
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.config import load_settings
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import ClassifiedInterval
from bidwitness.storage.wanted import camera_address
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import Role

PASSWORD = "p@:/ wörd"
PROBE = "/api/v1/cameras/probe"
CAMERAS = "/api/v1/cameras"
MINUTE = 60_000_000


@pytest.fixture(scope="module")
def camera() -> Iterator[RunningSimulator]:
    with running_simulator([small_camera("front", user="op", password=PASSWORD)]) as simulator:
        yield simulator


@pytest.fixture
def api(sqlite_index: Database, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(sqlite_index, tmp_path, allow_loopback_cameras=True) as running:
        yield running


def test_a_camera_is_tried_before_it_is_added(api: RunningApi, camera: RunningSimulator) -> None:
    body = {"address": camera.url("front", login=False), "username": "op", "password": PASSWORD}
    with api.as_user("root", Role.SYSTEM_ADMIN) as root, api.as_user("eye", Role.SUPERVISOR) as eye:
        problem_of(eye.post(PROBE, json=body), 403, "forbidden")
        found = root.post(PROBE, json=body, timeout=60).json()
        (stream,) = found["streams"]
        assert (stream["codec"], stream["width"], stream["sound"]) == ("h264", 640, "G.711A")
        assert found["browser_playable"] is True and stream["url"] == body["address"]
        wrong = root.post(PROBE, json={**body, "password": "wrong"}, timeout=60)
        assert list(problem_of(wrong, 422, "invalid-input")["fields"]) == ["password"]
        away = root.post(PROBE, json={"address": "rtsp://127.0.0.1:1/x"}, timeout=60)
        problem_of(away, 503, "camera")
        for address in ("file:/etc/passwd", "concat:a|b", "/etc/passwd", "subfile,,:x"):
            problem_of(root.post(PROBE, json={"address": address}), 422, "invalid-input")


def test_a_device_is_added_by_its_address(api: RunningApi, camera: RunningSimulator) -> None:
    device = {
        "address": camera.ready["cameras"][0]["onvif"],
        "username": "op",
        "password": PASSWORD,
    }
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        room = root.post("/api/v1/rooms", json={"name": "r", "kind": "opening"}).json()["id"]
        body = {"name": "front", "room_id": room, "onvif": device}
        wrong = {**body, "onvif": {**device, "password": "wrong"}}
        answer = root.post(CAMERAS, json=wrong, timeout=60)
        assert "password" in problem_of(answer, 422, "invalid-input")["fields"]
        both = {**body, "source_url": "rtsp://127.0.0.1/x"}
        assert "onvif" in problem_of(root.post(CAMERAS, json=both), 422, "invalid-input")["fields"]
        made = root.post(CAMERAS, json=body, timeout=60)
        assert made.status_code == 201, made.text
        assert made.json()["onvif_address"] == device["address"]
        assert [s["role"] for s in made.json()["streams"]] == ["main", "sub"]
        assert "wörd" not in made.text
    with api.database.read() as orm:
        wanted = wanted_streams(orm, 0)
    addresses = [camera_address(one, api.parts.secrets) for one in wanted]
    assert {address.password for address in addresses} == {PASSWORD}
    assert sorted(str(a) for a in addresses) == sorted(
        camera.url("front", role, login=False) for role in ("main", "sub")
    )


def test_nothing_in_a_classified_room_is_dialled(
    api: RunningApi, camera: RunningSimulator, tmp_path: Path
) -> None:
    clock = api.parts.clock
    now = clock.utc_us()
    # The same device by another name and on another door, and one that is not in the room.
    address, device = camera.url("front", login=False), camera.ready["cameras"][0]["onvif"]
    by_name = address.replace("127.0.0.1", "localhost")
    with api.database.write() as orm:
        room = factories.a_room(orm)
        for stream in factories.a_camera(orm, room, "front").streams:
            stream.address = by_name
        booked = factories.booked(room, now, now + MINUTE)
        session = factories.a_session(orm, clock, load_settings(data=tmp_path), booked)
        interval = ClassifiedInterval(
            session_id=session.id,
            room_id=room.id,
            from_us=now + MINUTE,
            to_us=now + 9 * MINUTE,
            register_no="涉密〔2026〕7",
        )
        orm.add(interval)
        orm.flush()
        interval_id, room_id = interval.id, room.id
    login = {"username": "op", "password": PASSWORD}
    wish = {"name": "new", "room_id": room_id, "onvif": {"address": device, **login}}
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        seen = camera.status()["connections_total"]
        # It is a minute away, and a try may take longer.
        for body in ({"address": by_name}, {"address": address, **login}, {"address": device}):
            problem_of(root.post(PROBE, json=body), 409, "conflict")
        elsewhere = {"address": "http://127.0.0.9:1/x", "confirm_hosts": ["127.0.0.1"]}
        problem_of(root.post(PROBE, json=elsewhere), 409, "conflict")
        problem_of(root.post(CAMERAS, json=wish), 409, "conflict")
        other = root.post(PROBE, json={"address": "rtsp://127.0.0.9:1/x"}, timeout=60)
        problem_of(other, 503, "camera")
        assert camera.status()["connections_total"] == seen
        with api.database.write() as orm:
            found = orm.get_one(ClassifiedInterval, interval_id)
            found.from_us, found.to_us = now - MINUTE, now - 1
        again = root.post(PROBE, json={"address": address, **login}, timeout=60)
        assert again.status_code == 200, again.text


def test_too_many_tries_at_once_are_sent_away(api: RunningApi) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        with api.parts.tries, api.parts.tries, api.parts.tries:
            answer = root.post(PROBE, json={"address": "rtsp://127.0.0.1:1/x"})
            problem_of(answer, 429, "too-many")
        problem_of(root.post(PROBE, json={"address": "rtsp://127.0.0.1:1/x"}), 503, "camera")
