"""`bidwitness trust` and `bidwitness new-log-shard`, as somebody at a terminal has them."""

from pathlib import Path

import pytest
from support.authorities import policy_line
from support.ledger_site import Site
from support.witnesses import Neighbours

from bidwitness.errors import ConfigError, Conflict, NotFound
from bidwitness.storage.evidence.entries import RosterEntry
from bidwitness.storage.evidence.policy import NO_QUORUM, read_policy
from bidwitness.storage.ledger.commands import new_log_shard, trust
from bidwitness.storage.witness.logs import read_logs

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


def test_the_key_of_the_coming_year_is_known_before_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.act()
    site.log()
    monkeypatch.setattr("bidwitness.storage.ledger.commands.SystemClock", lambda: site.clock)
    for _ in range(2):
        trust(tmp_path / "policy", next_year=True)
    policy = read_policy((tmp_path / "policy").read_bytes())
    assert [key.name for key in policy.logs] == ["site-1/log/2023", "site-1/log/2024"]
    site.log()
    assert [e.key for e in site.entries() if isinstance(e, RosterEntry)] == [
        str(key) for key in policy.logs
    ]
    site.clock.advance(YEAR_US)
    site.act()
    site.log()
    trust(tmp_path / "later")
    assert read_policy((tmp_path / "later").read_bytes()).logs == policy.logs


def test_trust_names_who_else_vouches(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = Neighbours(site, tmp_path / "near", ("a", "b"), "group both all a b\nquorum both")
    site.act()
    site.log()
    with near.path.open("ab") as file:
        file.write(policy_line("city", b"certificate", "https://stamps.example"))
    monkeypatch.setenv("BIDWITNESS_WITNESSES", str(near.path))
    trust(tmp_path / "policy")
    text = (tmp_path / "policy").read_text()
    policy = read_policy(text.encode())
    assert {name: str(key) for name, key in policy.witnesses.items()} == {
        name: str(witness.key) for name, witness in near.witnesses.items()
    }
    assert (policy.quorum, policy.timestamps) == ("both", {"city": (b"certificate",)})
    assert policy.enough(["a", "b"])
    assert not policy.enough(["a"])
    assert all(witness.key.fingerprint in text for witness in near.witnesses.values())
    # A witness may be given it as it is, as its list of logs.
    assert read_logs(text).keys() == {"site-1/log/2023"}
    near.path.write_text("log a\nquorum none\n")
    with pytest.raises(ConfigError, match="BIDWITNESS_WITNESSES"):
        trust()


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
