"""Two writers of one index, each with a log folder of its own: only one of them ever signs."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import update
from support.ledger_site import Site

from bidwitness.config import load_settings
from bidwitness.storage.evidence.note import read_checkpoint, read_note
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.shard import ShardLog
from bidwitness.storage.spool.files import SystemFiles


@pytest.fixture
def first(index: Database, tmp_path: Path) -> Site:
    site = Site(index, load_settings(data=tmp_path / "first"))
    site.act(3)
    site.log()
    return site


def second_of(first: Site, tmp_path: Path) -> Site:
    """A machine with a copy of the data folder, keys and all: its lock is another one."""
    shutil.copytree(first.settings.data, tmp_path / "second")
    return Site(first.index, load_settings(data=tmp_path / "second"), first.clock)


def head(site: Site) -> tuple[int, bytes]:
    found = read_checkpoint(read_note((site.folder / "checkpoint").read_bytes()))
    return found.size, found.root


def test_a_writer_that_was_overtaken_signs_nothing(first: Site, tmp_path: Path) -> None:
    second = second_of(first, tmp_path)
    assert second.ledger.log_some() == 0  # it has opened the log now, and remembers it
    first.act(2)
    first.log()
    first.act()
    before = head(second)
    assert second.ledger.log_some() == 0
    assert "another process writes the log" in str(first.alarm())
    assert head(second) == before == (5, before[1])
    # It does not come to another conclusion later; the other one goes on.
    assert second.ledger.log_some() == 0
    assert head(second) == before
    assert first.ledger.log_some() == 1
    assert head(first)[0] == 8
    assert first.problems() == []


def test_a_writer_that_is_overtaken_at_the_last_moment(first: Site, tmp_path: Path) -> None:
    second = second_of(first, tmp_path)

    def meanwhile(_shard: str) -> None:
        first.log()

    ledger = Ledger(first.index, second.settings, first.clock, SystemFiles(), meanwhile)
    first.act(2)
    before = head(second)
    assert ledger.log_some() == 0
    assert head(second) == before
    assert head(first)[0] == 7
    assert first.problems() == []


class Killed(BaseException):
    """What a kill is like: nothing catches it."""


def test_what_a_killed_writer_promised_no_other_signs_differently(
    first: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = second_of(first, tmp_path)
    before = head(first)

    def die(*_: object) -> None:
        raise Killed

    first.act(2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ShardLog, "_publish", die)
        first.ledger.log_some()
    assert head(first) == before
    first.act()
    assert second.ledger.log_some() == 0
    assert "old copy" in str(first.alarm())
    assert head(second) == before
    # Where its tiles are, what it was about to sign is signed, and then what came after.
    first.restart()
    assert first.ledger.log_some() == 1
    assert head(first)[0] == 8
    assert first.problems() == []


@pytest.mark.parametrize("what", ["size", "root", "given_up", "restored_us"])
def test_an_index_that_knows_something_else_stops_a_running_writer(first: Site, what: str) -> None:
    other = {"size": 999, "root": b"x" * 32, "given_up": "moved", "restored_us": 1}[what]
    with first.index.write() as orm:
        orm.execute(update(LogShard).values({what: other}))
    first.act()
    before = head(first)
    assert first.ledger.log_some() == 0
    assert "Let one `keep` run" in str(first.alarm())
    assert head(first) == before
