"""Rosters, scopes and substitution, made over the API and felt at the wall."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.agreeing import a_wish, granted
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock
from support.factories import HOUR, MINUTE, a_room, streams_of
from support.places import a_claim
from websockets.sync.client import connect

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Session, User
from bidwitness.storage.sessions.clockwork import tick
from bidwitness.words import Role, RoomKind, SessionState, StreamRole

V1 = "/api/v1"


@dataclass
class Site:
    """A centre with a room, and its staff; people of their own are signed in by name."""

    api: RunningApi
    clock: FakeClock
    staff: httpx.Client
    room: str
    stream: str

    @property
    def now(self) -> int:
        return self.clock.utc_us()

    def post(self, path: str, body: object = None, status: int = 201) -> Any:
        answer = self.staff.post(f"{V1}/{path}", json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def project(self, code: str, category: str, department: str | None = None) -> None:
        body = {"code": code, "name": code, "category": category, "department": department}
        self.post("projects", body)

    def book(self, code: str, after_us: int = MINUTE, length_us: int = HOUR) -> str:
        start = self.now + after_us
        booking = {"room_id": self.room, "from": start, "to": start + length_us, "role": "main"}
        body = {"items": [{"project_code": code}], "kind": "evaluation", "bookings": [booking]}
        return str(self.post("sessions", body)["id"])

    def roster(self, username: str, approved: bool = True, **more: object) -> str:
        shift = {"username": username, "from": self.now, "until": self.now + 12 * HOUR}
        body = {"department": "住建局", "shifts": [shift], "reason": "排班", **more}
        roster = str(self.post("rosters", body)["id"])
        if approved:
            self.post(f"rosters/{roster}/approve", status=200)
        return roster

    def after(self, us: int) -> None:
        self.clock.advance(us)
        tick(self.api.database, self.clock, self.api.parts.settings)

    def watches(self, client: httpx.Client, medium: str = "picture") -> bool:
        """Whether somebody is let in to the stream: `live` does not run, which is said."""
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with connect(
            f"{self.api.base.replace('http', 'ws')}/api/v1/live/{self.stream}?track={medium}",
            additional_headers={"Cookie": cookie, "Origin": self.api.base},
            compression=None,
            proxy=None,
            close_timeout=0.2,
        ) as viewer:
            return bool(json.loads(viewer.recv(timeout=10)) == {"state": "offline"})


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    with running_api(
        sqlite_index, tmp_path, clock=clock, live_port=1, login_hours=1000, idle_minutes=60_000
    ) as api:
        with sqlite_index.write() as orm:
            room = a_room(orm, "评标室一", RoomKind.EVALUATION, sub=False)
            (stream,) = streams_of(orm, room, role=StreamRole.MAIN)
        for name in ("zhou", "wu"):
            api.add_user(name, Role.SUPERVISOR, on_duty=False)
        with api.as_staff() as staff:
            yield Site(api, clock, staff, room.id, stream)


def test_a_session_booked_just_now_is_on_the_wall_of_who_is_on_duty(site: Site) -> None:
    site.project("P-1", "construction", "住建局")
    site.roster("zhou", categories=["construction"])
    site.roster("wu", categories=["land"])
    operator = site.api.as_user("op", Role.OPERATOR)
    with site.api.as_user("zhou") as zhou, site.api.as_user("wu") as wu, operator as op:
        assert not site.watches(zhou), "nothing is near"
        session = site.book("P-1")
        site.after(5 * MINUTE)
        # Nobody did anything for her since the booking: it is there, and she sees and hears it.
        (running,) = zhou.get(f"{V1}/sessions?state=recording").json()["items"]
        assert running["id"] == session
        (room,) = zhou.get(f"{V1}/rooms").json()["items"]
        assert [s["id"] for c in room["cameras"] for s in c["streams"]] == [site.stream]
        assert site.watches(zhou)
        assert site.watches(zhou, "sound")
        assert zhou.post(f"{V1}/playbacks", json={"session_id": session}).status_code == 201
        for other in (wu, op):
            assert not site.watches(other)
            answer = other.post(f"{V1}/playbacks", json={"session_id": session})
            problem_of(answer, 403, "forbidden")
        site.post(f"sessions/{session}/end", {"outcome": "completed"}, 200)
        # People still leave the room: she sees it, and nobody hears it; nothing is rewound.
        site.after(HOUR)
        assert site.watches(zhou)
        assert not site.watches(zhou, "sound")
        answer = zhou.post(f"{V1}/playbacks", json={"session_id": session})
        problem_of(answer, 403, "forbidden")
        site.after(HOUR + MINUTE)
        assert not site.watches(zhou)


def test_a_roster_wants_somebody_else_s_approval_and_ends_at_once(site: Site) -> None:
    site.project("P-1", "construction")
    site.book("P-1")
    site.after(5 * MINUTE)
    roster = site.roster("zhou", approved=False)
    with site.api.as_user("zhou") as zhou:
        assert not site.watches(zhou)
        with site.api.as_user("sec", Role.SECURITY_ADMIN) as other:
            # Who writes rosters approves none, her own or another's.
            problem_of(other.post(f"{V1}/rosters/{roster}/approve"), 403, "forbidden")
        site.post(f"rosters/{roster}/approve", status=200)
        assert site.watches(zhou)
        problem_of(site.staff.post(f"{V1}/rosters/{roster}/approve"), 409, "conflict")
        ended = site.post(f"rosters/{roster}/end", {"reason": "换班"}, 200)
        assert ended["ended_by"] == "staff.security_admin"
        assert not site.watches(zhou)
        problem_of(
            site.staff.post(f"{V1}/rosters/{roster}/end", json={"reason": "换班"}), 409, "conflict"
        )
    listed = [r for r in site.staff.get(f"{V1}/rosters").json()["items"] if r["id"] == roster]
    assert [(r["approved_by"], r["shifts"][0]["username"]) for r in listed] == [
        ("staff.director", "zhou")
    ]
    with site.api.database.read() as orm:
        query = select(AuditEntry.action).where(AuditEntry.subject == f"roster:{roster}")
        assert list(orm.scalars(query)) == ["roster.make", "roster.approve", "roster.end"]


def test_what_is_no_roster(site: Site) -> None:
    site.api.add_user("li", Role.AUDITOR)
    shift = {"username": "zhou", "from": site.now, "until": site.now + HOUR}
    good = {"department": "住建局", "shifts": [shift], "reason": "排班"}
    for change, named in (
        ({"shifts": []}, "shifts"),
        ({"shifts": [{**shift, "username": "li"}]}, "shifts.0.username"),
        ({"shifts": [{**shift, "until": site.now}]}, "shifts.0.until"),
        ({"shifts": [{**shift, "until": site.now + 25 * HOUR}]}, "shifts.0.until"),
        ({"project_codes": ["P-9"]}, "project_codes"),
        ({"department": ""}, "department"),
    ):
        answer = site.staff.post(f"{V1}/rosters", json={**good, **change})
        assert named in problem_of(answer, 422, "invalid-input")["fields"], change


def test_what_lies_outside_of_a_scope_is_not_there(site: Site) -> None:
    site.project("P-1", "construction", "住建局")
    site.project("P-2", "land", "自然资源局")
    mine, other = site.book("P-1"), site.book("P-2", 3 * HOUR)
    scope = site.post(
        "scopes",
        {"username": "zhou", "role": "supervisor", "department": "住建局", "reason": "分工"},
    )
    with site.api.as_user("zhou") as zhou:
        assert [s["id"] for s in zhou.get(f"{V1}/sessions").json()["items"]] == [mine]
        assert zhou.get(f"{V1}/sessions/{mine}").status_code == 200
        unknown = problem_of(zhou.get(f"{V1}/sessions/{'a' * 16}"), 404, "not-found")
        assert problem_of(zhou.get(f"{V1}/sessions/{other}"), 404, "not-found") == unknown
        problem_of(zhou.get(f"{V1}/sessions/{other}/timeline"), 403, "forbidden")
        problem_of(zhou.get(f"{V1}/events?session_id={other}"), 403, "forbidden")
        problem_of(zhou.get(f"{V1}/events"), 403, "forbidden")
        site.post(f"scopes/{scope['id']}/end", {"reason": "调岗"}, 200)
        assert len(zhou.get(f"{V1}/sessions").json()["items"]) == 2
    problem_of(
        site.staff.post(f"{V1}/scopes/{scope['id']}/end", json={"reason": "调岗"}), 409, "conflict"
    )


def test_an_attestor_knows_of_what_she_is_assigned_to(site: Site) -> None:
    site.project("P-1", "construction")
    mine, other = site.book("P-1"), site.book("P-1", 3 * HOUR)
    with site.api.as_user("qian", Role.ATTESTOR) as qian:
        assert qian.get(f"{V1}/sessions").json()["items"] == []
        assert qian.get(f"{V1}/rooms").json()["items"] == []
        body = {"username": "qian", "reason": "见证"}
        made = site.post(f"sessions/{mine}/attestors", body)
        assert (made["made_by"], made["session_id"]) == ("staff.venue", mine)
        assert [s["id"] for s in qian.get(f"{V1}/sessions").json()["items"]] == [mine]
        problem_of(qian.get(f"{V1}/sessions/{other}"), 404, "not-found")
        site.after(5 * MINUTE)
        assert site.watches(qian)
        # It is an evaluation: what is said is not hers to hear, unless the centre says so.
        assert not site.watches(qian, "sound")
        patched = site.staff.patch(f"{V1}/rights/settings", json={"attestors_hear": True})
        assert patched.json()["attestors_hear"] is True
        assert site.watches(qian, "sound")
        wrong = site.staff.post(
            f"{V1}/sessions/{mine}/attestors", json={"username": "zhou", "reason": "见证"}
        )
        assert "role" in problem_of(wrong, 422, "invalid-input")["fields"]


def test_a_substitute_has_the_turns_of_who_is_away_for_a_time(site: Site) -> None:
    site.project("P-1", "construction", "住建局")
    site.roster("zhou", categories=["construction"])
    site.book("P-1", length_us=10 * HOUR)
    site.after(5 * MINUTE)
    with site.api.as_user("wu") as wu:
        assert not site.watches(wu)
        body = {
            "username": "wu",
            "absent": "zhou",
            "role": "supervisor",
            "from": site.now,
            "until": site.now + HOUR,
            "reason": "病假",
        }
        made = site.post("substitutions", body)
        assert site.watches(wu)
        site.after(HOUR)
        assert not site.watches(wu)
        again = site.post("substitutions", {**body, "from": site.now, "until": site.now + HOUR})
        assert site.watches(wu)
        site.post(f"substitutions/{again['id']}/end", {"reason": "返岗"}, 200)
        assert not site.watches(wu)
    over = site.staff.post(f"{V1}/substitutions/{made['id']}/end", json={"reason": "返岗"})
    problem_of(over, 409, "conflict")
    site.api.add_user("li", Role.AUDITOR)
    fresh = {**body, "from": site.now, "until": site.now + HOUR}
    for change, named in (
        ({"username": "li"}, "roles"),
        ({"username": "nobody"}, "username"),
        ({"absent": "wu"}, "absent_id"),
        ({"role": "venue"}, "role"),
        ({"until": site.now}, "until"),
        ({"until": site.now + 91 * 24 * HOUR}, "until"),
    ):
        answer = site.staff.post(f"{V1}/substitutions", json={**fresh, **change})
        assert named in problem_of(answer, 422, "invalid-input")["fields"], change
    with site.api.database.read() as orm:
        query = select(AuditEntry.action).where(AuditEntry.action.like("substitution.%"))
        assert list(orm.scalars(query)) == [
            *("substitution.make", "substitution.make", "substitution.end")
        ]


def test_a_substitute_is_bound_as_far_as_who_is_away(site: Site) -> None:
    """Whoever has a scope of her own keeps it, and has the other's beside it; no more."""
    site.project("P-1", "construction", "住建局")
    site.project("P-2", "land", "自然资源局")
    site.project("P-3", "procurement", "财政局")
    one, two, _ = (site.book(f"P-{n}", n * 2 * HOUR) for n in (1, 2, 3))
    for name, department in (("zhou", "住建局"), ("wu", "自然资源局")):
        body = {"username": name, "role": "supervisor", "department": department, "reason": "分工"}
        site.post("scopes", body)
    body = {
        "username": "wu",
        "absent": "zhou",
        "role": "supervisor",
        "from": site.now,
        "until": site.now + HOUR,
        "reason": "病假",
    }
    with site.api.as_user("wu") as wu:
        assert {s["id"] for s in wu.get(f"{V1}/sessions").json()["items"]} == {two}
        site.post("substitutions", body)
        assert {s["id"] for s in wu.get(f"{V1}/sessions").json()["items"]} == {one, two}


