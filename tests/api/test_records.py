"""Grants, alarms, events, markers, holds, policies, jobs and the audit trail, on both databases."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support import factories
from support.agreeing import a_wish, as_one, ask, done, exactly, granted
from support.api import RunningApi, problem_of
from support.clock import FakeClock

from bidwitness.storage.index.alarms import raise_alarm
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import AuditEntry, Login, Marker, Stream
from bidwitness.words import Role

HOUR = 3_600_000_000


ARCHIVIST = "staff.archivist"


@dataclass(frozen=True)
class Scene:
    api: RunningApi
    session: str
    stream: str
    root: httpx.Client


@pytest.fixture
def scene(api_on_both: RunningApi, clock: FakeClock) -> Iterator[Scene]:
    """A planned session in a room with a camera, an auditor ``li``, and an administrator."""
    now = clock.utc_us()
    with api_on_both.database.write() as orm:
        room = factories.a_room(orm)
        booking = factories.booked(room, now, now + HOUR)
        session = factories.a_session(orm, clock, api_on_both.parts.settings, booking).id
        stream = orm.scalars(select(Stream.id).limit(1)).one()
    api_on_both.add_user("li", Role.AUDITOR)
    api_on_both.add_user("eye", Role.SUPERVISOR)
    with api_on_both.as_staff() as root:
        yield Scene(api_on_both, session, stream, root)


def grant(scene: Scene, **more: object) -> dict[str, Any]:
    return granted(scene.root, a_wish(scene.session, **more))


def test_a_grant_stands_in_the_register_until_it_is_revoked(scene: Scene) -> None:
    made = grant(scene, **{"from": 5, "to": 9})
    assert (made["from"], made["to"], made["made_by"]) == (5, 9, "staff.archivist")
    with scene.api.as_user("li") as li:
        assert [g["id"] for g in li.get("/api/v1/grants").json()["items"]] == [made["id"]]
        (room,) = li.get("/api/v1/rooms").json()["items"]
        assert room["cameras"] == []
        problem_of(li.get("/api/v1/register"), 403, "forbidden")
        about = f"/api/v1/events?session_id={scene.session}"
        assert li.get(about).status_code == 200
        revoke = f"/api/v1/grants/{made['id']}/revoke"
        assert scene.root.post(revoke, json={"reason": "查毕"}).json()["revoked_at"]
        problem_of(scene.root.post(revoke, json={"reason": "查毕"}), 409, "conflict")
        problem_of(li.get(about), 403, "forbidden")
        assert li.get("/api/v1/rooms").json()["items"] == []
    (row,) = scene.root.get("/api/v1/register").json()["items"]
    assert (row["unit"], row["reason"], row["grant_id"]) == ("审计局", "审计抽查", made["id"])
    assert [(one["kind"], one["reason"]) for one in row["later"]] == [("revocation", "查毕")]


def test_a_grant_that_gives_nothing_is_refused(scene: Scene) -> None:
    for change, field in (
        ({"username": "nobody"}, "username"),
        ({"username": "eye", "actions": ["copy"]}, "actions"),
        ({"username": "staff.venue"}, "username"),
        ({"session_ids": ["a" * 16]}, "session_ids"),
        ({"session_ids": []}, "session_ids"),
        ({"stream_ids": ["a" * 16]}, "stream_ids"),
        ({"actions": ["live"]}, "actions"),
        ({"actions": []}, "actions"),
        ({"media": ["smell"]}, "media.0"),
        ({"from": 9, "to": 5}, "to"),
        ({"days": 0}, "days"),
        ({"days": 181}, "days"),
        ({"views": 0}, "views"),
        ({"views": 1, "actions": ["live", "replay"]}, "views"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "a\u0000b"}, "purpose"),
        ({"from": 1.5}, "from"),
        ({"more": 1}, "more"),
    ):
        content = a_wish(scene.session, **change)
        answer = ask(scene.root, "grant.request", content, Role.ARCHIVIST)
        assert f"content.{field}" in problem_of(answer, 422, "invalid-input")["fields"], change


def test_alarms_are_seen_and_acknowledged_once(scene: Scene) -> None:
    with scene.api.database.write() as orm:
        for number in range(5):
            raise_alarm(orm, "offline", f"stream:{number}", number, cause="摄像机离线")
    with scene.api.as_user("eye") as eye, scene.api.as_user("li") as li:
        page = eye.get("/api/v1/alarms?open=true&limit=3").json()
        assert [a["raised_at"] for a in page["items"]] == [4, 3, 2]
        rest = eye.get("/api/v1/alarms", params={"cursor": page["next_cursor"]}).json()
        assert [a["raised_at"] for a in rest["items"]] == [1, 0] and rest["next_cursor"] is None
        at = f"/api/v1/alarms/{page['items'][0]['id']}/acknowledge"
        assert eye.post(at).json()["acknowledged_by"] == "eye"
        assert "eye" in str(problem_of(scene.root.post(at), 409, "conflict")["detail"])
        problem_of(li.get("/api/v1/alarms"), 403, "forbidden")


def test_events_are_reported_about_what_exists(scene: Scene) -> None:
    body = {"at": 7, "kind": "door.opened", "text": "门", "session_id": scene.session}
    assert scene.root.post("/api/v1/events", json={**body, "facts": {"n": [1]}}).status_code == 201
    answer = scene.root.post("/api/v1/events", json={**body, "stream_id": "a" * 16})
    assert list(problem_of(answer, 422, "invalid-input")["fields"]) == ["stream_id"]
    (event,) = [
        event
        for event in scene.root.get(f"/api/v1/events?session_id={scene.session}").json()["items"]
        if event["kind"] == "door.opened"
    ]
    assert (event["source"], event["facts"]) == ("staff.venue", {"n": [1]})
    with scene.api.as_user("li") as li:
        problem_of(li.get("/api/v1/events"), 403, "forbidden")
        problem_of(li.post("/api/v1/events", json=body), 403, "forbidden")


def test_markers_are_for_whom_they_are_meant(scene: Scene) -> None:
    grant(scene)
    at = f"/api/v1/markers?session_id={scene.session}"
    with scene.api.as_user("eye") as eye, scene.api.as_user("li") as li:
        for client, audience in ((eye, "own"), (li, "own"), (li, "supervision"), (eye, "all")):
            body = {"session_id": scene.session, "at": 1, "text": "x", "audience": audience}
            assert client.post("/api/v1/markers", json=body).status_code == 201
        seen = {
            name: sorted((m["author"], m["audience"]) for m in client.get(at).json()["items"])
            for name, client in (("eye", eye), ("li", li), ("root", scene.root))
        }
    assert seen == {
        "eye": [("eye", "all"), ("eye", "own"), ("li", "supervision")],
        "li": [("eye", "all"), ("li", "own"), ("li", "supervision")],
        "root": [("eye", "all")],
    }


def test_only_its_author_takes_a_marker_back(scene: Scene) -> None:
    grant(scene)
    at = f"/api/v1/markers?session_id={scene.session}"
    body = {"session_id": scene.session, "at": 7, "text": "离席", "reason": "核对评分"}
    with scene.api.as_user("eye") as eye, scene.api.as_user("li") as li:
        made = [
            li.post("/api/v1/markers", json={**body, "audience": audience}).json()
            for audience in ("own", "supervision", "all")
        ]
        timeline = f"/api/v1/sessions/{scene.session}/timeline"
        for client, seen in ((li, 3), (eye, 2), (scene.root, 1)):
            listed = client.get(at).json()["items"]
            drawn = client.get(timeline).json()["markers"]
            assert len(listed) == len(drawn) == seen
            assert {m["id"] for m in listed} == {m["id"] for m in drawn}
        own, shared = f"/api/v1/markers/{made[0]['id']}", f"/api/v1/markers/{made[2]['id']}"
        # What one does not see is not there; what one sees is still another's.
        problem_of(eye.post(f"{own}/remove", json={}), 404, "not-found")
        problem_of(eye.post(f"{shared}/remove", json={}), 403, "forbidden")
        assert li.post(f"{shared}/remove", json={"reason": "记错时间"}).status_code == 204
        problem_of(li.post(f"{shared}/remove", json={}), 404, "not-found")
        for client in (li, eye, scene.root):
            ids = {m["id"] for m in client.get(at).json()["items"]}
            assert made[2]["id"] not in ids
            assert ids == {m["id"] for m in client.get(timeline).json()["markers"]}
    with scene.api.database.read() as orm:
        row = orm.get_one(Marker, made[2]["id"])
        assert (row.removed_us is not None, row.remove_reason) == (True, "记错时间")
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "marker.remove")).one()
        assert entry.facts["text"] == "离席"


def test_holds_stand_until_two_release_them(scene: Scene) -> None:
    body = {"case_no": "案1", "reason": "投诉", "session_id": scene.session}
    with scene.api.as_user("eye") as eye:
        hold = eye.post("/api/v1/holds", json=body).json()
        assert hold["placed_by"] == "eye"
        release = {"hold_id": hold["id"]}
        by, agrees = Role.ARCHIVIST, [Role.DIRECTOR]
        # The director by herself cannot even ask, and nobody else agrees.
        answer = ask(scene.root, "hold.release", release, Role.DIRECTOR)
        problem_of(answer, 403, "forbidden")
        row = ask(eye, "hold.release", release).json()
        at = f"/api/v1/approvals/{row['id']}"
        for role in (Role.ARCHIVIST, Role.SUPERVISOR):
            answer = scene.root.post(f"{at}/approve", json=exactly(row), headers=as_one(role))
            problem_of(answer, 403, "forbidden")
        assert len(eye.get("/api/v1/holds?open=true").json()["items"]) == 1
        done(scene.root, "hold.release", release, by, agrees)
        (released,) = eye.get("/api/v1/holds").json()["items"]
        assert (released["released_by"], released["release_reason"]) == (ARCHIVIST, "按程序办理")
        problem_of(ask(scene.root, "hold.release", release, by), 409, "conflict")
        # What was asked for before comes too late.
        agreed = scene.root.post(f"{at}/approve", json=exactly(row), headers=as_one(Role.DIRECTOR))
        assert agreed.is_success
        problem_of(eye.post(f"{at}/execute", json=exactly(row)), 409, "conflict")
        assert eye.get("/api/v1/holds?open=true").json()["items"] == []
        stream = {"case_no": "案2", "reason": "投诉", "stream_id": scene.stream, "from": 1, "to": 2}
        assert eye.post("/api/v1/holds", json=stream).json()["to"] == 2
        for wrong in (
            {**body, "stream_id": scene.stream},
            {**body, "from": 1},
            {**stream, "to": 0},
        ):
            problem_of(eye.post("/api/v1/holds", json=wrong), 422, "invalid-input")


def test_one_policy_for_one_kind_of_footage(scene: Scene) -> None:
    at = "/api/v1/policies"
    for days in (100, 190):
        for body in ({"room_kind": "evaluation"}, {}):
            answer = scene.root.put(at, json={**body, "loop_days": days, "basis": "7.2.8"})
            assert answer.status_code == 200, answer.text
    items = scene.root.get(at).json()["items"]
    assert sorted((p["room_kind"] or "", p["loop_days"]) for p in items) == [
        ("", 190),
        ("evaluation", 190),
    ]
    problem_of(scene.root.put(at, json={"room_kind": "evaluation"}), 422, "invalid-input")
    of_rooms = next(item["id"] for item in items if item["room_kind"])
    # For any room the same is said once more, so that nothing goes sooner.
    assert scene.root.delete(f"{at}/{of_rooms}").status_code == 204
    problem_of(scene.root.delete(f"{at}/{of_rooms}"), 404, "not-found")


def test_nobody_shortens_a_period_alone(scene: Scene, clock: FakeClock) -> None:
    at = "/api/v1/policies"
    longer = {"room_kind": "evaluation", "loop_days": 200}
    made = scene.root.put(at, json=longer).json()["id"]
    shorter = {"room_kind": "evaluation", "loop_days": 90}
    problem_of(scene.root.put(at, json=shorter), 403, "forbidden")
    problem_of(scene.root.delete(f"{at}/{made}"), 403, "forbidden")
    # Where nobody has named an end, any end is sooner.
    problem_of(scene.root.put(at, json={"category": "land", "keep_years": 30}), 403, "forbidden")
    assert [p["loop_days"] for p in scene.root.get(at).json()["items"]] == [200]
    row = ask(scene.root, "policy.shorten", shorter, Role.SECURITY_ADMIN).json()
    path = f"/api/v1/approvals/{row['id']}"
    execute = {"json": exactly(row), "headers": as_one(Role.SECURITY_ADMIN)}
    agreed = scene.root.post(
        f"{path}/approve", json=exactly(row), headers=as_one(Role.DIRECTOR)
    ).json()
    assert agreed["ready_at"] == clock.utc_us() + 24 * HOUR
    problem_of(scene.root.post(f"{path}/execute", **execute), 409, "conflict")
    with scene.api.database.write() as orm:
        for login in orm.scalars(select(Login)):
            login.expires_us += 48 * HOUR
            login.seen_us += 24 * HOUR
    clock.advance(24 * HOUR)
    assert scene.root.post(f"{path}/execute", **execute).status_code == 200
    assert [p["loop_days"] for p in scene.root.get(at).json()["items"]] == [90]


def test_jobs_are_their_makers(scene: Scene) -> None:
    with scene.api.database.write() as orm:
        mine = enqueue(orm, "export", {}, by="li", now_us=1).id
        other = enqueue(orm, "sweep", {}, by="beat", now_us=2).id
    with scene.api.as_user("li") as li:
        assert [j["id"] for j in li.get("/api/v1/jobs").json()["items"]] == [mine]
        problem_of(li.get(f"/api/v1/jobs/{other}"), 404, "not-found")
        problem_of(li.post(f"/api/v1/jobs/{other}/cancel"), 404, "not-found")
        assert li.post(f"/api/v1/jobs/{mine}/cancel").json()["state"] == "cancelled"
        problem_of(li.post(f"/api/v1/jobs/{mine}/cancel"), 409, "conflict")
        assert li.post(f"/api/v1/jobs/{mine}/retry").json()["state"] == "queued"
    assert [j["id"] for j in scene.root.get("/api/v1/jobs").json()["items"]] == [other, mine]
    assert len(scene.root.get("/api/v1/jobs?state=queued").json()["items"]) == 2


def test_the_trail_tells_who_did_what_from_where(scene: Scene) -> None:
    grant(scene)
    (entry,) = scene.root.get("/api/v1/audit?action=grant.make").json()["items"]
    assert entry["who"] == "staff.archivist"
    assert (entry["address"], entry["reason"]) == ("127.0.0.1", "审计抽查")
    assert entry["subject"] == f"session:{scene.session}"
    everything: list[int] = []
    cursor = None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = scene.root.get("/api/v1/audit", params=params).json()
        everything += [entry["id"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert everything == sorted(set(everything), reverse=True) and len(everything) > 4
    problem_of(scene.root.get("/api/v1/audit?cursor=nonsense"), 422, "invalid-input")
    with scene.api.as_user("eye") as eye:
        problem_of(eye.get("/api/v1/audit"), 403, "forbidden")


def test_every_command_leaves_exactly_one_entry(scene: Scene) -> None:
    """What was refused leaves nothing behind, neither the act nor its entry."""
    before = scene.root.get("/api/v1/audit?limit=1").json()["items"][0]["id"]
    content = a_wish(scene.session, username="nobody")
    ask(scene.root, "grant.request", content, Role.ARCHIVIST)
    scene.root.post("/api/v1/holds", json={"case_no": "1", "reason": "x", "session_id": "a" * 16})
    assert scene.root.get("/api/v1/audit?limit=1").json()["items"][0]["id"] == before
    scene.root.post("/api/v1/rooms", json={"name": "r", "kind": "duty"})
    assert scene.root.get("/api/v1/audit?limit=1").json()["items"][0]["id"] == before + 1
