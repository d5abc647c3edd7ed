"""Nobody switches cameras off alone: two people of different roles, for a session's own rooms."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import select
from support import factories
from support.agreeing import APPROVALS, as_one, ask, done, exactly
from support.api import RunningApi, problem_of
from support.clock import FakeClock

from bidwitness.storage.classified import classified_rooms
from bidwitness.storage.index.models import AuditEntry, ClassifiedInterval, Session
from bidwitness.words import Role, SessionState

HOUR = 3_600_000_000
V1 = "/api/v1"


@dataclass(frozen=True)
class Site:
    api: RunningApi
    clock: FakeClock
    staff: httpx.Client
    room: str
    session: str
    start: int

    def wish(self, **more: object) -> dict[str, object]:
        to = {"to_us": self.start + HOUR}
        return {"session_id": self.session, "register_no": "密〔2026〕1号", **to, **more}

    def rooms(self, at_us: int) -> set[str]:
        with self.api.database.read() as orm:
            return classified_rooms(orm, at_us, at_us + 1)


@pytest.fixture
def site(api: RunningApi, clock: FakeClock) -> Iterator[Site]:
    start = clock.utc_us() + HOUR // 4
    with api.database.write() as orm:
        room = factories.a_room(orm)
        booking = factories.booked(room, start, start + HOUR)
        session = factories.a_session(orm, clock, api.parts.settings, booking).id
    with api.as_staff() as staff:
        yield Site(api, clock, staff, room.id, session, start)


def test_two_begin_it_and_two_end_it(site: Site) -> None:
    for role in (Role.DIRECTOR, Role.SUPERVISOR, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN):
        problem_of(ask(site.staff, "classified.begin", site.wish(), role), 403, "forbidden")
    row = ask(site.staff, "classified.begin", site.wish(), Role.VENUE).json()
    at = f"{APPROVALS}/{row['id']}"
    site.api.add_user("other", Role.VENUE)
    with site.api.as_user("other") as other:
        problem_of(other.post(f"{at}/approve", json=exactly(row)), 403, "forbidden")
    execute = {"json": exactly(row), "headers": as_one(Role.VENUE)}
    problem_of(site.staff.post(f"{at}/execute", **execute), 409, "conflict")
    assert site.rooms(site.start) == set()
    answer = site.staff.post(f"{at}/approve", json=exactly(row), headers=as_one(Role.SUPERVISOR))
    assert answer.status_code == 200, answer.text
    assert site.staff.post(f"{at}/execute", **execute).status_code == 200
    assert site.rooms(site.start) == {site.room}
    assert site.rooms(site.start + HOUR) == set()
    site.clock.advance(HOUR // 3)
    end = {"session_id": site.session}
    problem_of(ask(site.staff, "classified.end", end, Role.DIRECTOR), 403, "forbidden")
    done(site.staff, "classified.end", end, Role.VENUE, [Role.DIRECTOR])
    assert site.rooms(site.clock.utc_us()) == set()
    assert site.rooms(site.clock.utc_us() - 1) == {site.room}
    with site.api.database.read() as orm:
        query = select(AuditEntry.action).where(AuditEntry.action.startswith("classified."))
        assert list(orm.scalars(query)) == ["classified.begin", "classified.end"]


def test_it_never_reaches_back(site: Site) -> None:
    """What was recorded until two had agreed stays recorded."""
    early = site.wish(from_us=site.clock.utc_us() - HOUR)
    done(site.staff, "classified.begin", early, Role.VENUE, [Role.DIRECTOR])
    with site.api.database.read() as orm:
        assert orm.scalars(select(ClassifiedInterval)).one().from_us == site.clock.utc_us()


def test_it_is_for_the_sessions_own_rooms_and_time(site: Site) -> None:
    for more, status in (
        ({"to_us": site.start + 4 * HOUR}, 409),
        ({"from_us": site.start + HOUR, "to_us": site.start + HOUR}, 422),
        ({"register_no": ""}, 422),
        ({"session_id": "a" * 16}, 404),
        ({"room_id": site.room}, 422),
    ):
        answer = ask(site.staff, "classified.begin", site.wish(**more), Role.VENUE)
        assert answer.status_code == status, (more, answer.text)
    with site.api.database.write() as orm:
        orm.get_one(Session, site.session).state = SessionState.SEALED
    answer = ask(site.staff, "classified.begin", site.wish(), Role.VENUE)
    problem_of(answer, 409, "conflict")


def test_a_neighbour_in_the_room_is_recorded(site: Site) -> None:
    with site.api.database.write() as orm:
        booking = factories.booked(
            orm.get_one(factories.Room, site.room), site.start + HOUR, site.start + 2 * HOUR
        )
        factories.a_session(orm, site.clock, site.api.parts.settings, booking)
    longer = site.wish(to_us=site.start + HOUR + 1)
    problem_of(ask(site.staff, "classified.begin", longer, Role.VENUE), 409, "conflict")
    assert ask(site.staff, "classified.begin", site.wish(), Role.VENUE).status_code == 201
