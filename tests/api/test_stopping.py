"""What stops a pull where a session is due is asked for by one person and agreed to by another."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from support import factories
from support.agreeing import APPROVALS, as_one, ask, done, exactly
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock
from support.places import DAY, HOUR, a_claim, a_session

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Camera, LinkedPlace, Stream, StreamStatus
from bidwitness.storage.wanted import camera_address
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import Health, Role, SessionState, StreamRole

V1 = "/api/v1"
ADDRESS = "rtsp://192.0.2.7/a"
PASSWORD = "S3cret:@/é"
STOPS = (
    {"enabled": False},
    {"source_url": "rtsp://192.0.2.8/a", "sub_url": ""},
    {"source_url": "rtsp://192.0.2.7/b"},
    {"sub_url": ""},
    {"username": "guest"},
    {"username": "admin", "password": "another"},
    {"basic_in_clear": True},
)


@dataclass
class Site:
    """A room with a camera that is recorded just now."""

    api: RunningApi
    clock: FakeClock
    staff: httpx.Client
    room: str
    other: str
    camera: str

    @property
    def at(self) -> str:
        return f"{V1}/cameras/{self.camera}"

    def records(self) -> None:
        """Say of its streams that footage comes."""
        now = self.clock.utc_us()
        with self.api.database.write() as orm:
            for stream in orm.scalars(select(Stream).where(Stream.camera_id == self.camera)):
                row = orm.get(StreamStatus, stream.id) or StreamStatus(stream_id=stream.id)
                row.recorder, row.state, row.since_us = "r", Health.OK, now
                row.at_us = row.last_us = now
                orm.add(row)

    def book(self, in_us: int, room: str | None = None) -> str:
        with self.api.database.write() as orm:
            start = self.clock.utc_us() + in_us
            booked = orm.get(factories.Room, room or self.room)
            assert booked is not None
            booking = factories.booked(booked, start, start + HOUR)
            return factories.a_session(orm, self.clock, self.api.parts.settings, booking).id

    def wanted(self) -> list[tuple[StreamRole, str]]:
        with self.api.database.read() as orm:
            found = wanted_streams(orm, self.clock.utc_us())
            return [(one.role, one.address) for one in found if one.camera_id == self.camera]


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    with running_api(
        *(sqlite_index, tmp_path), clock=clock, login_hours=10_000, idle_minutes=600_000
    ) as api:
        with sqlite_index.write() as orm:
            room = factories.a_room(orm).id
            other = factories.a_room(orm, "other", cameras=0).id
            camera = orm.scalars(select(Camera)).one()
            for stream in orm.scalars(select(Stream)):
                stream.address = ADDRESS
            camera.username, camera_id = "admin", camera.id
        with api.as_staff() as staff:
            yield Site(api, clock, staff, room, other, camera_id)


@pytest.mark.parametrize("change", STOPS, ids=lambda one: "-".join(one))
def test_one_person_is_told_how_two_do_it(site: Site, change: dict[str, object]) -> None:
    session = site.book(23 * HOUR)
    site.records()
    before = site.wanted()
    told = problem_of(site.staff.patch(site.at, json=change), 409, "needs-approval")
    assert told["fields"] == {"approval": "pull.stop"}
    assert session in str(told["detail"])
    assert site.wanted() == before


def test_it_is_refused_however_the_session_meets_the_room(site: Site) -> None:
    # Nothing is due, or not within a day: as ever.
    site.book(25 * HOUR)
    assert site.staff.patch(site.at, json={"enabled": False}).status_code == 200
    assert site.staff.patch(site.at, json={"enabled": True}).status_code == 200
    site.book(HOUR)
    for answer in (
        site.staff.patch(site.at, json={"enabled": False}),
        site.staff.patch(site.at, json={"room_id": site.other}),
        site.staff.delete(site.at),
    ):
        problem_of(answer, 409, "needs-approval")
    # What does not stop a pull is one person's; so is bringing back what gives nothing.
    harmless = {"name": "前", "mode": "session", "mode_reason": "仅开标时录"}
    assert site.staff.patch(site.at, json=harmless).status_code == 200
    assert site.staff.patch(site.at, json={"source_url": ADDRESS + "b"}).status_code == 200


def test_a_linked_place_and_a_claimed_stream_count_too(site: Site) -> None:
    with site.api.database.write() as orm:
        orm.add(LinkedPlace(room_id=site.other, place_id=site.room))
    session = site.book(HOUR, site.other)
    told = problem_of(site.staff.patch(site.at, json={"enabled": False}), 409, "needs-approval")
    assert session in str(told["detail"])
    site.clock.advance(DAY)
    # Of a session that went on elsewhere, and records this stream by a claim alone.
    claiming = a_session(site.api.database, state=SessionState.RECORDING)
    with site.api.database.read() as orm:
        stream = orm.scalars(select(Stream.id).where(Stream.camera_id == site.camera)).first()
    assert stream is not None
    a_claim(site.api.database, claiming, stream, site.clock.utc_us(), None)
    told = problem_of(site.staff.delete(site.at), 409, "needs-approval")
    assert claiming in str(told["detail"])


@pytest.mark.parametrize("agrees", [Role.VENUE, Role.DIRECTOR])
def test_two_people_switch_it_off(site: Site, agrees: Role) -> None:
    session = site.book(HOUR)
    content = {"camera_id": site.camera, "enabled": False}
    row = done(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN, [agrees])
    assert row["subject_name"] == "评标室一 · 评标室一-1"
    assert row["content"] == content
    assert site.wanted() == []
    with site.api.database.read() as orm:
        query = select(AuditEntry.facts).where(AuditEntry.action == "camera.change")
        facts = orm.scalars(query).one()
    assert facts is not None
    assert (facts["approval"], facts["sessions"]) == (row["id"], [session])


def test_two_people_remove_it_and_change_its_login(site: Site) -> None:
    site.book(HOUR)
    site.records()
    content = {"camera_id": site.camera, "username": "wang", "password": PASSWORD}
    row = done(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN, [Role.VENUE])
    # The password is shown to nobody and opened by the recorder alone.
    assert PASSWORD not in str(row) and row["content"].keys() >= {"secret", "username"}
    with site.api.database.read() as orm:
        wanted = wanted_streams(orm, site.clock.utc_us())[0]
    address = camera_address(wanted, site.api.parts.secrets)
    assert (address.username, address.password) == ("wang", PASSWORD)
    content = {"camera_id": site.camera, "remove": True}
    done(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN, [Role.DIRECTOR])
    problem_of(site.staff.get(site.at), 404, "not-found")


def test_who_asks_does_not_agree_and_no_is_no(site: Site) -> None:
    site.book(HOUR)
    content = {"camera_id": site.camera, "enabled": False}
    for role in (Role.VENUE, Role.DIRECTOR, Role.SECURITY_ADMIN):
        problem_of(ask(site.staff, "pull.stop", content, role), 403, "forbidden")
    row = ask(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN).json()
    at = f"{APPROVALS}/{row['id']}"
    answer = site.staff.post(f"{at}/approve", json=exactly(row), headers=as_one(Role.SYSTEM_ADMIN))
    problem_of(answer, 403, "forbidden")
    answer = site.staff.post(f"{at}/execute", json=exactly(row), headers=as_one(Role.SYSTEM_ADMIN))
    problem_of(answer, 409, "conflict")
    no = exactly(row, opinion="评标未结束")
    assert site.staff.post(f"{at}/reject", json=no, headers=as_one(Role.VENUE)).is_success
    assert len(site.wanted()) > 0


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({}, "content.remove"),
        ({"remove": True, "enabled": False}, "content.remove"),
        ({"source_url": "rtsp://admin:secret@192.0.2.8/a"}, "content.source_url"),
        ({"source_url": "file:///etc/passwd"}, "source_url"),
        ({"secret": "00" * 40}, "content.secret"),
        ({"name": "x"}, "content.name"),
    ],
)
def test_what_cannot_be_asked_for(site: Site, more: dict[str, object], field: str) -> None:
    content = {"camera_id": site.camera, **more}
    answer = ask(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN)
    assert field in problem_of(answer, 422, "invalid-input")["fields"]
    assert "secret@" not in answer.text


def test_no_place_inside_this_machine_and_no_camera_that_is_none(site: Site) -> None:
    content = {"camera_id": site.camera, "source_url": "rtsp://169.254.0.1/a"}
    answer = ask(site.staff, "pull.stop", content, Role.SYSTEM_ADMIN)
    problem_of(answer, 422, "invalid-input")
    answer = ask(site.staff, "pull.stop", {"camera_id": "a", "remove": True}, Role.SYSTEM_ADMIN)
    problem_of(answer, 404, "not-found")
