"""`bidwitness check audit`, as somebody at a terminal has it: what it prints, and how it ends."""

import pytest
from support.ledger_site import Site
from support.trail import by_sql

from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError
from bidwitness.storage.check.command import run_check
from bidwitness.storage.check.problems import Part


def test_whole_damaged_and_away(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.index.engine.url.render_as_string(hide_password=False)
    settings = site.settings.model_copy(update={"database": url})
    site.act(3)
    site.log()
    assert check(settings) == 0
    assert capsys.readouterr().out == "audit: 8 looked at, 0 damaged, 0 unknown\n"
    by_sql(site.index, "DELETE FROM audit_entries WHERE id = 2")
    assert check(settings) == 65
    out = capsys.readouterr().out
    assert "missing    audit entry 2: removed" in out
    assert "audit: 8 looked at, 1 damaged, 0 unknown" in out
    away = "postgresql+psycopg://nobody@127.0.0.1:9/none"
    assert check(settings.model_copy(update={"database": away})) == 69


def check(settings: Settings) -> int:
    try:
        run_check(settings, Part.AUDIT)
    except BidWitnessError as error:
        return error.exit_code
    return 0
