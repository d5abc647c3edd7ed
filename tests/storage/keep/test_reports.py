"""Evidence reports go into the store, locked, named by the index, and are walked by the check."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.kept import faults, go_round
from support.memory_store import MemoryStore
from support.places import DAY, HOUR, START, a_hold, a_session

from bidwitness.config import Settings, load_settings
from bidwitness.errors import NotFound, StoreError
from bidwitness.locking import Lock
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.check.store import check_store
from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.evidence_report.registered import objects_of, read_report
from bidwitness.storage.footage import Footage
from bidwitness.storage.holds import release_hold
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import AT_ONCE
from bidwitness.storage.index.models import Derivative, SessionObject, SurplusVersion
from bidwitness.storage.keep.lock_rounds import LockKeeper
from bidwitness.storage.keep.locking import LockPlanner
from bidwitness.storage.keep.reports import ALARM, ReportKeeper
from bidwitness.storage.keep.surplus import SurplusWalk
from bidwitness.words import ScrubKind


@dataclass
class Desk:
    index: Database
    settings: Settings
    store: MemoryStore
    clock: FakeClock

    @property
    def planner(self) -> LockPlanner:
        return LockPlanner(self.settings, lambda: True)

    def report(self, session: str, number: str = "GZ-site-1-x-001") -> Derivative:
        document, facts = f"document {number}".encode(), f"facts {number}".encode()
        with self.index.write() as orm:
            row = Derivative(
                kind=EVIDENCE_REPORT,
                session_id=session,
                recipe={"number": number, "digest": hashlib.sha256(facts).hexdigest()},
                sha256=hashlib.sha256(document).hexdigest(),
                made_us=self.clock.utc_us(),
                made_by="test",
            )
            orm.add(row)
            orm.flush()
        self.settings.reports.mkdir(parents=True, exist_ok=True)
        (self.settings.reports / f"{row.id}.pdf").write_bytes(document)
        (self.settings.reports / f"{row.id}.json").write_bytes(facts)
        return row

    def keep(self) -> int:
        return ReportKeeper(
            self.index, self.store, self.clock, self.settings, self.store.prepare, self.planner
        ).store_some()

    def lock(self) -> int:
        return LockKeeper(self.index, self.store, self.clock, self.planner).keep_some()

    def rows(self) -> list[SessionObject]:
        with self.index.read() as orm:
            return list(orm.scalars(select(SessionObject).order_by(SessionObject.id)))

    def scrub(self) -> int:
        """One round over the store; gives how many of it were not there."""
        settings = self.settings
        done = go_round(
            *(self.index, self.store, self.clock, ScrubKind.PRESENCE),
            *(settings.spool, settings.reports),
        )
        return done.faults

    def problems(self) -> list[Problem]:
        footage = Footage(self.settings.spool, self.store)
        found = check_store(self.index, self.store, footage, self.clock.utc_us())
        return [problem for problem in found if problem is not None]


@pytest.fixture
def desk(index: Database, tmp_path: Path) -> Desk:
    clock = FakeClock(START + HOUR)
    return Desk(index, load_settings(data=tmp_path / "data"), MemoryStore(clock), clock)


def test_a_report_and_its_facts_are_stored_once_and_locked(desk: Desk) -> None:
    session = a_session(desk.index)
    report = desk.report(session)
    assert desk.keep() == 1
    assert desk.keep() == 0
    rows = desk.rows()
    assert [row.store_key for row in rows] == [
        f"reports/{session}/GZ-site-1-x-001.pdf",
        f"reports/{session}/GZ-site-1-x-001.json",
    ]
    # Sealed, the end of its period not known: as its footage is.
    for row in rows:
        lock = desk.store.lock_of(row.store_key, row.store_version)
        assert lock == Lock(desk.clock.utc_us() + 90 * DAY, True)
        assert row.lock_until_us == lock.until_us
    assert desk.store.read(rows[0].store_key, rows[0].store_version).startswith(b"document")
    # It is a file of its own in a folder's store too, not one under two names.
    assert (desk.settings.reports / f"{report.id}.pdf").stat().st_nlink == 1
    assert desk.problems() == []


def test_its_lock_is_renewed_and_follows_a_hold(desk: Desk) -> None:
    session = a_session(desk.index)
    desk.report(session)
    desk.keep()
    desk.lock()
    desk.clock.advance(8 * DAY)
    assert desk.lock() == 2
    until = desk.clock.utc_us() + 90 * DAY
    assert {row.lock_until_us for row in desk.rows()} == {until}
    hold = a_hold(desk.index, session=session)
    with desk.index.write() as orm:
        release_hold(orm, Who("t"), desk.clock.utc_us(), hold, "over")
    assert {row.lock_due_us for row in desk.rows()} == {0}
    assert desk.lock() == 2


def test_an_outage_or_a_missing_file_loses_nothing(desk: Desk) -> None:
    session = a_session(desk.index)
    report = desk.report(session)
    desk.store.down = True
    with pytest.raises(StoreError):
        desk.keep()
    desk.store.down = False
    path = desk.settings.reports / f"{report.id}.json"
    body = path.read_bytes()
    path.write_bytes(b"forged")
    assert desk.keep() == 0
    with desk.index.read() as orm:
        assert open_alarm(orm, ALARM, f"session:{session}") is not None
    path.unlink()
    assert desk.keep() == 0
    path.write_bytes(body)
    assert desk.keep() == 1
    assert len(desk.rows()) == 2
    with desk.index.read() as orm:
        assert open_alarm(orm, ALARM, f"session:{session}") is None


def test_what_is_gone_from_this_machine_is_read_from_the_store(desk: Desk) -> None:
    report = desk.report(a_session(desk.index))
    desk.keep()
    held = read_report(desk.settings, report)
    for path in desk.settings.reports.iterdir():
        path.unlink()
    with pytest.raises(NotFound):
        read_report(desk.settings, report)
    with desk.index.read() as orm:
        objects = objects_of(orm, report.id)
    assert read_report(desk.settings, report, objects, desk.store) == held


def test_the_check_finds_what_is_missing_changed_or_never_stored(desk: Desk) -> None:
    session = a_session(desk.index)
    desk.report(session)
    assert desk.problems() == []
    desk.clock.advance(2 * HOUR)
    (late,) = desk.problems()
    assert (late.fault, late.subject) == (Fault.MISSING, "GZ-site-1-x-001")
    desk.keep()
    assert desk.problems() == []
    pdf, facts = desk.rows()
    desk.store.rot(pdf.store_key)
    desk.store.locks.clear()
    desk.store.delete_version(facts.store_key, facts.store_version)
    assert [problem.fault for problem in desk.problems()] == [Fault.DIFFERS, Fault.MISSING]


def test_the_walk_knows_reports_and_finds_what_hides_one(desk: Desk) -> None:
    desk.report(a_session(desk.index))
    desk.keep()
    (pdf, _) = desk.rows()
    desk.store.hide(pdf.store_key)
    walk = SurplusWalk(desk.index, desk.store, desk.clock)
    walk.walk_some()
    walk.walk_some()
    with desk.index.read() as orm:
        (row,) = orm.scalars(select(SurplusVersion)).all()
    assert (row.store_key, row.hides, row.readable) == (pdf.store_key, True, True)


def test_what_is_gone_from_the_store_is_put_there_from_this_machine(desk: Desk) -> None:
    desk.report(a_session(desk.index))
    desk.keep()
    pdf, facts = desk.rows()
    held = desk.store.read(pdf.store_key, pdf.store_version)
    desk.store.locks.clear()
    desk.store.delete_version(pdf.store_key, pdf.store_version)
    assert desk.scrub() == 1
    assert [fault.mended_from for fault in faults(desk.index)] == ["reports"]
    again = desk.rows()[0]
    assert desk.store.read(again.store_key, again.store_version) == held
    assert (again.lock_until_us, again.lock_due_us) == (None, AT_ONCE)
    # A file that is not what was made is no copy of it.
    path = desk.settings.reports / f"{facts.derivative_id}.json"
    path.write_bytes(path.read_bytes()[:-1])
    desk.store.locks.clear()
    desk.store.delete_version(facts.store_key, facts.store_version)
    assert desk.scrub() == 1
    assert [fault.mended_us is None for fault in faults(desk.index)] == [False, True]
    assert (facts.store_key, facts.store_version) not in desk.store.objects
