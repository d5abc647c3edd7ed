"""From the outbox into the log: each entry once, through kills; never against what was signed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from support.ledger_site import Site

from bidwitness.clock import SystemClock
from bidwitness.errors import Conflict, IndexUnavailable, InvalidInput, StorageFull
from bidwitness.storage.check.problems import Fault
from bidwitness.storage.evidence.entries import (
    AuditCommitment,
    RosterEntry,
    ShardBefore,
    ShardEntry,
)
from bidwitness.storage.evidence.note import read_key, read_note
from bidwitness.storage.index.models import AuditEntry, Outbox
from bidwitness.storage.ledger.giving_up import give_up
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.shard import ShardLog

YEAR_US = 366 * 86_400_000_000


def commitments(site: Site, shard: str | None = None) -> list[str]:
    return [e.commitment for e in site.entries(shard) if isinstance(e, AuditCommitment)]


def wanted(site: Site) -> list[str]:
    return [row.body["entry"]["commitment"] for row in site.rows()]


def test_each_entry_is_logged_once_and_told(site: Site) -> None:
    site.act(3)
    assert site.ledger.log_some() == 3
    assert site.ledger.log_some() == 0
    first, key = site.entries()[:2]
    assert first == ShardEntry(None, None)
    assert isinstance(key, RosterEntry)
    note = read_note((site.folder / "checkpoint").read_bytes())
    assert note.verified_by(read_key(key.key)) is not None
    assert commitments(site) == wanted(site)
    assert [(r.shard, r.position) for r in site.rows()] == [("2023", n) for n in (2, 3, 4)]
    assert site.problems() == []


class Killed(BaseException):
    """What a kill is like: nothing catches it."""


def killed_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Killed

    owner = ShardLog if hasattr(ShardLog, step) else Ledger
    monkeypatch.setattr(owner, step, die)


@pytest.mark.parametrize("step", ["append", "_put", "_publish", "_drop_partials", "_note"])
@pytest.mark.parametrize("begun", [True, False])
def test_a_kill_loses_nothing_and_doubles_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str, begun: bool
) -> None:
    if begun:
        site.act(300)
        site.log()
    site.act(5)
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(Killed):
            site.ledger.log_some()
    site.restart()
    site.act(2)
    site.log()
    assert sorted(commitments(site)) == sorted(wanted(site))
    assert site.problems() == []
    assert site.alarm() is None


def test_an_index_that_is_away_when_it_is_to_be_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.act(5)

    def away(*_: Any) -> None:
        raise IndexUnavailable("The index does not answer.")

    with monkeypatch.context() as patch, pytest.raises(IndexUnavailable):
        patch.setattr(site.ledger, "_note", away)
        site.ledger.log_some()
    site.log()
    assert commitments(site) == wanted(site)


def test_a_full_disk_is_waited_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.act(2)
    site.log()
    site.act(2)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StorageFull):
        patch.setattr(ShardLog, "_write", full)
        site.ledger.log_some()
    site.log()
    assert commitments(site) == wanted(site)


def old_copy(site: Site, keep: Path) -> None:
    shutil.rmtree(site.folder)
    shutil.copytree(keep, site.folder)


def forked(site: Site, keep: Path) -> None:
    """The same key, the same size, other entries: what a thief of the key would put there."""
    shutil.rmtree(site.folder)
    other = Site(site.index, site.settings.model_copy(update={"database": "sqlite://"}))
    signer = site.ledger._shard[1]._signer if site.ledger._shard else None
    assert signer is not None
    log = ShardLog(other.folder, signer, site.ledger._files)
    log.append([b"{}"] * 20)


def gone(site: Site, keep: Path) -> None:
    shutil.rmtree(site.folder)


@pytest.mark.parametrize("lose", [old_copy, forked, gone], ids=lambda f: f.__name__)
def test_a_log_that_is_not_the_promised_one_stops_and_has_a_way_out(
    site: Site, tmp_path: Path, lose: Callable[[Site, Path], None]
) -> None:
    site.act(3)
    site.log()
    shutil.copytree(site.folder, tmp_path / "copy")
    site.act(4)
    site.log()
    lose(site, tmp_path / "copy")
    before = sorted(p for p in site.settings.log.rglob("*") if p.is_file())

    site.restart()
    site.act()
    assert site.ledger.log_some() == 0
    assert "contradict what was signed" in str(site.alarm())
    assert "new-log-shard" in str(site.alarm())
    assert sorted(p for p in site.settings.log.rglob("*") if p.is_file()) == before
    assert any(problem.is_damage for problem in site.problems())

    with pytest.raises(Conflict, match="Another process writes"):
        give_up(site.index, site.settings, site.clock, "the disk broke")
    site.ledger.close()
    with pytest.raises(InvalidInput):
        give_up(site.index, site.settings, site.clock, " ")
    shard, again = give_up(site.index, site.settings, site.clock, "the disk broke")
    assert shard == "2023"
    assert again == (4 if lose is old_copy else 7)

    site.restart()
    site.log()
    first = site.entries("2023-2")[0]
    assert isinstance(first, ShardEntry)
    assert isinstance(first.previous, ShardBefore)
    assert (first.previous.size, first.reason) == (9, "the disk broke")
    there = commitments(site, "2023-2") + (commitments(site) if lose is old_copy else [])
    assert sorted(there) == sorted(wanted(site))
    assert site.alarm() is None
    assert site.damage() == []


def test_an_index_from_an_old_backup_does_not_turn_the_log_back(site: Site) -> None:
    site.act(3)
    site.log()
    with site.index.write() as orm:
        orm.execute(update(Outbox).values(shard=None, position=None, logged_us=None))
        orm.execute(text("UPDATE log_shards SET size = 0, root = :r"), {"r": b""})
        orm.execute(text("DELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox)"))
    site.restart()
    site.act()
    site.log()
    found = commitments(site)
    assert len(found) == len(set(found)) == 4
    assert set(wanted(site)) <= set(found)


def test_a_new_year_begins_a_new_shard(site: Site) -> None:
    site.act(3)
    site.log()
    old = site.tiles()
    site.clock.advance(YEAR_US)
    site.act(2)
    site.log()
    begins, key = site.entries("2024")[:2]
    assert begins == ShardEntry(ShardBefore("site-1/log/2023", 5, old.root().hex()), None)
    assert isinstance(key, RosterEntry)
    # Each shard has a key of its own.
    assert read_key(key.key).public not in (site.folder / "checkpoint").read_bytes()
    assert (site.settings.keys / "log-2024.key").is_file()
    assert commitments(site) + commitments(site, "2024") == wanted(site)
    assert site.problems() == []


def test_a_key_that_others_can_read_stops_the_log(site: Site) -> None:
    site.act()
    site.log()
    (site.settings.keys / "log-2023.key").chmod(0o644)
    site.restart()
    site.act()
    assert site.ledger.log_some() == 0
    assert "chmod 600" in str(site.alarm())
    (site.settings.keys / "log-2023.key").chmod(0o600)
    site.log()
    assert site.alarm() is None


def test_a_second_writer_is_refused(site: Site) -> None:
    site.act()
    site.log()
    second = site.new_ledger()
    site.act()
    assert second.log_some() == 0
    assert "Another process" in str(site.alarm())


def test_an_audit_entry_altered_after_it_was_logged(site: Site) -> None:
    site.act(2)
    site.log()
    with site.index.write() as orm:
        orm.execute(text("DROP TRIGGER audit_entries_no_update"))
        orm.execute(update(AuditEntry).where(AuditEntry.id == 2).values(who="somebody else"))
    assert [(p.fault, p.subject) for p in site.problems()] == [(Fault.DIFFERS, "audit entry 2")]


def test_what_waits_too_long_is_told(site: Site) -> None:
    site.act()
    assert site.problems() == []
    site.clock.sleep(601)
    assert [p.detail for p in site.problems()] == ["is not in the log"]


def test_it_is_quick(site: Site) -> None:
    """Far below what was measured (docs/ledger.md), so that only a blunder is found, no noise."""
    clock = SystemClock()
    site.act(2000)
    began = clock.monotonic_us()
    site.log()
    assert 2000 / ((clock.monotonic_us() - began) / 1e6) > 200
