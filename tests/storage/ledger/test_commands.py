"""`bidwitness trust` and `bidwitness new-log-shard`, as somebody at a terminal has them."""

from pathlib import Path

import pytest
from support.ledger_site import Site

from bidwitness.errors import Conflict, NotFound
from bidwitness.storage.evidence.policy import NO_QUORUM, read_policy
from bidwitness.storage.ledger.commands import new_log_shard, trust

YEAR_US = 366 * 86_400_000_000


@pytest.fixture(autouse=True)
def _environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDWITNESS_DATA", str(site.settings.data))
    monkeypatch.setenv("BIDWITNESS_DATABASE", str(site.index.engine.url))


def test_trust_names_every_shard(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFound, match="no log yet"):
        trust()
    site.act()
    site.log()
    site.clock.advance(YEAR_US)
    site.act()
    site.log()
    trust(tmp_path / "policy")
    policy = read_policy((tmp_path / "policy").read_bytes())
    assert [key.name for key in policy.logs] == ["site-1/log/2023", "site-1/log/2024"]
    assert (policy.recorders, policy.quorum) == ((), NO_QUORUM)
    trust()
    said = capsys.readouterr().out
    assert said.encode() == (tmp_path / "policy").read_bytes()
    assert all(key.fingerprint in said for key in policy.logs)


def test_a_shard_is_given_up_only_while_keep_is_stopped(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.act(2)
    site.log()
    with pytest.raises(Conflict):
        new_log_shard("moved to another machine")
    site.ledger.close()
    new_log_shard("moved to another machine")
    # Nothing was lost, so nothing is logged twice.
    assert "2023 is given up; 0 entries" in capsys.readouterr().out
    with pytest.raises(NotFound):
        new_log_shard("again")
