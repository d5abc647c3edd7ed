"""Footage whose period is over is destroyed by an exact list that three roles agree to, and leaves a
receipt; what is held, shared, not due or not as listed stays."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.agreeing import APPROVALS, as_one, ask, exactly
from support.api import RunningApi, problem_of, running_api
from support.clock import FakeClock
from support.places import DAY, HOUR, MINUTE, Shelf, a_claim, a_hold, a_session, a_stream

from bidwitness.storage.disposals import Disposer
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    AuditEntry,
    Garbage,
    Hold,
    Item,
    Lot,
    Segment,
    Session,
)
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.store.file import FileStore
from bidwitness.words import Role, SessionState

V1 = "/api/v1"
TWO = (Role.DIRECTOR, Role.SUPERVISOR)


@dataclass
class Site:
    """A sealed session with two segments, whose period was over yesterday."""

    api: RunningApi
    clock: FakeClock
    staff: httpx.Client
    shelf: Shelf
    stream: str
    session: str
    start: int

    def due(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.staff.get(f"{V1}/disposals/due").json()["items"]
        return found

    def content(self) -> dict[str, object]:
        return {
            "sessions": [{k: one[k] for k in ("session_id", "list_sha256")} for one in self.due()]
        }

    def agreed(self) -> dict[str, Any]:
        answer = ask(self.staff, "session.dispose", self.content(), Role.ARCHIVIST)
        assert answer.status_code == 201, answer.text
        row: dict[str, Any] = answer.json()
        for role in TWO:
            at = f"{APPROVALS}/{row['id']}/approve"
            assert self.staff.post(at, json=exactly(row), headers=as_one(role)).is_success
        return row

    def execute(self, row: dict[str, Any]) -> httpx.Response:
        at = f"{APPROVALS}/{row['id']}/execute"
        return self.staff.post(at, json=exactly(row), headers=as_one(Role.ARCHIVIST))

    def keep(self) -> None:
        """Do what `keep` does of it."""
        settings, database = self.api.parts.settings, self.api.database
        disposer = Disposer(database, self.clock)
        store = FileStore(settings.data / "store")
        collector = Collector(database, store, settings.spool, SystemFiles(), self.clock)
        while disposer.dispose_some():
            collector.collect_some()
        disposer.dispose_some()

    def segments(self) -> list[Segment]:
        with self.api.database.read() as orm:
            return list(orm.scalars(select(Segment).order_by(Segment.from_us)))


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    with running_api(
        *(sqlite_index, tmp_path), clock=clock, login_hours=10_000, idle_minutes=600_000
    ) as api:
        shelf = Shelf(sqlite_index, api.parts.settings.spool)
        stream, start = a_stream(sqlite_index), clock.utc_us() - 40 * DAY
        session = a_session(sqlite_index)
        for number in range(2):
            shelf.segment(stream, start + number * MINUTE)
        a_claim(sqlite_index, session, stream, start, start + 2 * MINUTE)
        with sqlite_index.write() as orm:
            query = select(Lot).join(Item, Item.lot_id == Lot.id).where(Item.session_id == session)
            orm.scalars(query).one().retention_until_us = clock.utc_us() - DAY
        with api.as_staff() as staff:
            yield Site(api, clock, staff, shelf, stream, session, start)


def test_by_the_book_it_goes_and_leaves_its_receipt(site: Site) -> None:
    (due,) = site.due()
    assert (due["session_id"], due["segments"]) == (site.session, 2)
    listed = site.staff.get(f"{V1}/disposals/lists/{site.session}").content
    assert hashlib.sha256(listed).hexdigest() == due["list_sha256"]
    assert site.segments()[0].sha256.hex() in listed.decode()
    row = site.agreed()
    # A week to think again.
    problem_of(site.execute(row), 409, "conflict")
    site.clock.advance(7 * DAY)
    answer = site.execute(row)
    assert answer.status_code == 200, answer.text
    problem_of(site.execute(row), 409, "conflict")
    files = [site.shelf.spool / str(one.spool_path) for one in site.segments()]
    assert all(file.exists() for file in files), "keep alone removes bytes"
    (receipt,) = site.staff.get(f"{V1}/disposals").json()["items"]
    assert (receipt["state"], receipt["done_at"]) == ("removing", None)
    site.keep()
    assert not any(file.exists() for file in files)
    (receipt,) = site.staff.get(f"{V1}/disposals").json()["items"]
    assert (receipt["state"], receipt["list_sha256"]) == ("done", due["list_sha256"])
    assert receipt["approval_id"] == row["id"]
    with site.api.database.read() as orm:
        assert orm.get_one(Session, site.session).state == SessionState.DISPOSED
        # The rows with their digests stay: it can be said for good what there was.
        assert [bool(one.removed_us and one.sha256) for one in site.segments()] == [True, True]
        query = select(AuditEntry.facts).where(AuditEntry.action == "session.disposed")
        facts = orm.scalars(query).one()
    assert facts is not None and facts["list"] == due["list_sha256"]
    assert site.due() == []


def test_who_asks_who_agrees(site: Site) -> None:
    content = site.content()
    for role in (Role.DIRECTOR, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.SUPERVISOR):
        problem_of(ask(site.staff, "session.dispose", content, role), 403, "forbidden")
    row = ask(site.staff, "session.dispose", content, Role.ARCHIVIST).json()
    assert site.session in row["names"]
    at = f"{APPROVALS}/{row['id']}"
    director = as_one(Role.DIRECTOR)
    once = site.staff.post(f"{at}/approve", json=exactly(row), headers=director)
    assert once.json()["state"] == "pending"
    problem_of(
        site.staff.post(f"{at}/approve", json=exactly(row), headers=director), 403, "forbidden"
    )
    problem_of(site.execute(row), 409, "conflict")


def test_what_is_not_due_is_not_listed_and_not_taken(site: Site) -> None:
    content = site.content()
    hold = a_hold(site.api.database, session=site.session)
    assert site.due() == []
    told = problem_of(ask(site.staff, "session.dispose", content, Role.ARCHIVIST), 409, "conflict")
    assert "hold" not in str(told["detail"]), "it may be confidential"
    with site.api.database.write() as orm:
        orm.get_one(Hold, hold).released_us = site.clock.utc_us()
        lot = orm.scalars(select(Lot)).one()
        lot.retention_until_us = site.clock.utc_us() + HOUR
    assert site.due() == []
    site.clock.advance(HOUR)
    assert len(site.due()) == 1
    # A session that claims nothing is held all the same.
    bare = a_session(site.api.database)
    with site.api.database.write() as orm:
        for each in orm.scalars(select(Lot)):
            each.retention_until_us = site.clock.utc_us()
    assert len(site.due()) == 2
    a_hold(site.api.database, session=bare)
    assert [one["session_id"] for one in site.due()] == [site.session]
    with site.api.database.write() as orm:
        orm.get_one(Session, site.session).state = SessionState.ENDED
    assert site.due() == []


def test_a_list_that_has_changed_is_asked_for_anew(site: Site) -> None:
    row = site.agreed()
    site.clock.advance(7 * DAY)
    site.shelf.segment(site.stream, site.start + 90 * 1_000_000, length_us=1_000_000)
    told = problem_of(site.execute(row), 409, "conflict")
    assert "list" in str(told["detail"])
    content = {"sessions": [{"session_id": site.session, "list_sha256": "0" * 64}]}
    problem_of(ask(site.staff, "session.dispose", content, Role.ARCHIVIST), 409, "conflict")
    twice = {"sessions": site.content()["sessions"] * 2}  # type: ignore[operator]  # a list
    problem_of(ask(site.staff, "session.dispose", twice, Role.ARCHIVIST), 422, "invalid-input")


def test_what_another_session_claims_stays(site: Site) -> None:
    other = a_session(site.api.database)
    a_claim(site.api.database, other, site.stream, site.start + MINUTE, site.start + 2 * MINUTE)
    (due,) = site.due()
    assert due["segments"] == 1
    row = site.agreed()
    site.clock.advance(7 * DAY)
    assert site.execute(row).status_code == 200
    site.keep()
    first, second = site.segments()
    assert first.removed_us is not None
    assert second.removed_us is None


def test_a_hold_or_a_lock_that_comes_later_keeps_it_until_it_ends(site: Site) -> None:
    row = site.agreed()
    site.clock.advance(7 * DAY)
    assert site.execute(row).status_code == 200
    with site.api.database.write() as orm:
        first = orm.scalars(select(Segment).order_by(Segment.from_us)).first()
        assert first is not None
        first.lock_until_us = site.clock.utc_us() + HOUR
    site.keep()
    assert [one.removed_us is None for one in site.segments()] == [True, False]
    (receipt,) = site.staff.get(f"{V1}/disposals").json()["items"]
    assert receipt["state"] == "removing"
    site.clock.advance(HOUR)
    site.keep()
    (receipt,) = site.staff.get(f"{V1}/disposals").json()["items"]
    assert receipt["state"] == "done"
    with site.api.database.read() as orm:
        assert orm.scalars(select(Garbage)).all() == []
