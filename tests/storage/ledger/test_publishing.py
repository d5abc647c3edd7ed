"""Versions of the trust material: signed, going on from one another, countersigned, printed."""

import re
from pathlib import Path

import pytest
from support.authorities import policy_line
from support.ledger_site import Site
from support.published import ADMIN, Press
from typer.testing import CliRunner

from bidwitness.errors import ConfigError, DamageFound, InvalidInput
from bidwitness.storage.evidence.entries import RosterEntry
from bidwitness.storage.evidence.material import check_extends, identities, read_material
from bidwitness.storage.evidence.note import read_note, write_note
from bidwitness.storage.index.audit import Who
from bidwitness.storage.ledger.publishing import Publisher, newest, published
from bidwitness.storage.ledger.trust import announce_next_year
from bidwitness.storage.ledger.trust_commands import app
from bidwitness.storage.ledger.trust_page import trust_page
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.witness.logs import read_logs

YEAR_US = 366 * 86_400_000_000


@pytest.fixture
def press(site: Site, tmp_path: Path) -> Press:
    return Press.made(site, tmp_path)


def test_the_first_version_says_what_is_trusted_and_is_in_the_log(press: Press) -> None:
    made = press.publish()
    assert (made.version, made.previous, made.site) == (1, None, "site-1")
    assert [key.name for key in made.policy.logs] == ["site-1/log/2023"]
    assert set(made.policy.witnesses) == {"a", "b"}
    assert {change.what for change in made.history} == set(identities(made.policy))
    assert press.publish().digest == made.digest
    press.site.log()
    entries = [e for e in press.site.entries() if isinstance(e, RosterEntry) and e.role == "trust"]
    assert [entry.key for entry in entries] == [f"sha256:{made.digest}"]
    # A witness may be given it as it is.
    assert read_logs(press.data().decode()).keys() == {"site-1/log/2023"}
    assert press.site.problems() == []


def test_a_later_version_goes_on_from_the_one_before(press: Press) -> None:
    first = press.publish()
    press.site.clock.advance(YEAR_US)
    press.site.act()
    press.site.log()
    second = press.publish()
    assert (second.version, second.previous) == (2, first.digest)
    assert [key.name for key in second.policy.logs] == ["site-1/log/2023", "site-1/log/2024"]
    check_extends(first, second)
    assert [c.comes for c in second.history[len(first.history) :]] == [True]


def test_the_coming_years_key_is_published_before_it_is_used(press: Press) -> None:
    announce_next_year(press.site.index, press.site.settings, press.site.clock)
    press.site.log()
    names = [key.name for key in press.publish().policy.logs]
    assert names == ["site-1/log/2023", "site-1/log/2024"]


def test_who_is_asked_no_more_needs_a_reason_and_stays_in_the_history(press: Press) -> None:
    press.publish()
    press.near.path.write_text(
        press.near.lines().replace("group both all a b\nquorum both", "quorum a")
    )
    with pytest.raises(InvalidInput, match="needs a reason"):
        press.publish()
    made = press.publish("the court is no witness any more")
    assert made.policy.quorum == "a"
    gone = [change for change in made.history if not change.comes]
    assert {change.reason for change in gone} == {"the court is no witness any more"}
    assert len(gone) == 2


def test_authorities_and_reports_stay_for_what_is_past(press: Press) -> None:
    lines = press.near.path.read_bytes()
    press.near.path.write_bytes(lines + policy_line("city", b"certificate", "https://s.example"))
    first = press.publish()
    press.near.path.write_bytes(lines)
    assert press.publish().digest == first.digest
    press.near.path.write_bytes(lines + policy_line("city", b"another", "https://s.example"))
    with pytest.raises(ConfigError, match="new name"):
        press.publish()


