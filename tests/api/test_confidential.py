"""A confidential demand, its hold, views, copies and remarks are there for nobody but the named."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import select
from support.agreeing import APPROVALS, a_demand, a_wish, as_one, ask, done, exactly, granted
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.places import a_claim, a_session
from support.viewing import SECOND, Scene

from bidwitness.api.app import PREFIX, ROUTERS
from bidwitness.intervals import Interval
from bidwitness.storage.evidence_report.circumstances import access_to
from bidwitness.storage.index.models import AuditEntry
from bidwitness.words import Role, RoomKind

V1 = "/api/v1"
# Each stands in what is confidential alone.
UNIT, PURPOSE, CASE, DOCUMENT = "密查一室", "密查丙事", "密案字9号", "密函字8号"
REMARK, HELD, COPY = "密注所见", "密存事由", "密取事由"
KNOW = {Role.DIRECTOR, Role.AUDIT_ADMIN}
LISTS = [
    PREFIX + route.path
    for router in ROUTERS
    for route in router.routes
    if "GET" in (getattr(route, "methods", None) or ()) and "{" not in route.path
]
ABOUT = ("timeline", "evidence-reports")


@dataclass
class Site:
    """``officer`` demands, views and notes; ``wang`` has an ordinary grant for the same."""

    api: RunningApi
    session: str
    stream: str
    staff: httpx.Client
    officer: httpx.Client
    wang: httpx.Client
    words: list[str] = field(default_factory=lambda: [UNIT, PURPOSE, CASE, DOCUMENT, REMARK])

    def told(self, client: httpx.Client, role: Role | None = None) -> dict[str, str]:
        """Ask for every list there is; give the answers that hold something of it."""
        headers = as_one(role) if role else {}
        found: dict[str, str] = {}
        about = {"session_id": self.session, "q": UNIT[:2], "closed": "true"}
        for path in (*LISTS, *(f"{V1}/sessions/{self.session}/{one}" for one in ABOUT)):
            for params in ({}, about):
                answer = client.get(path, params=params, headers=headers)
                assert answer.status_code < 500, (path, answer.text)
                if any(word in answer.text for word in self.words):
                    found[path] = answer.text
        return found


@pytest.fixture
def site(api: RunningApi, clock: FakeClock) -> Iterator[Site]:
    scene = Scene(api.database, api.parts.settings.spool, clock, RoomKind.OPENING)
    session = a_session(api.database)
    a_claim(api.database, session, scene.stream, scene.at(0), scene.at(20))
    clock.advance(60 * SECOND)
    api.add_user("jian", Role.ARCHIVIST)
    api.add_user("wang", Role.AUDITOR)
    api.add_user("cha", Role.AUDITOR)
    with api.as_staff() as staff, api.as_user("jian") as officer, api.as_user("wang") as wang:
        yield Site(api, session, scene.stream, staff, officer, wang)


def secret(site: Site) -> dict[str, object]:
    demand = a_demand(site.session, username="cha", unit=UNIT, purpose=PURPOSE)
    more = {"case_no": CASE, "document_no": DOCUMENT, "confidential": True, "officers": ["cha"]}
    return {**demand, "actions": ["replay", "copy"], **more}


def test_it_is_there_for_the_named_alone(site: Site, clock: FakeClock) -> None:
    row = ask(site.officer, "grant.demand", secret(site)).json()
    at = f"{APPROVALS}/{row['id']}"
    site.words.append(row["id"])
    # Who may agree to other demands does not even know of this one.
    for role in (Role.SECURITY_ADMIN, Role.ARCHIVIST, Role.SUPERVISOR):
        problem_of(site.staff.get(at, headers=as_one(role)), 404, "not-found")
        for act in ("approve", "reject", "execute"):
            answer = site.staff.post(f"{at}/{act}", json=exactly(row), headers=as_one(role))
            problem_of(answer, 404, "not-found")
    body = {"json": exactly(row), "headers": as_one(Role.DIRECTOR)}
    assert site.staff.post(f"{at}/approve", **body).status_code == 200
    assert site.officer.post(f"{at}/execute", json=exactly(row)).status_code == 200
    (grant,) = site.officer.get(f"{V1}/grants").json()["items"]
    (entry,) = site.officer.get(f"{V1}/register").json()["items"]
    hold_body = {"case_no": CASE, "reason": HELD, "session_id": site.session, "confidential": True}
    hold = site.officer.post(f"{V1}/holds", json=hold_body).json()
    site.words += [grant["id"], entry["number"], HELD, hold["id"]]
    with site.api.as_user("cha") as cha:
        assert cha.post(f"{V1}/playbacks", json={"session_id": site.session}).status_code == 201
        remark = {"session_id": site.session, "at": 1, "text": REMARK, "audience": "all"}
        assert cha.post(f"{V1}/markers", json=remark).status_code == 201
        wish = {"session_id": site.session, "media": ["picture"], "reason": COPY}
        job = cha.post(f"{V1}/exports", json=wish)
        assert job.status_code == 202, job.text
        site.words += [job.json()["id"], COPY]
    # An ordinary reader of the same session, so that nothing is hidden by her having no right.
    granted(site.staff, a_wish(site.session, username="wang"))
    opened = site.wang.post(f"{V1}/playbacks", json={"session_id": site.session})
    assert opened.status_code == 403, "the department was not asked"
    for role in set(Role) - KNOW - {Role.AUDITOR, Role.ATTESTOR, Role.OPERATOR, Role.SERVICE}:
        assert site.told(site.staff, role) == {}, role
    assert site.told(site.wang) == {}
    with site.api.as_user("op", Role.OPERATOR) as operator:
        assert site.told(operator) == {}
        problem_of(operator.get(f"{V1}/jobs/{job.json()['id']}"), 404, "not-found")
    check_addresses(site, row["id"], grant["id"], entry["id"], hold)
    for role in KNOW:
        assert site.told(site.staff, role), role
    assert site.told(site.officer)
    with site.api.database.read() as orm:
        # Nor has whoever gets an evidence report.
        assert [one.who for one in access_to(orm, site.session, [], Interval(0, 2**60))] == ["wang"]
        assert orm.scalars(select(AuditEntry).where(AuditEntry.who == "cha")).all()


def check_addresses(
    site: Site, approval: str, grant: str, entry: int, hold: dict[str, object]
) -> None:
    """What is asked for by name answers as if it did not exist."""
    release = {"hold_id": hold["id"]}
    named = {**release, "confidential": True, "officers": hold["officers"]}
    archivist = as_one(Role.ARCHIVIST)
    numbers = [one["number"] for one in site.staff.get(f"{V1}/register").json()["items"]]
    assert len(numbers) == 1
    for answer in (
        site.staff.get(f"{APPROVALS}/{approval}", headers=archivist),
        site.staff.get(f"{V1}/register/{entry}", headers=archivist),
        site.staff.post(f"{V1}/register/{entry}/proof", json=_proof(), headers=archivist),
        site.staff.post(f"{V1}/grants/{grant}/revoke", json={"reason": "无据"}),
        site.staff.post(f"{V1}/grants/{grant}/department", headers=as_one(Role.SUPERVISOR)),
        ask(site.staff, "hold.release", release, Role.ARCHIVIST),
        ask(site.staff, "hold.release", named, Role.ARCHIVIST),
    ):
        problem_of(answer, 404, "not-found")
    # The table says no more than the lists.
    assert UNIT not in site.staff.get(f"{V1}/register/table", headers=archivist).text
    director = as_one(Role.DIRECTOR)
    assert UNIT in site.staff.get(f"{V1}/register/table", headers=director).text
    asked = ask(site.officer, "hold.release", named)
    assert asked.status_code == 201, asked.text
    at = f"{APPROVALS}/{asked.json()['id']}"
    problem_of(site.staff.get(at, headers=archivist), 404, "not-found")
    body = exactly(asked.json())
    assert site.staff.post(f"{at}/approve", json=body, headers=director).status_code == 200
    assert site.officer.post(f"{at}/execute", json=body).status_code == 200


def _proof() -> dict[str, str]:
    return {"kind": "signed", "document_sha256": "a" * 64, "note": "签字"}


def test_an_ordinary_demand_is_no_secret(site: Site) -> None:
    """The walk finds what is there to be found."""
    content = {**secret(site), "confidential": False, "officers": []}
    done(site.staff, "grant.demand", content, Role.ARCHIVIST, [Role.DIRECTOR])
    assert f"{V1}/register" in site.told(site.staff, Role.ARCHIVIST)
