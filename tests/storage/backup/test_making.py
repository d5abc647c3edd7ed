"""A backup: consistent while everything goes on, whole or not there, and told of."""

import json
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.backups import PASSPHRASE, spoil
from support.factories import Tape
from support.places import a_stream

from bidwitness.clock import SystemClock
from bidwitness.errors import (
    ConfigError,
    Conflict,
    DamageFound,
    InvalidInput,
    NotFound,
    StorageFull,
)
from bidwitness.storage.backup import making
from bidwitness.storage.backup.making import make_backup
from bidwitness.storage.backup.manifest import INDEX, KEYS, NAME
from bidwitness.storage.backup.restoring import verify_backup
from bidwitness.storage.index.database import open_database
from bidwitness.storage.index.models import AuditEntry

# The fixtures' type is in support; conftest.py cannot be imported.
Place = Any


def quiet(_said: str) -> None:
    """Nobody listens."""


def test_it_holds_index_log_and_sealed_keys(here: Place, tmp_path: Path) -> None:
    here.act(300)
    here.log()
    (here.settings.keys / "report.pem").write_bytes(b"a certificate")
    (here.settings.keys / "report.pem").chmod(0o600)
    made = here.save(tmp_path / "backups")
    assert made.folder.parent == tmp_path / "backups"
    assert made.folder.name == "site-1-20231114T221320Z"
    assert made.not_whole == []
    assert made.manifest.keys == ("log-2023.key", "report.pem")
    (head,) = made.manifest.log
    assert (head.shard, head.size, head.state) == ("2023", 302, "whole")
    found = verify_backup(made.folder, PASSPHRASE, quiet)
    assert found.keys == {
        path.name: path.read_bytes() for path in sorted(here.settings.keys.iterdir())
    }
    assert any("302 entries" in said for said in here.said)
    # No key lies open in it, and nobody else can read it.
    secret = (here.settings.keys / "log-2023.key").read_bytes().strip()
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)
    assert {path.stat().st_mode & 0o077 for path in (made.folder, *files)} == {0}
    # Who took it is in the audit, and so in the log.
    with here.index.read() as orm:
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "index.backup")).one()
    assert entry.subject == f"backup:{made.folder.name}"
    assert here.ledger.log_some() == 1


def test_it_holds_one_instant_of_the_index(here: Place, tmp_path: Path) -> None:
    """While others write, every row that a row points to is there."""
    stream, stop = a_stream(here.index), threading.Event()

    def write() -> None:
        at = 1_700_000_000_000_000
        while not stop.is_set():
            with here.index.write() as orm:
                Tape(orm, stream).segment(at, at + 60_000_000)
            at += 60_000_000

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [make_backup(here.index, here.settings, here.clock, tmp_path / str(n), None, quiet)
                for n in range(3)]  # fmt: skip
    finally:
        stop.set()
        writer.join()
    for backup in made:
        verify_backup(backup.folder, None, quiet)
        with sqlite3.connect(backup.folder / INDEX) as held:
            (segments,) = held.execute("SELECT count(*) FROM segments").fetchone()
            (records,) = held.execute("SELECT count(*) FROM records").fetchone()
        held.close()
        assert segments == records


def test_it_is_of_the_log_that_its_index_knows(here: Place, tmp_path: Path) -> None:
    """While the log grows, it never lacks what the index says was signed."""
    here.act(5)
    here.log()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            here.act(3)
            here.ledger.log_some()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # The real clock: it may have to wait for what was promised.
        made = [make_backup(here.index, here.settings, SystemClock(), tmp_path / str(n), None, quiet)
                for n in range(3)]  # fmt: skip
    finally:
        stop.set()
        writer.join()
    for backup in made:
        assert backup.not_whole == []
        with sqlite3.connect(backup.folder / INDEX) as held:
            (size,) = held.execute("SELECT size FROM log_shards").fetchone()
        held.close()
        assert backup.manifest.log[0].size >= size
        verify_backup(backup.folder, None, quiet)


