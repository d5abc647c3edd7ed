"""A supervisor off duty sees at once what she must; others are told at once, and review it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.agreeing import as_one
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock
from support.places import DAY, MINUTE
from support.viewing import Scene
from websockets.sync.client import connect

from bidwitness.storage.alarming.notify import Notifier
from bidwitness.storage.break_glass import ReviewWatch
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, AuditEntry, ClassifiedInterval, Job
from bidwitness.words import Role, RoomKind, SessionState

V1 = "/api/v1"
AT = f"{V1}/break-glass"
REASON = "举报称评审现场有人通话"


@dataclass
class Site:
    """A sitting that runs, and ``zhou``, a supervisor who has no turn of duty."""

    api: RunningApi
    scene: Scene
    session: str
    staff: httpx.Client
    zhou: httpx.Client

    def take(self, **more: object) -> httpx.Response:
        return self.zhou.post(AT, json={"session_id": self.session, "reason": REASON, **more})

    def taken(self) -> dict[str, Any]:
        answer = self.take()
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def review(self, use: str, role: Role = Role.DIRECTOR, **more: object) -> httpx.Response:
        body = {"justified": True, "opinion": "情况属实", **more}
        return self.staff.post(f"{AT}/{use}/review", json=body, headers=as_one(role))

    def watches(self, medium: str = "picture") -> bool:
        """Whether she is let in to the stream: `live` does not run, which is said."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.zhou.cookies.items())
        with connect(
            f"{self.api.base.replace('http', 'ws')}{V1}/live/{self.scene.stream}?track={medium}",
            additional_headers={"Cookie": cookie, "Origin": self.api.base},
            compression=None,
            proxy=None,
            close_timeout=0.2,
        ) as viewer:
            return bool(json.loads(viewer.recv(timeout=10)) == {"state": "offline"})

    def noted(self, action: str) -> list[bool]:
        with self.api.database.read() as orm:
            query = select(AuditEntry.allowed).where(AuditEntry.action == action)
            return list(orm.scalars(query.order_by(AuditEntry.id)))

    def alarms(self) -> list[tuple[str, bool]]:
        with self.api.database.read() as orm:
            rows = orm.scalars(select(Alarm).order_by(Alarm.raised_us, Alarm.kind)).all()
            return [(row.kind, row.cleared_us is None) for row in rows]


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    with running_api(
        *(sqlite_index, tmp_path),
        clock=clock,
        live_port=1,
        login_hours=10_000,
        idle_minutes=600_000,
    ) as api:
        scene = Scene(sqlite_index, api.parts.settings.spool, clock, RoomKind.EVALUATION)
        session = scene.session(0, None, state=SessionState.RECORDING)
        clock.advance(MINUTE)
        api.add_user("zhou", Role.SUPERVISOR, on_duty=False)
        with api.as_staff() as staff, api.as_user("zhou") as zhou:
            yield Site(api, scene, session, staff, zhou)


def test_she_sees_it_at_once_and_no_longer_than_her_hour(site: Site, clock: FakeClock) -> None:
    opening = {"session_id": site.session}
    assert not site.watches()
    problem_of(site.zhou.post(f"{V1}/playbacks", json=opening), 403, "forbidden")
    use = site.taken()
    assert (use["media"], use["until"] - use["taken_at"]) == (["picture", "sound"], 60 * MINUTE)
    assert site.watches() and site.watches("sound")
    assert site.zhou.post(f"{V1}/playbacks", json=opening).status_code == 201
    problem_of(site.take(), 409, "conflict")
    # It is no replay, no copy, and none of hers later.
    (grant,) = site.zhou.get(f"{V1}/grants").json()["items"]
    assert (grant["kind"], grant["actions"]) == ("break_glass", ["live", "rewind"])
    at = f"{V1}/grants/{grant['id']}/department"
    answer = site.staff.post(at, headers=as_one(Role.SUPERVISOR))
    problem_of(answer, 409, "conflict")
    clock.advance(60 * MINUTE)
    assert not site.watches()
    problem_of(site.zhou.post(f"{V1}/playbacks", json=opening), 403, "forbidden")


def test_it_is_told_entered_and_audited_at_once(site: Site) -> None:
    use = site.taken()
    # Mail and webhook take it from there; the people in the rooms do not learn of it.
    assert site.alarms() == [("break_glass", True)]
    assert Notifier(site.api.database, site.api.parts.clock, site.api.parts.settings).notify() == 1
    for role in (Role.VENUE, Role.SYSTEM_ADMIN, Role.SUPERVISOR):
        told = site.staff.get(f"{V1}/alarms", headers=as_one(role)).json()["items"]
        assert told == []
    with site.api.database.read() as orm:
        alarm = orm.scalars(select(Alarm.id)).one()
        assert orm.scalars(select(Job)).all() == [], "no channel is set in this test"
    answer = site.staff.post(f"{V1}/alarms/{alarm}/acknowledge", headers=as_one(Role.VENUE))
    problem_of(answer, 404, "not-found")
    for role in (Role.DIRECTOR, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN):
        (due,) = site.staff.get(f"{AT}?due=true", headers=as_one(role)).json()["items"]
        assert (due["id"], due["reason"], due["overdue"]) == (use["id"], REASON, False)
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    assert (entry["kind"], entry["reason"]) == ("break_glass", REASON)
    assert entry["number"] == use["register_no"]
    assert entry["number"].endswith("-00001")
    assert site.noted("break_glass.take") == [True]