def test_a_secret_sitting_is_replayed_when_the_department_agrees(site: Site) -> None:
    site.project("P-1", "construction", "住建局")
    session = site.book("P-1")
    site.after(5 * MINUTE)
    with site.api.database.write() as orm:
        orm.get_one(Session, session).state = SessionState.SEALED
    a_claim(site.api.database, session, site.stream, site.now - MINUTE, site.now)
    with site.api.as_user("li", Role.AUDITOR) as li, site.api.as_user("zhou") as zhou:
        made = granted(site.staff, a_wish(session, media=["picture", "sound"]))
        opening = {"session_id": session}
        told = problem_of(li.post(f"{V1}/playbacks", json=opening), 403, "forbidden")
        assert "needs_department" in str(told["detail"])
        assert [g["id"] for g in zhou.get(f"{V1}/grants").json()["items"]] == [made["id"]]
        at = f"{V1}/grants/{made['id']}/department"
        problem_of(li.post(at), 403, "forbidden")
        assert zhou.post(at).json()["department_by"] == "zhou"
        problem_of(zhou.post(at), 409, "conflict")
        assert li.post(f"{V1}/playbacks", json=opening).status_code == 201
        # A grant of what she may not know of is not there for her.
        body = {"username": "wu", "role": "supervisor", "department": "财政局", "reason": "分工"}
        site.post("scopes", body)
        with site.api.as_user("wu") as wu:
            problem_of(wu.post(at), 404, "not-found")
            assert wu.get(f"{V1}/grants").json()["items"] == []


