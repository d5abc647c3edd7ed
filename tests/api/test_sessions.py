"""Sessions and projects over HTTP, as the client and the demo speak to them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.factories import HOUR, MINUTE, SECOND, Tape, a_room, streams_of

from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.models import Grant
from bidwitness.storage.sessions.clockwork import tick
from bidwitness.storage.sessions.seal import Sealer
from bidwitness.words import Role

V1 = "/api/v1"
PROJECT = {
    "code": "P-1",
    "name": "市民中心",
    "category": "construction",
    "lots": [{"code": "1", "name": "土建"}, {"code": "2"}],
}


class Site:
    """A room, a project, and an administrator's client."""

    def __init__(self, api: RunningApi, clock: FakeClock, client: httpx.Client) -> None:
        self.api, self.clock, self.client = api, clock, client
        with api.database.write() as orm:
            room = a_room(orm, "评标室一", cameras=2)
            self.room, self.streams = room.id, streams_of(orm, room)
        assert client.post(f"{V1}/projects", json=PROJECT).status_code == 201

    def form(self, after_us: int = 0, **more: Any) -> dict[str, Any]:
        start = self.clock.utc_us() + after_us
        booking = {"room_id": self.room, "from": start, "to": start + HOUR, "role": "main"}
        return {
            "items": [{"project_code": "P-1", "lot_code": "1"}],
            "kind": "evaluation",
            "bookings": [booking],
            "classified": False,
            **more,
        }

    def plan(self, after_us: int = 0, **more: Any) -> str:
        answer = self.client.post(f"{V1}/sessions", json=self.form(after_us, **more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def do(self, session: str, act: str, body: object = None, status: int = 200) -> dict[str, Any]:
        answer = self.client.post(f"{V1}/sessions/{session}/{act}", json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"{V1}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def site(api: RunningApi, clock: FakeClock) -> Any:
    with api.as_staff() as client:
        yield Site(api, clock, client)


def test_a_session_from_plan_to_verification(site: Site) -> None:
    parts = site.api.parts
    session = site.plan(after_us=MINUTE)
    planned = site.get(f"sessions/{session}")
    assert (planned["state"], planned["coverage"], planned["gaps"]) == ("scheduled", None, 0)
    assert planned["due"] == {"from": planned["planned_from"], "to": planned["planned_to"]}
    assert planned["items"][0] | {"lot_id": ""} == {
        "project_code": "P-1",
        "project_name": "市民中心",
        "lot_id": "",
        "lot_code": "1",
        "lot_name": "土建",
        "from": None,
        "to": None,
    }
    assert planned["bookings"][0]["room_name"] == "评标室一"
    began = planned["planned_from"]
    site.clock.sleep(61)
    tick(parts.database, parts.clock, parts.settings)
    running = site.get(f"sessions/{session}")
    assert (running["state"], running["started_at"]) == ("recording", began)
    assert {c["stream_id"] for c in running["claims"]} == set(site.streams)
    assert {(c["from"], c["to"], c["class"]) for c in running["claims"]} == {(began, None, "own")}
    assert "end" in running["possible"] and "start" not in running["possible"]
    site.clock.set_utc(began + 10 * MINUTE)
    assert site.do(session, "recess", {})["condition"] == "recess"
    problem_of(site.client.post(f"{V1}/sessions/{session}/end", json={}), 422, "invalid-input")
    ended = site.do(session, "end", {"outcome": "completed"})
    assert ended["undo_until"] == site.clock.utc_us() + 900 * SECOND
    assert site.do(session, "undo-end")["state"] == "recording"
    site.do(session, "end", {"outcome": "completed"})
    assert site.do(session, "seal", {}, 202)["undo_until"] == site.clock.utc_us()
    with site.api.database.write() as orm:
        for stream in site.streams:
            Tape(orm, stream, parts.settings.spool).segments(began, began + 10 * MINUTE)
    Sealer(
        parts.database, parts.clock, parts.settings, open_footage(parts.settings, parts.clock)
    ).seal_due()
    sealed = site.get(f"sessions/{session}")
    assert (sealed["state"], sealed["coverage"], sealed["gaps"]) == ("sealed", 1.0, 0)
    assert [m["medium"] for m in sealed["cameras"][0]["media"]] == ["picture", "sound"]
    report = site.do(session, "verify")
    assert report["ok"] and report["sealed"] and report["problems"] == []
    assert [s["segments"] for s in report["streams"]] == [10, 10, 10, 10]
    next(Path(parts.settings.spool).rglob("*.mp4")).write_bytes(b"something else")
    report = site.do(session, "verify")
    assert not report["ok"] and len(report["problems"]) == 1


def test_a_running_session_says_what_it_has_so_far(site: Site) -> None:
    session = site.plan()
    began = site.clock.utc_us()
    site.do(session, "start")
    site.clock.sleep(540)
    with site.api.database.write() as orm:
        for stream in site.streams:
            tape = Tape(orm, stream)
            tape.segments(began, began + 8 * MINUTE)
            tape.status(site.clock.utc_us() - SECOND, since_us=began)
    view = site.get(f"sessions/{session}")
    assert (view["coverage"], view["gaps"]) == (1.0, 0), "the open segment counts"
    site.clock.sleep(60)
    view = site.get(f"sessions/{session}")
    assert 0.8 < view["coverage"] < 1 and view["gaps"] == 2, "a silent recorder does not"


def test_lists_are_paged_filtered_and_newest_first(site: Site) -> None:
    ids = [site.plan(after_us=n * HOUR) for n in range(5)]
    site.client.post(f"{V1}/projects", json={"code": "Q-2", "name": "另一项目"})
    other = site.plan(after_us=9 * HOUR, items=[{"project_code": "Q-2"}])
    site.do(ids[0], "start")

    def listed(**query: Any) -> list[str]:
        return [row["id"] for row in site.get("sessions", **query)["items"]]

    assert listed() == [other, *reversed(ids)]
    assert listed(state="recording") == [ids[0]]
    assert listed(q="q-2") == [other]
    assert listed(q="另一") == [other]
    assert listed(room_id=site.room, limit=2) == [other, ids[4]]
    assert listed(room_id="nowhere") == []
    seen: list[str] = []
    cursor = None
    while True:
        page = site.get("sessions", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [other, *reversed(ids)]
    problem_of(site.client.get(f"{V1}/sessions", params={"cursor": "!"}), 422, "invalid-input")


def test_every_refusal_is_a_problem_that_says_what_to_do(site: Site) -> None:
    post = site.client.post
    body = problem_of(
        post(f"{V1}/sessions", json=site.form(items=[{"project_code": "X"}])),
        422,
        "invalid-input",
    )
    assert body["fields"] == {"items.0.project_code": "create the project first"}
    body = problem_of(post(f"{V1}/sessions", json=site.form(classified=True)), 422, "invalid-input")
    assert "classified" in str(body["fields"])
    session = site.plan()
    problem_of(post(f"{V1}/sessions", json=site.form()), 409, "conflict")
    body = problem_of(
        post(f"{V1}/sessions/{session}/end", json={"outcome": "completed"}), 409, "conflict"
    )
    assert "Possible now" in str(body["detail"])
    problem_of(post(f"{V1}/sessions/nobody/start", json={}), 404, "not-found")
    problem_of(post(f"{V1}/sessions/{session}/start", json={"version": 77}), 409, "conflict")
    problem_of(
        post(f"{V1}/sessions/{session}/extend", json={"planned_to": 1}), 422, "invalid-input"
    )
    problem_of(post(f"{V1}/sessions/{session}/cancel", json={}), 422, "invalid-input")
    problem_of(post(f"{V1}/sessions/{session}/verify"), 409, "conflict")
    assert site.do(session, "cancel", {"reason": "流标"})["state"] == "cancelled"
    assert site.get(f"sessions/{session}")["due"] is None


def test_plans_are_changed_and_sessions_moved_claimed_and_related(site: Site) -> None:
    with site.api.database.write() as orm:
        other = a_room(orm, "评标室二")
    session, second = site.plan(), site.plan(after_us=2 * HOUR)
    start = site.clock.utc_us()
    changed = site.client.patch(
        f"{V1}/sessions/{second}",
        json={
            "items": [{"project_code": "P-1", "lot_code": "2"}],
            "bookings": [{"room_id": other.id, "from": start + HOUR, "to": start + 3 * HOUR}],
            "reason": "合并",
        },
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["items"][0]["lot_code"] == "2"
    assert changed.json()["planned_to"] == start + 3 * HOUR
    site.clock.sleep(600)
    site.do(session, "start")
    site.clock.sleep(60)
    moved = site.do(
        session,
        "move",
        {"bookings": [{"room_id": other.id, "from": start, "to": start + HOUR}], "reason": "停电"},
    )
    assert [b["left_at"] for b in moved["bookings"]] == [site.clock.utc_us(), None]
    claims = site.client.post(
        f"{V1}/sessions/{session}/claims",
        json={
            "stream_ids": site.streams[:1],
            "from": start - 5 * MINUTE,
            "to": start,
            "reason": "提前到场",
        },
    )
    assert [(c["from"], c["to"]) for c in claims.json()["items"]] == [(start - 5 * MINUTE, start)]
    related = site.do(session, "relations", {"other_id": second, "kind": "continues"})
    assert related["relations"] == [
        {"session_id": session, "other_id": second, "kind": "continues"}
    ]
    assert site.do(session, "suspend", {"reason": "停电"})["conditions"][0]["reason"] == "停电"


def test_who_may_know_of_and_who_may_run_sessions(site: Site, api: RunningApi) -> None:
    granted, hidden = site.plan(), site.plan(after_us=HOUR)
    auditor = api.add_user("auditor", Role.AUDITOR)
    with api.database.write() as orm:
        orm.add(
            Grant(
                kind="request",
                user_id=auditor,
                session_id=granted,
                media=["picture"],
                actions=["replay"],
                reason="r",
                made_us=1,
                made_by="t",
                expires_us=site.clock.utc_us() + MINUTE,
            )
        )
    with api.as_user("watch", Role.SUPERVISOR) as client:
        assert len(client.get(f"{V1}/sessions").json()["items"]) == 2
        for act in ("start", "end", "cancel", "seal", "verify"):
            problem_of(client.post(f"{V1}/sessions/{granted}/{act}", json={}), 403, "forbidden")
        problem_of(client.post(f"{V1}/sessions", json=site.form(9 * HOUR)), 403, "forbidden")
        problem_of(client.post(f"{V1}/projects", json=PROJECT), 403, "forbidden")
    with api.as_user("auditor") as client:
        assert [s["id"] for s in client.get(f"{V1}/sessions").json()["items"]] == [granted]
        assert client.get(f"{V1}/sessions/{granted}").status_code == 200
        problem_of(client.get(f"{V1}/sessions/{hidden}"), 404, "not-found")
        site.clock.sleep(60)
        assert client.get(f"{V1}/sessions").json()["items"] == []
    with api.client() as client:
        problem_of(client.get(f"{V1}/sessions"), 401, "unauthenticated")


def test_projects_and_phases(site: Site) -> None:
    (project,) = site.get("projects", q="市民")["items"]
    assert (project["code"], project["category"]) == ("P-1", "construction")
    assert [(lot["code"], lot["name"], lot["phase"]) for lot in project["lots"]] == [
        ("1", "土建", "registered"),
        ("2", "", "registered"),
    ]
    lot = project["lots"][0]["id"]
    answer = site.client.post(f"{V1}/lots/{lot}/phase", json={"phase": "opening"})
    assert answer.json()["phase"] == "opening"
    again = site.client.post(f"{V1}/lots/{lot}/phase", json={"phase": "registered"})
    problem_of(again, 409, "conflict")
    problem_of(site.client.post(f"{V1}/projects", json=PROJECT), 409, "conflict")
    body = problem_of(
        site.client.post(f"{V1}/projects", json={"code": "", "name": "x"}), 422, "invalid-input"
    )
    assert "code" in str(body["fields"])