@pytest.mark.parametrize("justified", [True, False])
def test_another_role_reviews_it_once_when_it_is_over(
    site: Site, clock: FakeClock, justified: bool
) -> None:
    use = site.taken()["id"]
    assert "ended" in str(problem_of(site.review(use), 409, "conflict")["detail"])
    # Whoever ends it before its time can say at once whether it was right.
    body = {"reason": "已查明"}
    ended = site.staff.post(f"{V1}/grants/{use}/revoke", json=body, headers=as_one(Role.DIRECTOR))
    assert ended.status_code == 200
    assert not site.watches()
    problem_of(site.review(use, opinion=""), 422, "invalid-input")
    for role in (Role.SUPERVISOR, Role.SECURITY_ADMIN, Role.ARCHIVIST):
        problem_of(site.review(use, role), 403, "forbidden")
    problem_of(site.zhou.post(f"{AT}/{use}/review", json=body), 403, "forbidden")
    done = site.review(use, Role.AUDIT_ADMIN, justified=justified).json()
    assert (done["justified"], done["reviewed_by"]) == (justified, "staff.audit_admin")
    problem_of(site.review(use), 409, "conflict")
    assert site.alarms() == [("break_glass", False)]
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    assert [row["kind"] for row in entry["later"]] == ["revocation", "review"]
    assert entry["later"][1]["facts"]["justified"] is justified
    assert site.noted("break_glass.review") == [True]
    # She is told, and may do it again.
    (hers,) = site.zhou.get(AT).json()["items"]
    assert (hers["justified"], hers["opinion"]) == (justified, "情况属实")
    assert site.take().status_code == 201


def test_an_overdue_review_alarms_and_stops_the_next(site: Site, clock: FakeClock) -> None:
    use = site.taken()
    watch = ReviewWatch(site.api.database, clock)
    clock.advance(DAY)
    assert watch.watch() == 0
    # Before its day it stops nothing.
    assert site.take().status_code == 201
    clock.advance(use["due_at"] - clock.utc_us())
    late = watch.watch()
    assert late >= 1
    assert watch.watch() == late
    assert ("break_glass_overdue", True) in site.alarms()
    told = problem_of(site.take(), 403, "forbidden")
    assert "reviewed" in str(told["detail"])
    assert site.noted("break_glass.take") == [True, True, False]
    for one in site.zhou.get(AT).json()["items"]:
        assert site.review(one["id"]).status_code == 200
    assert all(not standing for _, standing in site.alarms())
    assert site.take().status_code == 201


def test_what_it_does_not_open(site: Site, clock: FakeClock) -> None:
    assert "reason" in problem_of(site.take(reason=""), 422, "invalid-input")["fields"]
    problem_of(site.take(session_id="a" * 16), 404, "not-found")
    over = site.scene.session(-600, -500)
    problem_of(site.take(session_id=over), 409, "conflict")
    with site.api.database.write() as orm:
        times = {"from_us": clock.utc_us() - 1, "to_us": clock.utc_us() + MINUTE}
        room = site.scene.room_id
        row = ClassifiedInterval(session_id=site.session, room_id=room, register_no="密1", **times)
        orm.add(row)
    told = problem_of(site.take(), 403, "forbidden")
    assert "classified" in str(told["detail"])
    clock.advance(MINUTE)
    settings = f"{V1}/rights/settings"
    assert site.staff.patch(settings, json={"break_glass": False}).status_code == 200
    told = problem_of(site.take(), 403, "forbidden")
    assert "switched off" in str(told["detail"])
    assert site.zhou.get(AT).json()["allowed"] is False
    assert site.staff.patch(settings, json={"break_glass": True}).status_code == 200
    site.taken()
    # What was taken ends with the setting.
    site.staff.patch(settings, json={"break_glass": False})
    assert not site.watches()


def test_it_does_not_reach_beyond_her_scope(site: Site) -> None:
    body = {"username": "zhou", "role": "supervisor", "department": "财政局", "reason": "分工"}
    assert site.staff.post(f"{V1}/scopes", json=body).is_success
    problem_of(site.take(), 404, "not-found")


def test_who_is_on_duty_needs_none(site: Site) -> None:
    site.api.add_user("wu", Role.SUPERVISOR)
    with site.api.as_user("wu") as wu:
        answer = wu.post(AT, json={"session_id": site.session, "reason": REASON})
        assert "without" in str(problem_of(answer, 409, "conflict")["detail"])
        assert wu.get(AT).json()["items"] == []