def test_the_first_administrator_makes_the_two_who_watch_her(site: Site) -> None:
    with site.api.as_user("boss", Role.SYSTEM_ADMIN) as boss:
        assert boss.get(f"{V1}/users").status_code == 200
        body = {"username": "x0", "roles": ["audit_admin"]}
        problem_of(boss.post(f"{V1}/users", json=body), 403, "forbidden")
        with site.api.database.write() as orm:
            staff = orm.scalars(select(User).where(User.username == "staff.security_admin")).one()
            staff.disabled = True
        for role in ("supervisor", "system_admin", "venue"):
            body = {"username": "x1", "roles": [role]}
            problem_of(boss.post(f"{V1}/users", json=body), 403, "forbidden")
        for role in ("audit_admin", "security_admin"):
            body = {"username": f"the.{role}", "roles": [role]}
            assert boss.post(f"{V1}/users", json=body).status_code == 201
        # From now on there is somebody for that.
        body = {"username": "x2", "roles": ["audit_admin"]}
        problem_of(boss.post(f"{V1}/users", json=body), 403, "forbidden")


def test_settings_are_changed_by_security_and_noted(site: Site) -> None:
    at = f"{V1}/rights/settings"
    assert site.staff.get(at).json() == {
        "supervisors_need_duty": True,
        "attestors_hear": False,
        "department_approves": True,
        "small_centre": False,
        "break_glass": True,
        "duty_at_posts": False,
    }
    site.project("P-1", "construction")
    joined = {"username": "both", "roles": ["venue", "attestor"]}
    problem_of(site.staff.post(f"{V1}/users", json=joined), 422, "invalid-input")
    changed = {"small_centre": True, "supervisors_need_duty": False}
    assert site.staff.patch(at, json=changed).json()["small_centre"] is True
    assert site.staff.post(f"{V1}/users", json=joined).status_code == 201
    with site.api.as_user("zhou") as zhou:
        # Within her scope at any time, what is idle as well; its sound is nobody's.
        assert site.watches(zhou)
        assert not site.watches(zhou, "sound")
        problem_of(zhou.patch(at, json={"attestors_hear": True}), 403, "forbidden")
    problem_of(site.staff.patch(at, json={"everything": True}), 422, "invalid-input")
    with site.api.database.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "rights.set"))
        assert entry.facts["after"]["small_centre"] is True