def test_it_is_there_whole_or_not_at_all(
    sqlite_here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sqlite_here
    here.work(2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    into = tmp_path / "backups"
    with monkeypatch.context() as patch, pytest.raises(StorageFull, match="No space"):
        patch.setattr(making, "sync_tree", full)
        here.save(into)
    assert [path.name for path in into.iterdir()] == [".bidwitness-backup.lock"]

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(making, "sync_tree", die)
        patch.setattr(shutil, "rmtree", die)
        here.save(into)
    here.clock.sleep(1)
    here.save(into)
    # What the killed one left is gone.
    assert len([path for path in into.iterdir() if path.is_dir()]) == 1


def test_what_is_refused(here: Place, there: Place, tmp_path: Path) -> None:
    here.work()
    with pytest.raises(InvalidInput, match="would be lost with it"):
        here.save(here.settings.data / "backups")
    with pytest.raises(NotFound, match="There is no index"):
        there.save(tmp_path / "backups")
    here.save(tmp_path / "backups")
    with pytest.raises(Conflict, match="is there already"):
        here.save(tmp_path / "backups")
    (here.settings.keys / "log-2023.key").chmod(0o644)
    here.clock.sleep(1)
    with pytest.raises(ConfigError, match="chmod 600"):
        here.save(tmp_path / "backups")
    here.save(tmp_path / "backups", None)


def test_two_at_once_do_not_mix(sqlite_here: Place, tmp_path: Path) -> None:
    here = sqlite_here
    here.work()
    with making._alone(tmp_path), pytest.raises(Conflict, match="Another backup"):
        here.save(tmp_path)


@pytest.mark.parametrize("state", ["damaged", "missing"])
def test_a_broken_log_does_not_hinder_the_backup_of_the_index(
    sqlite_here: Place, tmp_path: Path, state: str
) -> None:
    here = sqlite_here
    here.work(3)
    if state == "damaged":
        spoil(here.folder / "tile/0/000.p/5")
    else:
        shutil.rmtree(here.folder)
    made = here.save(tmp_path / "backups")
    assert made.not_whole == [f"the log 2023 is {state}"]
    verify_backup(made.folder, PASSPHRASE, quiet)


def flip_index(folder: Path) -> None:
    spoil(folder / INDEX)


def flip_tile(folder: Path) -> None:
    spoil(next(folder.glob("log/2023/tile/entries/000.p/*")))


def drop_checkpoint(folder: Path) -> None:
    (folder / "log/2023/checkpoint").unlink()


def add_file(folder: Path) -> None:
    (folder / "log/2023/more").write_bytes(b"")


def add_link(folder: Path) -> None:
    (folder / "log/2023/more").symlink_to("/etc/passwd")


def flip_keys(folder: Path) -> None:
    spoil(folder / KEYS)


def drop_manifest(folder: Path) -> None:
    (folder / NAME).unlink()


def cut_manifest(folder: Path) -> None:
    (folder / NAME).write_bytes((folder / NAME).read_bytes()[:-20])


def point_outside(folder: Path) -> None:
    body = json.loads((folder / NAME).read_bytes())
    body["files"][0]["path"] = "../../etc/passwd"
    (folder / NAME).write_text(json.dumps(body))


HARM = [
    flip_index, flip_tile, drop_checkpoint, add_file, add_link, flip_keys, drop_manifest,
    cut_manifest, point_outside,
]  # fmt: skip


@pytest.mark.parametrize("harm", HARM, ids=lambda f: f.__name__)
def test_what_was_harmed_is_found(sqlite_here: Place, tmp_path: Path, harm: Any) -> None:
    sqlite_here.work(3)
    folder = sqlite_here.save(tmp_path / "backups").folder
    harm(folder)
    for passphrase in (PASSPHRASE, None):
        with pytest.raises(DamageFound):
            verify_backup(folder, passphrase, quiet)


def test_who_has_no_passphrase_cannot_change_it_unseen(sqlite_here: Place, tmp_path: Path) -> None:
    """Whoever makes the digests fit again has still not the manifest that was sealed."""
    sqlite_here.work(3)
    folder = sqlite_here.save(tmp_path / "backups").folder
    manifest = json.loads((folder / NAME).read_bytes())
    manifest["made_us"] += 1
    (folder / NAME).write_text(json.dumps(manifest))
    verify_backup(folder, None, quiet)
    with pytest.raises(DamageFound, match="not the one that this backup was made with"):
        verify_backup(folder, PASSPHRASE, quiet)
    with pytest.raises(InvalidInput, match="The passphrase is not the one"):
        verify_backup(folder, b"another passphrase", quiet)


def test_a_backup_of_a_newer_program(sqlite_here: Place, tmp_path: Path) -> None:
    sqlite_here.work()
    folder = sqlite_here.save(tmp_path / "backups", None).folder
    manifest = json.loads((folder / NAME).read_bytes())
    (folder / NAME).write_text(json.dumps({**manifest, "revision": "9999"}))
    with pytest.raises(ConfigError, match="newer program"):
        verify_backup(folder, None, quiet)
    (folder / NAME).write_text(json.dumps({**manifest, "format": "bidwitness backup 9"}))
    with pytest.raises(DamageFound, match="does not know"):
        verify_backup(folder, None, quiet)


def test_the_copy_can_be_opened_as_an_index(sqlite_here: Place, tmp_path: Path) -> None:
    sqlite_here.work(3)
    folder = sqlite_here.save(tmp_path / "backups", None).folder
    copy = open_database(f"sqlite:///{folder}/{INDEX}")
    with copy.read() as orm:
        assert len(orm.scalars(select(AuditEntry)).all()) == 3
    copy.close()
