"""Footage is asked for, agreed to by two roles, seen as often as was agreed; an authority demands."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text
from support.agreeing import APPROVALS, a_demand, a_wish, as_one, ask, done, exactly, granted
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock
from support.places import a_claim, a_session
from support.viewing import SECOND, Scene, Watcher

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import GrantUse, RegisterEntry
from bidwitness.words import Role, RoomKind, SessionKind

V1 = "/api/v1"
DAY_US = 86_400 * SECOND
TWO = (Role.DIRECTOR, Role.SECURITY_ADMIN)


@dataclass(frozen=True)
class Site:
    """An opening that is over, the staff, and an auditor ``li``."""

    api: RunningApi
    scene: Scene
    session: str
    staff: httpx.Client


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    with running_api(
        sqlite_index,
        tmp_path,
        clock=clock,
        login_hours=10_000,
        idle_minutes=600_000,
    ) as api:
        scene = Scene(sqlite_index, api.parts.settings.spool, clock, RoomKind.OPENING, cameras=2)
        session = a_session(sqlite_index, kind=SessionKind.OPENING)
        for stream in scene.streams:
            a_claim(sqlite_index, session, stream, scene.at(0), scene.at(20))
        clock.advance(60 * SECOND)
        api.add_user("li", Role.AUDITOR)
        api.add_user("wang", Role.AUDITOR)
        with api.as_staff() as staff:
            yield Site(api, scene, session, staff)


def vote(site: Site, row: dict[str, object], role: Role, act: str = "approve") -> httpx.Response:
    body = exactly(row, opinion="用途不明") if act == "reject" else exactly(row)
    return site.staff.post(f"{APPROVALS}/{row['id']}/{act}", json=body, headers=as_one(role))


def test_she_asks_two_agree_and_she_may(site: Site) -> None:
    opening = {"session_id": site.session}
    with site.api.as_user("li") as li, site.api.as_user("wang") as wang:
        asked = ask(li, "grant.request", a_wish(site.session, username="LI", views=3))
        assert asked.status_code == 201, asked.text
        row = asked.json()
        at = f"{APPROVALS}/{row['id']}"
        assert [one["id"] for one in li.get(APPROVALS).json()["items"]] == [row["id"]]
        # What the session is called is not told to her before it is hers to know.
        assert row["names"] == {}
        assert wang.get(APPROVALS).json()["items"] == []
        problem_of(wang.get(at), 404, "not-found")
        problem_of(li.post(f"{at}/approve", json=exactly(row)), 403, "forbidden")
        assert vote(site, row, Role.DIRECTOR).json()["state"] == "pending"
        problem_of(vote(site, row, Role.DIRECTOR), 403, "forbidden")
        problem_of(li.post(f"{at}/execute", json=exactly(row)), 409, "conflict")
        problem_of(vote(site, row, Role.VENUE), 404, "not-found")
        agreed = vote(site, row, Role.ARCHIVIST).json()
        assert (agreed["state"], agreed["may_execute"]) == ("approved", True)
        assert site.session in agreed["names"]
        problem_of(li.post(f"{V1}/playbacks", json=opening), 403, "forbidden")
        assert li.post(f"{at}/execute", json=exactly(row)).status_code == 200
        problem_of(li.post(f"{at}/execute", json=exactly(row)), 409, "conflict")
        assert li.post(f"{V1}/playbacks", json=opening).status_code == 201
        (grant,) = li.get(f"{V1}/grants").json()["items"]
        assert (grant["views"], grant["viewed"]) == (3, 1)
        problem_of(wang.post(f"{V1}/playbacks", json=opening), 403, "forbidden")
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    assert entry["number"].endswith("-00001")
    assert (entry["kind"], entry["document_no"]) == ("grant", "审〔2026〕7号")
    said = [(one["name"], one["agreed"]) for one in entry["facts"]["said"]]
    assert said == [("staff.director", True), ("staff.archivist", True)]


def test_who_asks_is_not_who_agrees_whatever_her_role(site: Site) -> None:
    """The archivist files it, also for herself: neither way has she a vote."""
    for content in (a_wish(site.session), a_wish(site.session, username="staff.archivist")):
        content = {**content, "actions": ["copy"]}
        row = ask(site.staff, "grant.request", content, Role.ARCHIVIST).json()
        problem_of(vote(site, row, Role.ARCHIVIST), 403, "forbidden")
    content = a_wish(site.session, username="staff.archivist", actions=["copy"])
    row = ask(site.staff, "grant.request", content, Role.SECURITY_ADMIN).json()
    told = problem_of(vote(site, row, Role.ARCHIVIST), 403, "forbidden")
    assert "about you" in str(told["detail"])
    site.api.add_user("another", Role.ARCHIVIST)
    with site.api.as_user("another") as another:
        at = f"{APPROVALS}/{row['id']}/approve"
        assert another.post(at, json=exactly(row)).status_code == 200


def test_nobody_asks_in_anothers_name_but_the_archivist(site: Site) -> None:
    with site.api.as_user("wang") as wang:
        problem_of(ask(wang, "grant.request", a_wish(site.session)), 403, "forbidden")
        problem_of(ask(wang, "grant.demand", a_demand(site.session)), 403, "forbidden")
    for role in (Role.VENUE, Role.DIRECTOR, Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN):
        answer = ask(site.staff, "grant.request", a_wish(site.session), role)
        problem_of(answer, 403, "forbidden")
    assert ask(site.staff, "grant.request", a_wish(site.session), Role.ARCHIVIST).is_success


def test_a_supervisor_asks_for_what_lies_in_her_scope(site: Site) -> None:
    zhao = site.api.add_user("zhao", Role.SUPERVISOR)
    body = {"username": "zhao", "role": "supervisor", "department": "财政局", "reason": "分工"}
    assert zhao and site.staff.post(f"{V1}/scopes", json=body).is_success
    with site.api.as_user("zhao") as client:
        wish = a_wish(site.session, username="zhao")
        problem_of(ask(client, "grant.request", wish), 404, "not-found")


def test_a_refusal_has_its_reason_and_its_row(site: Site) -> None:
    row = ask(site.staff, "grant.request", a_wish(site.session), Role.ARCHIVIST).json()
    at = f"{APPROVALS}/{row['id']}/reject"
    answer = site.staff.post(at, json=exactly(row), headers=as_one(Role.DIRECTOR))
    assert "opinion" in problem_of(answer, 422, "invalid-input")["fields"]
    assert vote(site, row, Role.DIRECTOR, "reject").json()["state"] == "rejected"
    problem_of(vote(site, row, Role.SECURITY_ADMIN), 409, "conflict")
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    assert (entry["kind"], entry["grant_id"], entry["unit"]) == ("refusal", None, "审计局")
    assert [one["opinion"] for one in entry["facts"]["said"]] == ["用途不明"]
    with site.api.as_user("li") as li:
        # It is about her, so she is told.
        (hers,) = li.get(f"{APPROVALS}?closed=true").json()["items"]
        assert hers["votes"][0]["opinion"] == "用途不明"
        assert li.get(f"{V1}/grants").json()["items"] == []


def test_nothing_is_given_late_twice_or_changed(site: Site, clock: FakeClock) -> None:
    rows = [
        ask(site.staff, "grant.request", a_wish(site.session), Role.ARCHIVIST).json()
        for _ in range(3)
    ]
    for row in rows[:2]:
        for role in TWO:
            vote(site, row, role)
    # An agreement to one is none to the other, though they say the same.
    answer = site.staff.post(
        f"{APPROVALS}/{rows[2]['id']}/approve",
        json=exactly(rows[0]),
        headers=as_one(Role.DIRECTOR),
    )
    problem_of(answer, 409, "conflict")
    with site.api.database.write() as orm:
        change = "UPDATE approvals SET content = replace(content, 'picture', 'sound') WHERE id = :i"
        orm.execute(text(change), {"i": rows[0]["id"]})
    problem_of(vote(site, rows[0], Role.ARCHIVIST, "execute"), 409, "conflict")
    clock.sleep(14 * 86_400)
    problem_of(vote(site, rows[2], Role.DIRECTOR), 409, "conflict")
    problem_of(vote(site, rows[1], Role.ARCHIVIST, "execute"), 409, "conflict")
    assert site.staff.get(f"{V1}/grants").json()["items"] == []
    with site.api.database.read() as orm:
        assert orm.scalars(select(RegisterEntry)).all() == []


def test_it_is_viewed_as_often_as_was_agreed(site: Site, clock: FakeClock) -> None:
    site.scene.reel(0).segments(20)
    made = granted(site.staff, a_wish(site.session, views=2))
    with site.api.as_user("li") as li:
        first, second, third = Watcher(li), Watcher(li), Watcher(li)
        assert first.open(site.session).status_code == 201
        assert second.open(site.session).status_code == 201
        told = problem_of(third.open(site.session), 403, "forbidden")
        assert "outside_grant" in str(told["detail"])
        stream = site.scene.stream
        # What was opened goes on, for as long as a viewing lasts, and begins no other.
        clock.advance(DAY_US - SECOND)
        assert first.get(stream, "index.m3u8").status_code == 200
        clock.advance(2 * SECOND)
        problem_of(first.get(stream, "index.m3u8"), 403, "forbidden")
        problem_of(second.open(site.session), 403, "forbidden")
    with site.api.database.read() as orm:
        uses = orm.scalars(select(GrantUse)).all()
        assert [use.grant_id for use in uses] == [made["id"]] * 2


def test_a_viewing_takes_only_what_it_needs(site: Site) -> None:
    counted = granted(site.staff, a_wish(site.session, views=1))
    granted(site.staff, a_wish(site.session))
    with site.api.as_user("li") as li:
        for _ in range(2):
            assert Watcher(li).open(site.session).status_code == 201
        # By name it is the counted one alone.
        by = {"grant_id": counted["id"]}
        assert Watcher(li).open(site.session, **by).status_code == 201
        problem_of(Watcher(li).open(site.session, **by), 403, "forbidden")


def test_it_ends_with_its_days_and_covers_its_streams(site: Site, clock: FakeClock) -> None:
    one, other = site.scene.streams
    site.scene.reel(0).segments(20)
    granted(site.staff, a_wish(site.session, stream_ids=[one], days=2))
    with site.api.as_user("li") as li:
        watcher = Watcher(li)
        assert watcher.open(site.session).status_code == 201
        assert [stream["stream_id"] for stream in watcher.playback["streams"]] == [one]
        problem_of(watcher.get(other, "index.m3u8"), 404, "not-found")
        clock.advance(2 * DAY_US - SECOND)
        assert watcher.get(one, "index.m3u8").status_code == 200
        clock.advance(SECOND)
        problem_of(watcher.get(one, "index.m3u8"), 403, "forbidden")


def test_what_was_watched_is_in_the_register(site: Site) -> None:
    scene = site.scene
    scene.reel(0).segments(20)
    made = granted(site.staff, a_wish(site.session))
    with site.api.as_user("li") as li:
        watcher = Watcher(li)
        watcher.open(site.session)
        first = watcher.playlist(scene.stream).entries[0]
        watcher.bytes_of(scene.stream, first)
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    whole = site.staff.get(f"{V1}/register/{entry['id']}").json()
    assert entry["grant_id"] == made["id"]
    (watched,) = whole["watched"]
    assert (watched["stream_id"], watched["medium"]) == (scene.stream, "picture")
    (span,) = watched["spans"]
    assert span[0] <= first.from_us < span[1] and span[1] - span[0] <= 60 * SECOND


def test_an_authority_demands_and_is_not_judged(site: Site) -> None:
    """One who is not the clerk says that the papers are in order; no department is asked."""
    wrong = a_demand(site.session, handlers=[{"name": "陈", "card_no": "1", "contact": "2"}])
    for content in (wrong, {**a_demand(site.session), "papers_sha256": "none"}):
        answer = ask(site.staff, "grant.demand", content, Role.ARCHIVIST)
        problem_of(answer, 422, "invalid-input")
    twice = a_demand(site.session)
    twice["handlers"] = [{"name": "陈", "card_no": "J1", "contact": "2"}] * 2
    problem_of(ask(site.staff, "grant.demand", twice, Role.ARCHIVIST), 422, "invalid-input")
    content = a_demand(site.session, due_days=30)
    row = done(site.staff, "grant.demand", content, Role.ARCHIVIST, [Role.DIRECTOR])
    (grant,) = site.staff.get(f"{V1}/grants").json()["items"]
    assert (grant["kind"], grant["department_asked"]) == ("demand", False)
    (entry,) = site.staff.get(f"{V1}/register").json()["items"]
    assert (entry["person"], entry["case_no"]) == ("陈一、陈二", "监〔2026〕3号")
    assert entry["due_at"] == row["executed_at"] + 30 * DAY_US
    body = {"session_id": site.session, "media": ["picture"], "reason": "调取"}
    answer = site.staff.post(f"{V1}/exports", json=body, headers=as_one(Role.ARCHIVIST))
    assert answer.status_code == 202, answer.text
    # It leaves the centre: nobody has to think of the watermark, and whoever needs bytes says so.
    assert answer.json()["form"] == "watermarked"
    named = site.staff.post(
        f"{V1}/exports", json={**body, "form": "package"}, headers=as_one(Role.ARCHIVIST)
    )
    assert named.json()["form"] == "package"
