"""The timeline as the pages read it."""

from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.factories import MINUTE, SECOND, Tape
from support.session_desk import Desk

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
