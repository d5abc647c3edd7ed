"""Evidence reports of a sealed session: made after the seal, asked for, fetched, handed out, checked."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.attacks import remanifest, standalone_module
from support.sealed_session import Sealed, exported, signed_and_logged

from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.evidence_report.checking import check_report
from bidwitness.storage.evidence_report.registered import read_report, reports_of
from bidwitness.storage.index.models import AuditEntry, Derivative, Job
from bidwitness.words import Action, JobState, Medium, Role


def jobs_of(sealed: Sealed) -> list[Job]:
    with sealed.api.database.read() as orm:
        query = select(Job).where(Job.kind == EVIDENCE_REPORT).order_by(Job.created_us, Job.id)
        return list(orm.scalars(query))


def made_after_the_seal(sealed: Sealed) -> Derivative:
    """Run the job that the seal has queued."""
    (job,) = jobs_of(sealed)
    sealed.clock.sleep(10)
    assert sealed.run(job.id) == JobState.DONE
    return newest(sealed)


def newest(sealed: Sealed) -> Derivative:
    with sealed.api.database.read() as orm:
        return reports_of(orm, sealed.id)[-1]


def test_the_seal_has_one_made_which_waits_for_the_log(sealed: Sealed) -> None:
    assert jobs_of(sealed) == []  # its seal waits for a camera that was never heard of
    signed_and_logged(sealed, epoch=False)
    (job,) = jobs_of(sealed)
    sealed.clock.sleep(10)
    assert sealed.run(job.id) == JobState.QUEUED
    (job,) = jobs_of(sealed)
    assert "not in the log yet" in (job.error or "")
    # A log that does not come is said, and keeps nobody from the report.
    sealed.clock.sleep(300)
    assert sealed.run(job.id) == JobState.DONE
    facts = facts_of(sealed)
    assert facts["log"]["covered"] is False


def facts_of(sealed: Sealed) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(read_report(sealed.api.parts.settings, newest(sealed))[1])
    return held


def test_what_it_says(sealed: Sealed) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    signed_and_logged(sealed)
    row = made_after_the_seal(sealed)
    facts = facts_of(sealed)
    assert facts["number"] == f"GZ-site-1-{sealed.id}-001"
    main = next(s for s in facts["streams"] if s["stream"] == sealed.streams[0])
    assert (main["segments"], main["probe"]["failed"]) == (3, [])
    assert main["probe"]["frames"] > 0
    assert [s["sent"] for s in main["sounds"]] != []
    picture = next(
        m for m in facts["media"] if m["stream"] == sealed.streams[0] and m["medium"] == "picture"
    )
    assert (picture["due_us"], picture["recorded_us"], picture["gaps"]) == (20_000_000,) * 2 + (0,)
    # The other camera has recorded nothing, which is stated and blocks nothing.
    assert any(m["recorded_us"] == 0 and m["missing"] for m in facts["media"])
    assert {key["role"] for key in facts["keys"]} == {"log", "recorder", "report"}
    assert facts["log"]["covered"] is True
    assert facts["root"]["leaf"] == row.recipe["root"]


def test_asked_for_again_it_gets_a_new_number(api: RunningApi, sealed: Sealed) -> None:
    address = f"/api/v1/sessions/{sealed.id}/evidence-reports"
    with api.as_user("chief", Role.ARCHIVIST) as client:
        problem_of(client.post(address), 409, "conflict")
        signed_and_logged(sealed)
        first = made_after_the_seal(sealed)
        before = read_report(api.parts.settings, first)
        asked = client.post(address)
        assert asked.status_code == 202, asked.text
        assert sealed.run(asked.json()["job_id"]) == JobState.DONE
        items = client.get(address).json()["items"]
        numbers = [item["number"] for item in items]
        assert [number[-3:] for number in numbers] == ["001", "002"]
        assert read_report(api.parts.settings, first) == before
        answer = client.get(items[1]["document"])
        assert answer.headers["content-type"] == "application/pdf"
        assert numbers[1] in answer.headers["content-disposition"]
        assert answer.content == read_report(api.parts.settings, newest(sealed))[0]
    told = audited(api)
    done = ["fetch", "made", "made", "request"]
    assert sorted(action for action, allowed, _ in told if allowed) == done
    # The one that was asked for too early.
    assert [(a, reason[:25]) for a, allowed, reason in told if not allowed] == [
        ("request", "The session is not sealed")
    ]


def audited(api: RunningApi) -> list[tuple[str, bool, str]]:
    with api.database.read() as orm:
        query = select(AuditEntry).where(AuditEntry.action.startswith("evidence_report."))
        return [
            (row.action.rpartition(".")[2], row.allowed, row.reason or "")
            for row in orm.scalars(query.order_by(AuditEntry.id))
        ]


def test_who_may_have_it(api: RunningApi, sealed: Sealed) -> None:
    signed_and_logged(sealed)
    row = made_after_the_seal(sealed)
    address = f"/api/v1/sessions/{sealed.id}/evidence-reports"
    sealed.grant("auditor", [Medium.SOUND], [Action.REPLAY])
    with api.as_user("stranger", Role.AUDITOR) as client:
        problem_of(client.get(address), 404, "not-found")
        problem_of(client.get(f"{address}/{row.id}/document"), 404, "not-found")
    with api.as_user("auditor") as client:
        assert client.get(f"{address}/{row.id}/document").status_code == 200
        problem_of(client.post(address), 403, "forbidden")
        problem_of(client.get(f"{address}/{'a' * 16}/document"), 404, "not-found")
    with api.client() as nobody:
        problem_of(nobody.get(address), 401, "unauthenticated")
    refused = [action for action, allowed, _ in audited(api) if not allowed]
    assert refused == ["fetch", "request"]


def test_a_report_that_was_changed_is_not_handed_out(api: RunningApi, sealed: Sealed) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    signed_and_logged(sealed)
    row = made_after_the_seal(sealed)
    path = api.parts.settings.reports / str(row.path)
    path.write_bytes(path.read_bytes() + b"\n")
    address = f"/api/v1/sessions/{sealed.id}/evidence-reports/{row.id}/document"
    with api.as_user("auditor") as client:
        problem_of(client.get(address), 500, "damage")


@pytest.fixture
def handed_out(sealed: Sealed, tmp_path: Path) -> tuple[Path, Path]:
    """A bag with a report, and the site's trust material."""
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    signed_and_logged(sealed)
    made_after_the_seal(sealed)
    policy = signed_and_logged(sealed)
    path = exported(sealed, "auditor", tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    (bag,) = (tmp_path / "out").iterdir()
    return bag, policy


def the_report(bag: Path) -> Path:
    (found,) = (bag / "report").glob("*.pdf")
    return found


def test_a_package_holds_it_and_its_verifier_checks_it(
    handed_out: tuple[Path, Path], tmp_path: Path
) -> None:
    bag, policy = handed_out
    report = verify_package(bag, policy, check_report=check_report)
    assert (report.exit_code, report.problems) == (0, [])
    (found,) = report.reports
    assert found["trusted"] is True
    # Without trust material nobody can say whose the key is.
    assert verify_package(bag, None, check_report=check_report).reports[0]["trusted"] is False
    alone = standalone_module(tmp_path / "alone.py").verify_package(bag, policy)
    assert (alone.exit_code, alone.reports[0]["trusted"]) == (0, None)
    assert any("evidence reports" in english for _, english in alone.not_checked)


def test_reports_that_do_not_belong(handed_out: tuple[Path, Path], tmp_path: Path) -> None:
    bag, policy = handed_out
    facts_path = the_report(bag).with_suffix(".json")
    honest = json.loads(facts_path.read_bytes())

    def found_in(changed: dict[str, object], kind: str) -> None:
        target = tmp_path / "altered"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(bag, target)
        (target / "report" / facts_path.name).write_bytes(canonical(changed))
        remanifest(target)
        report = verify_package(target, policy, check_report=check_report)
        assert report.exit_code == 1
        assert [p.kind for p in report.problems] == [kind], report.problems

    found_in({**honest, "root": {**honest["root"], "leaf": "0" * 64}}, "inconsistent")
    found_in({**honest, "sitting": {**honest["sitting"], "session": "another"}}, "inconsistent")
    # The facts beside it are not those that were signed.
    found_in({**honest, "issuer": "somebody else"}, "modified")


def test_a_report_altered_in_a_package(handed_out: tuple[Path, Path]) -> None:
    bag, policy = handed_out
    path = the_report(bag)
    data = bytearray(path.read_bytes())
    place = data.index(b"stream\n") + 40
    data[place] ^= 1
    path.write_bytes(data)
    remanifest(bag)
    report = verify_package(bag, policy, check_report=check_report)
    assert [problem.kind for problem in report.problems] == ["modified"]


def test_a_part_of_the_session_comes_without_it(sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("auditor", [Medium.SOUND], [Action.COPY])
    signed_and_logged(sealed)
    made_after_the_seal(sealed)
    with zipfile.ZipFile(exported(sealed, "auditor", tmp_path)) as archive:
        assert [name for name in archive.namelist() if "/report/" in name] == []