def test_a_key_is_retired_by_its_fingerprint(press: Press) -> None:
    first = press.publish()
    print_ = first.policy.logs[0].fingerprint
    with pytest.raises(InvalidInput, match="16 digits"):
        press.publish("lost", (print_[:8],))
    with pytest.raises(InvalidInput, match="No key"):
        press.publish("lost", ("0" * 64,))
    made = press.publish("its disk was stolen", (print_,))
    assert made.policy.logs == ()
    assert made.history[-1].line().endswith(f"- log {first.policy.logs[0]} | its disk was stolen")


def test_the_centres_key_is_made_once(press: Press) -> None:
    press.publish()
    press.site.settings.trust_key_file.unlink()
    press.near.path.write_text(press.near.lines().replace("quorum both", "quorum a"))
    with pytest.raises(ConfigError, match="put it back"):
        press.publish("why")


def test_countersignatures_come_in_and_others_do_not(press: Press) -> None:
    made = press.publish()
    back = press.countersign("a", made)
    assert press.publisher.add(ADMIN, back)[1] == ["a"]
    assert press.publisher.add(ADMIN, back)[1] == []
    both = press.publisher.add(ADMIN, press.countersign("b", made))[0]
    assert set(both.countersigned) == {"a", "b"}
    assert both.countersigned["a"] == press.site.clock.utc_us() // 1_000_000
    # What was signed is the very text that was published.
    assert published(press.site.settings, 1).digest == made.digest
    note = read_note(back)
    wrong = note.signatures[1]
    forged = write_note(
        note.text, (note.signatures[0], type(wrong)(wrong.name, wrong.key_id, bytes(72)))
    )
    with pytest.raises(InvalidInput, match="wrong"):
        press.publisher.add(ADMIN, forged)
    with pytest.raises(InvalidInput):
        press.publisher.add(ADMIN, b"what")


def test_a_changed_file_on_our_own_disk_is_damage(press: Press) -> None:
    press.publish()
    path = press.site.settings.trust / "000001.txt"
    path.write_bytes(path.read_bytes().replace(b"quorum both", b"quorum a   "))
    with pytest.raises(DamageFound):
        newest(press.site.settings)


def test_a_version_that_a_crash_left_unlogged_is_logged_by_the_next(press: Press) -> None:
    made = press.publish()
    press.site.log()
    other = Publisher(press.site.index, press.site.settings, press.site.clock, SystemFiles())
    for _ in range(2):
        other.publish(Who("again"))
    press.site.log()
    entries = [e for e in press.site.entries() if isinstance(e, RosterEntry) and e.role == "trust"]
    assert [entry.key for entry in entries] == [f"sha256:{made.digest}"]


def test_the_page_has_every_fingerprint_chinese_first_and_no_script(press: Press) -> None:
    made = press.publish()
    press.publisher.add(ADMIN, press.countersign("a", made))
    page = trust_page(published(press.site.settings, 1))
    assert page.index("信任材料") < page.index("Trust material")
    shown = page.replace(" ", "")
    keys = [made.centre, *made.policy.logs, *made.policy.witnesses.values()]
    assert all(key.fingerprint in shown for key in keys)
    assert made.digest in shown
    assert "尚未 not yet" in page
    assert "<svg" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)


def test_the_commands(press: Press, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDWITNESS_DATA", str(press.site.settings.data))
    monkeypatch.setenv("BIDWITNESS_DATABASE", str(press.site.index.engine.url))
    monkeypatch.setenv("BIDWITNESS_WITNESSES", str(press.near.path))

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    assert run() == run("--out", str(tmp_path / "bare")) or (tmp_path / "bare").exists()
    run("publish", "--out", str(tmp_path / "v1"))
    made = read_material((tmp_path / "v1").read_bytes())
    (tmp_path / "back").write_bytes(press.countersign("b", made))
    assert "new b; still missing a" in run("add", str(tmp_path / "back"))
    run("show", "--out", str(tmp_path / "v1"))
    told = run("check", str(tmp_path / "v1"), "--key", made.centre.fingerprint)
    assert "countersigned by b" in told
    with pytest.raises(DamageFound, match="key that was given"):
        run("check", str(tmp_path / "v1"), "--key", "0" * 64)
    assert "<html" in run("page")
