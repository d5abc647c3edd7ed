"""The trail as its administrator has it: searched, page by page, as CSV, as a signed report."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.ledger_site import Site
from support.paper import words_of
from support.trail import by_sql, with_signet

from bidwitness.storage.evidence.attached import BadReport
from bidwitness.storage.evidence_report.checking import check_report
from bidwitness.storage.evidence_report.signing import der_of, read_report_certificates
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.jobs import Runner
from bidwitness.storage.trail import report as report_of_trail
from bidwitness.storage.trail import tasks
from bidwitness.storage.trail.keeping import LEAST_US
from bidwitness.words import JobState, Role

PATH = "/api/v1/audit"
SECOND = 1_000_000
EVIL = '=HYPERLINK("http://evil","x")'


@pytest.fixture
def trail(api_on_both: RunningApi, clock: FakeClock) -> RunningApi:
    """Thirty acts, one a second, of three people from two addresses."""
    acts = ("session.start", "session.end", "playback.open")
    with api_on_both.database.write() as orm:
        for number in range(30):
            who = Who(
                ("li", "wang", "wang (token robot)")[number % 3], None, f"10.0.{number % 2}.7"
            )
            subject = f"session:s{number % 5}"
            leave_audit_entry(
                *(orm, who, acts[number % 3], subject, number * SECOND),
                allowed=number % 10 != 0,
                reason=EVIL if number == 7 else None,
                facts={"note": "附注", "n": number},
            )
    api_on_both.add_user("eyes", Role.AUDIT_ADMIN)
    return api_on_both


FILTERS: dict[str, tuple[dict[str, str | int], Callable[[int], bool]]] = {
    "who": ({"who": "wang"}, lambda n: n % 3 in (1, 2)),
    "who, any": ({"who": "l*"}, lambda n: n % 3 == 0),
    "action": ({"action": "session.*"}, lambda n: n % 3 != 2),
    "subject": ({"subject": "session:s4"}, lambda n: n % 5 == 4),
    "address": ({"address": "10.0.1.*"}, lambda n: n % 2 == 1),
    "refused": ({"allowed": "false"}, lambda n: n % 10 == 0),
    "time": ({"from": 5 * SECOND, "to": 9 * SECOND}, lambda n: 5 <= n < 9),
    "all": (
        {"who": "li", "subject": "session:s3", "to": 20 * SECOND},
        lambda n: n % 3 == 0 and n % 5 == 3 and n < 20,
    ),
    "a percent sign is one": ({"who": "%"}, lambda n: False),
    "an underscore is one": ({"subject": "session:s_"}, lambda n: False),
}


def test_each_filter_finds_what_it_says_over_all_pages(trail: RunningApi) -> None:
    with trail.as_user("eyes") as eyes:
        for given, finds in FILTERS.values():
            wanted = [n for n in reversed(range(30)) if finds(n)]
            found: list[int] = []
            cursor = None
            for _ in range(20):
                # The limit is on what is found: each page but the last is full.
                asked = {"to": 30 * SECOND, **given, "limit": 4}
                page = eyes.get(PATH, params=asked | ({"cursor": cursor} if cursor else {}))
                items = page.json()["items"]
                found += [item["facts"]["n"] for item in items]
                cursor = page.json()["next_cursor"]
                if cursor is None:
                    break
                assert len(items) == 4
            assert found == wanted


def test_csv_is_of_the_same_search_and_does_nothing_in_a_spreadsheet(trail: RunningApi) -> None:
    with trail.as_user("eyes") as eyes:
        answer = eyes.get(f"{PATH}/csv", params={"action": "session.*", "to": 30 * SECOND})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert rows[0][0] == "编号 number"
        assert [json.loads(row[-1])["n"] for row in rows[1:]] == [
            n for n in reversed(range(30)) if n % 3 != 2
        ]
        assert f"'{EVIL}" in [row[8] for row in rows]
        assert not [c for row in rows for c in row if c.startswith(("=", "+", "-", "@"))]
        # Who took it is in the trail, and not in what she took.
        (last,) = eyes.get(PATH, params={"action": "audit.csv"}).json()["items"]
        assert (last["who"], last["facts"]["filter"]["action"]) == ("eyes", "session.*")


def test_csv_is_longer_than_a_batch(trail: RunningApi, clock: FakeClock) -> None:
    with trail.database.write() as orm:
        for number in range(1100):
            leave_audit_entry(orm, Who("many"), "x", "y", 100 + number // 7)
    with trail.as_user("eyes") as eyes:
        text = eyes.get(f"{PATH}/csv", params={"who": "many"}).content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))[1:]
    assert len({row[0] for row in rows}) == 1100


def test_an_entry_is_held_against_the_log_when_it_is_looked_at(
    api: RunningApi, clock: FakeClock
) -> None:
    settings = api.parts.settings
    site = Site(with_signet(api.database, settings), settings, clock)
    site.act(2)
    site.log()
    site.act()
    by_sql(site.index, "UPDATE audit_entries SET who = 'nobody' WHERE id = 2")
    with api.as_user("eyes", Role.AUDIT_ADMIN) as eyes:
        first = eyes.get(f"{PATH}/entries/1").json()
        assert (first["unchanged"], first["shard"], first["place"]) == (True, "2023", 2)
        assert first["kept_until"] == first["at"] + LEAST_US
        assert eyes.get(f"{PATH}/entries/2").json()["unchanged"] is False
        waiting = eyes.get(f"{PATH}/entries/3").json()
        assert (waiting["unchanged"], waiting["place"]) == (None, None)
        problem_of(eyes.get(f"{PATH}/entries/999"), 404, "not-found")


def run(api: RunningApi, job_id: str) -> JobState | None:
    handlers = {tasks.AUDIT_REPORT: tasks.audit_report}
    worker = f"worker-{random.random()}"
    runner = Runner(api.parts.settings, api.database, api.parts.clock, worker, handlers)
    return runner.run_job(job_id)


def test_a_signed_report_of_a_search(trail: RunningApi, tmp_path: Path) -> None:
    reports = f"{PATH}/reports"
    with trail.as_user("eyes") as eyes:
        asked = eyes.post(reports, json={"who": "li", "to": 30 * SECOND, "reason": "季度审计"})
        assert asked.status_code == 202, asked.text
        assert asked.json()["entries"] == 10
        assert run(trail, asked.json()["job_id"]) == JobState.DONE
        (made,) = eyes.get(reports).json()["items"]
        assert (made["number"], made["entries"], made["made_by"]) == ("SJ-site-1-0001", 10, "eyes")
        document = eyes.get(made["document"])
        assert document.headers["content-type"] == "application/pdf"
        words = words_of(document.content, tmp_path)
        for said in ("操作留痕审计报告", "季度审计", "SJ-site-1-0001", "session.start", "尚未"):
            assert said in words
        certificates = [der_of(c) for c in read_report_certificates(trail.parts.settings)]
        beside = (trail.parts.settings.reports / f"{made['id']}.json").read_bytes()
        assert check_report(document.content, beside, certificates)
        middle = len(document.content) // 3
        changed = bytes([document.content[middle] ^ 1])
        spoiled = document.content[:middle] + changed + document.content[middle + 1 :]
        with pytest.raises(BadReport):
            check_report(spoiled, beside, certificates)
        facts = json.loads(beside)
        assert [item["event"]["who"] for item in facts["entries"]] == ["li"] * 10
        assert all(item["salt"] for item in facts["entries"])
        actions = [
            e["action"] for e in eyes.get(PATH, params={"action": "audit_report.*"}).json()["items"]
        ]
        assert actions == ["audit_report.fetch", "audit_report.made", "audit_report.request"]


def test_a_report_of_too_much_is_refused(
    trail: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bidwitness.api.audit_reports.MOST", 9)
    with trail.as_user("eyes") as eyes:
        body = {"who": "li", "reason": "季度审计"}
        problem_of(eyes.post(f"{PATH}/reports", json=body), 422, "invalid-input")
        assert eyes.get(f"{PATH}/reports").json()["items"] == []
    assert report_of_trail.MOST >= 1000


def test_nobody_else_has_any_of_it(trail: RunningApi) -> None:
    with trail.as_user("boss", Role.SECURITY_ADMIN) as boss:
        for path in ("", "/csv", "/entries/1", "/reports", "/reports/aaaa/document"):
            problem_of(boss.get(PATH + path), 403, "forbidden")
        problem_of(boss.post(f"{PATH}/reports", json={"reason": "because"}), 403, "forbidden")
