"""The timeline as the pages read it."""

import csv
import io

from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.factories import MINUTE, SECOND, Tape
from support.session_desk import Desk

from bidwitness.player.snapshot import iso
from bidwitness.storage.index.models import AuditEntry
from bidwitness.words import GapCause, Outcome, Role


def test_as_the_contract_says(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    desk = Desk(api.database, api.parts.settings, clock)
    start = desk.now
    session = desk.started(desk.one)
    clock.advance(10 * MINUTE)
    main, sub = desk.streams[desk.one.id][:2]
    with api.database.write() as orm:
        for stream in (main, sub):
            tape = Tape(orm, stream, sound=stream == main)
            tape.segments(start - MINUTE, start + 4 * MINUTE)
            tape.gap(start + 4 * MINUTE, start + 5 * MINUTE, GapCause.NETWORK)
            tape.segments(start + 5 * MINUTE, start + 10 * MINUTE)
            tape.status(clock.utc_us())
    with api.as_user("guard", Role.SUPERVISOR) as client:
        running = client.get(f"/api/v1/sessions/{session}/timeline").json()
        assert set(running) == {"due", "coverage", "streams", "events", "markers", "live_until"}
        assert running["due"]["from"] == start
        assert running["live_until"] is not None
        clock.advance(SECOND)
        desk.do(lambda c: c.end(session, outcome=Outcome.COMPLETED))
        over = client.get(f"/api/v1/sessions/{session}/timeline").json()
        assert over["live_until"] is None
        assert 0 < over["coverage"] < 1
        lane = next(lane for lane in over["streams"] if lane["stream_id"] == main)
        assert (lane["role"], lane["tracks"]) == ("main", ["picture", "sound"])
        assert [s["from"] for s in lane["segments"]] == [start, start + 5 * MINUTE]
        assert lane["segments"][0]["run"] != lane["segments"][1]["run"]
        network = next(gap for gap in lane["gaps"] if gap["cause"] == "network")
        assert network["cause_name"] == "网络中断"
        assert (network["from"], network["to"]) == (start + 4 * MINUTE, start + 5 * MINUTE)
        assert network["medium"] is None
        assert set(lane["coverage"]) == {"picture", "sound"}
        problem_of(client.get("/api/v1/sessions/nosuch/timeline"), 404, "not-found")
    with api.as_user("auditor", Role.AUDITOR) as client:
        problem_of(client.get(f"/api/v1/sessions/{session}/timeline"), 403, "forbidden")


def test_as_files_to_take_away(api: RunningApi, clock: FakeClock) -> None:
    desk = Desk(api.database, api.parts.settings, clock)
    start = desk.now
    session = desk.started(desk.one)
    main = desk.streams[desk.one.id][0]
    clock.advance(10 * MINUTE)
    with api.database.write() as orm:
        tape = Tape(orm, main, sound=True)
        tape.segments(start, start + 4 * MINUTE)
        tape.gap(start + 4 * MINUTE, start + 5 * MINUTE + 1, GapCause.NETWORK)
        tape.segments(start + 5 * MINUTE + 1, start + 10 * MINUTE)
    clock.advance(SECOND)
    desk.do(lambda c: c.end(session, outcome=Outcome.COMPLETED))
    address = f"/api/v1/sessions/{session}/timeline"
    formula = '=HYPERLINK("http://evil","看")'
    with api.as_user("guard", Role.SUPERVISOR) as client, api.as_user("li", Role.VENUE) as other:
        for who, audience, text in ((client, "own", formula), (other, "own", "hers alone")):
            note = {"session_id": session, "at": start + 7, "text": text, "audience": audience}
            assert who.post("/api/v1/markers", json=note).status_code == 201
        shown = client.get(address).json()
        sheet = client.get(f"{address}/csv")
        file = client.get(f"{address}/json").json()
        problem_of(client.get("/api/v1/sessions/nosuch/timeline/csv"), 404, "not-found")
    assert sheet.content.startswith(b"\xef\xbb\xbf")
    assert sheet.headers["content-disposition"].endswith(f'filename="timeline-{session}.csv"')
    head, *rows = csv.reader(io.StringIO(sheet.content.decode("utf-8-sig")))
    kind, cause, coverage, text = (
        next(n for n, name in enumerate(head) if name.startswith(part))
        for part in ("类别", "原因代码", "覆盖率", "内容")
    )
    lane = next(lane for lane in shown["streams"] if lane["stream_id"] == main)
    mine = [row for row in rows if main in row]
    gaps = [(int(r[3]), int(r[4]), r[cause]) for r in mine if r[kind] == "gap"]
    assert gaps == [(gap["from"], gap["to"], gap["cause"]) for gap in lane["gaps"]]
    network = next(row for row in mine if row[cause] == "network")
    assert network[3:6] == [str(start + 4 * MINUTE), str(start + 5 * MINUTE + 1), "60000001"]
    assert network[1] == iso(start + 4 * MINUTE) and network[1].endswith("+08:00")
    assert {r[9]: int(r[coverage]) for r in mine if r[kind] == "coverage"} == {
        medium: round(share * 1_000_000) for medium, share in lane["coverage"].items()
    }
    # A spreadsheet does not take what somebody wrote for a formula; what another keeps is not in.
    assert [row[text] for row in rows if row[kind] == "marker"] == [f"'{formula}"]
    assert [note["text"] for note in file["markers"]] == [formula]
    (said,) = [one for one in file["streams"] if one["stream"] == main]
    assert [(g["from"]["us"], g["to"]["us"], g["cause"]) for g in said["gaps"]] == gaps
    with api.as_user("auditor", Role.AUDITOR) as client:
        for form in ("csv", "json"):
            problem_of(client.get(f"{address}/{form}"), 403, "forbidden")
    with api.database.read() as orm:
        fetched = orm.scalars(select(AuditEntry).where(AuditEntry.action == "timeline.fetch"))
        assert [entry.facts for entry in fetched] == [{"form": "csv"}, {"form": "json"}]
