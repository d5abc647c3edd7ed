"""The register of access and copies: numbered, added to, handed over by, searched, on paper."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError
from support.agreeing import a_demand, a_wish, as_one, ask, done, exactly, granted
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.places import a_session

from bidwitness.storage.evidence.entries import audit_commitment
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.commitments import row_key
from bidwitness.storage.index.models import AuditEntry, Outbox, RegisterEntry
from bidwitness.storage.register import enter_copy
from bidwitness.storage.trail.tables import REGISTER
from bidwitness.words import Role

V1 = "/api/v1"
SCAN = "b" * 64


@dataclass(frozen=True)
class Site:
    api: RunningApi
    session: str
    staff: httpx.Client

    def entries(self, q: str = "") -> list[dict[str, Any]]:
        answer = self.staff.get(f"{V1}/register", params={"q": q} if q else {})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture
def site(api_on_both: RunningApi) -> Iterator[Site]:
    session = a_session(api_on_both.database)
    api_on_both.add_user("li", Role.AUDITOR)
    with api_on_both.as_staff() as staff:
        yield Site(api_on_both, session, staff)


def refuse(site: Site, **more: object) -> None:
    row = ask(site.staff, "grant.request", a_wish(site.session, **more), Role.ARCHIVIST).json()
    at = f"{V1}/approvals/{row['id']}/reject"
    body = exactly(row, opinion="用途不明")
    assert site.staff.post(at, json=body, headers=as_one(Role.DIRECTOR)).is_success


def changed(site: Site) -> list[str]:
    """Name the rows that are not what was committed to when they were added."""
    found = []
    with site.api.database.read() as orm:
        outbox = {row.key: row for row in orm.scalars(select(Outbox))}
        rows = list(orm.scalars(select(RegisterEntry)))
    for row in rows:
        body = outbox[row_key(REGISTER.name, row.id)].body
        commitment = audit_commitment(bytes.fromhex(body["salt"]), REGISTER.event(row))
        if commitment != body["entry"]["commitment"]:
            found.append(f"register row {row.number}")
    return found


def test_rows_are_numbered_without_holes_and_committed_to(site: Site) -> None:
    granted(site.staff, a_wish(site.session))
    refuse(site)
    granted(site.staff, a_wish(site.session))
    numbers = [entry["number"] for entry in site.entries()]
    assert [number.split("-")[1] for number in numbers] == ["00003", "00002", "00001"]
    assert changed(site) == []


def test_a_row_is_never_changed_and_a_change_is_found(site: Site) -> None:
    granted(site.staff, a_wish(site.session))
    granted(site.staff, a_wish(site.session))
    database = site.api.database
    for statement in ("UPDATE register_entries SET reason = 'x'", "DELETE FROM register_entries"):
        with pytest.raises(DatabaseError, match="only ever added"), database.write() as orm:
            orm.connection().exec_driver_sql(statement)
    # Whoever owns the database takes the guard away first.
    drop = (
        "DROP TRIGGER register_entries_no_update"
        if database.is_sqlite
        else "DROP TRIGGER register_entries_append_only ON register_entries"
    )
    with database.write() as orm:
        orm.connection().exec_driver_sql(drop)
        last = orm.scalars(select(RegisterEntry).order_by(RegisterEntry.id.desc())).first()
        assert last is not None
        last.unit = "另一单位"
    assert changed(site) == [f"register row {last.number}"]


def test_it_is_searched_and_given_as_a_table(site: Site) -> None:
    granted(site.staff, a_wish(site.session, unit="=cmd|审计局", purpose="50%_抽查"))
    refuse(site, document_no="纪〔2026〕9号")
    assert [entry["kind"] for entry in site.entries()] == ["refusal", "grant"]
    assert [entry["kind"] for entry in site.entries("2026〕9")] == ["refusal"]
    assert [entry["kind"] for entry in site.entries("50%_")] == ["grant"]
    assert site.entries("50_") == site.entries("nothing") == []
    answer = site.staff.get(f"{V1}/register/table", params={"q": "50%_"})
    assert answer.headers["content-type"].startswith("text/csv")
    head, first = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    row = dict(zip(head, first, strict=True))
    # A spreadsheet must not take what a person wrote for a formula.
    assert row["单位"] == "'=cmd|审计局" and row["记录"] == "准予"
    with site.api.database.read() as orm:
        query = select(AuditEntry).where(AuditEntry.action == "register.export")
        assert orm.scalars(query).one().facts["rows"] == 1


def test_a_copy_is_handed_over_signed_for_and_destroyed(site: Site, clock: FakeClock) -> None:
    """Each step is a row of its own; the files are those that were registered when made."""
    demand = a_demand(site.session, due_days=30)
    done(site.staff, "grant.demand", demand, Role.ARCHIVIST, [Role.DIRECTOR])
    (entry,) = site.entries()
    at = f"{V1}/register/{entry['id']}"
    file = {"name": "a.zip", "bytes": 42, "sha256": "c" * 64}
    with site.api.database.write() as orm:
        enter_copy(
            orm,
            Who("staff.archivist"),
            clock.utc_us(),
            entry["grant_id"],
            person="x",
            content="录像",
            reason="调取",
            facts={"copy": "d" * 16, "files": [file]},
        )
    handover: dict[str, object] = {
        "copies": ["d" * 16],
        "medium_serial": "WX-77",
        "verification": "bidwitness verify: 0",
        "verified": True,
        "receivers": ["陈一", "陈二"],
    }
    proof = {"kind": "destruction", "document_sha256": SCAN, "note": "双方在场"}
    problem_of(site.staff.post(f"{at}/proof", json=proof), 409, "conflict")
    for wrong in ({"verified": False}, {"copies": ["e" * 16]}):
        answer = site.staff.post(f"{at}/handover", json={**handover, **wrong})
        problem_of(answer, 422, "invalid-input")
    assert site.staff.post(f"{at}/handover", json=handover).status_code == 201
    for kind, status in (("signed", 201), ("grant", 422), ("destruction", 201), ("return", 409)):
        answer = site.staff.post(f"{at}/proof", json={**proof, "kind": kind})
        assert answer.status_code == status, answer.text
    whole = site.staff.get(at).json()
    kinds = ["copy", "handover", "signed", "destruction"]
    assert [row["kind"] for row in whole["later"]] == kinds
    assert whole["later"][1]["facts"]["files"] == [file]
    assert whole["later"][3]["facts"]["document_sha256"] == SCAN
    assert whole["proved_at"] == clock.utc_us() and whole["due_at"] > clock.utc_us()
    assert changed(site) == []
    # Others read it and write nothing.
    for role in (Role.DIRECTOR, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN):
        assert site.staff.get(at, headers=as_one(role)).status_code == 200
        answer = site.staff.post(f"{at}/proof", json=proof, headers=as_one(role))
        problem_of(answer, 403, "forbidden")
    problem_of(site.staff.get(f"{V1}/register/{whole['later'][0]['id']}"), 404, "not-found")
