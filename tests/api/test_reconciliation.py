"""The administrator of audit sees what the walk found, and has it walk again."""

from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.ledger_site import Site
from support.trail import by_sql, with_signet

from bidwitness.storage.trail.keeper import TrailKeeper
from bidwitness.words import Role

PATH = "/api/v1/audit/reconciliation"


def test_what_was_done_by_sql_is_told_by_name(api: RunningApi, clock: FakeClock) -> None:
    settings = api.parts.settings
    site = Site(with_signet(api.database, settings), settings, clock)
    site.act(4)
    site.log()
    walker = TrailKeeper(site.index, settings, clock)
    with api.as_user("eyes", Role.AUDIT_ADMIN) as eyes, api.as_user("ops", Role.OPERATOR) as ops:
        problem_of(ops.get(PATH), 403, "forbidden")
        problem_of(ops.post(PATH), 403, "forbidden")
        before = eyes.get(PATH).json()
        assert (before["last"], before["running"], before["wanted_at"]) == (None, False, None)
        # The API of this test writes without the site's mark: its own entries stand for a stranger's.
        asked = eyes.post(PATH)
        assert asked.status_code == 202, asked.text
        assert asked.json()["wanted_at"] == clock.utc_us()
        assert asked.json()["waiting"] > 0
        by_sql(site.index, "UPDATE audit_entries SET who = 'nobody' WHERE id = 2")
        site.log()
        while walker.walk_some():
            pass
        site.log()
        found = eyes.get(PATH).json()
        assert (found["running"], found["wanted_at"], found["waiting"]) == (False, None, 0)
        assert ("edited", 2) in [(f["fault"], f["first"]) for f in found["last"]["findings"]]
        assert "inserted" in [f["fault"] for f in found["last"]["findings"]]
        assert found["last"]["faults"] >= 2
