"""Restoring: equal to what was saved, never over anything, and nothing half done."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.backups import Place as Site
from support.backups import spoil
from support.database import empty_database
from support.factories import Tape
from support.places import a_stream
from support.published import Press

from bidwitness.config import load_settings
from bidwitness.errors import ConfigError, Conflict, InvalidInput
from bidwitness.storage.backup import restoring
from bidwitness.storage.backup.material import put_back_material
from bidwitness.storage.backup.rows import refuse_living_index
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import open_database
from bidwitness.storage.index.models import AuditEntry, Login, LogShard, User
from bidwitness.storage.keep.lock import KeepLock
from bidwitness.storage.ledger.publishing import published_bytes
from bidwitness.storage.spool.files import SystemFiles

Place = Any
# What a restore itself changes.
CHANGED = {"logins", "log_shards", "audit_entries", "outbox"}


def fill(place: Place) -> None:
    """Rows with all that is hard to carry over: blobs, JSON, words, numbers, nothing."""
    stream = a_stream(place.index)
    with place.index.write() as orm:
        tape = Tape(orm, stream)
        tape.segments(1_700_000_000_000_000, 1_700_000_600_000_000)
        tape.gap(1_700_000_600_000_000, 1_700_000_700_000_000)
        orm.add(User(id="u" * 16, username="zhao", name="赵", password_hash="x", created_us=1))
        orm.flush()
        orm.add(
            Login(user_id="u" * 16, token_sha256=b"t" * 32, created_us=1, seen_us=1, expires_us=2)
        )
        facts = {"名": ["a", None, 1.5], "empty": {}}
        leave_audit_entry(orm, Who("赵"), "test", "session:x", 1, facts=facts)
    place.work(3)


def test_the_index_is_the_one_that_was_saved(here: Place, there: Place, tmp_path: Path) -> None:
    fill(here)
    saved = here.rows_of()
    made = here.save(tmp_path / "backups")
    done = there.restore(made.folder)
    assert (done.keys, done.shards) == (("log-2023.key",), ("2023",))
    found = there.rows_of()
    assert {name: rows for name, rows in found.items() if name not in CHANGED} == {
        name: rows for name, rows in saved.items() if name not in CHANGED
    }
    assert found["logins"] == []
    with there.index.read() as orm:
        entries = orm.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert (entries[-1].action, entries[-1].id) == ("index.restore", len(entries))
        assert entries[0].facts == {"名": ["a", None, 1.5], "empty": {}}
        assert orm.scalars(select(LogShard)).one().restored_us == there.clock.utc_us()
    key = there.settings.keys / "log-2023.key"
    assert key.read_bytes() == (here.settings.keys / "log-2023.key").read_bytes()
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    left = {path.name.split("-")[0] for path in there.settings.data.iterdir()}
    assert left <= {"index.db", "keys", "log", "keep.lock"}
    # Numbers go on after those that came back.
    there.act(2)


@pytest.mark.parametrize("towards", ["postgresql", "sqlite"])
def test_either_database_takes_the_others(
    towards: str, sqlite_here: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(sqlite_here)
    saved = sqlite_here.rows_of()
    made = sqlite_here.save(tmp_path / "backups")
    with empty_database(request.getfixturevalue("postgres")) as url:
        database = open_database(url)
        second = Site(database, load_settings(data=tmp_path / "second", database=url))
        second.restore(made.folder)
        found = second
        if towards == "sqlite":
            folder = second.save(tmp_path / "again").folder
            settings = load_settings(data=tmp_path / "third")
            found = Site(open_database(settings.database_url), settings)
            found.restore(folder)
        rows = found.rows_of()
        same = saved.keys() - CHANGED
        assert {name: rows[name] for name in same} == {name: saved[name] for name in same}
        found.index.close()
        database.close()


def test_nothing_is_written_over_a_living_index(here: Place, there: Place, tmp_path: Path) -> None:
    here.work()
    made = here.save(tmp_path / "backups")
    before = here.rows_of()
    with pytest.raises(Conflict, match="an index already"):
        here.restore(made.folder)
    assert here.rows_of() == before
    there.restore(made.folder)
    with pytest.raises(Conflict, match="an index already"):
        there.restore(made.folder)


def test_what_an_index_left_beside_it(sqlite_here: Place, tmp_path: Path) -> None:
    sqlite_here.work()
    made = sqlite_here.save(tmp_path / "backups")
    settings = load_settings(data=tmp_path / "new")
    place = Site(open_database(settings.database_url), settings)
    (settings.data / "index.db-wal").write_bytes(b"of another index")
    with pytest.raises(Conflict, match=r"index\.db-wal"):
        place.restore(made.folder)


def test_what_lives_stays_and_what_is_lost_comes_back(
    here: Place, there: Place, tmp_path: Path
) -> None:
    """The index was lost, and the newer log and the keys were not: nothing of them is turned back."""
    here.work(3)
    made = here.save(tmp_path / "backups")
    here.work(4)
    there.copy_log(here)
    newest = (there.folder / "checkpoint").read_bytes()
    (there.settings.keys / "live.key").write_bytes(b"newer than the backup")
    done = there.restore(made.folder)
    assert (done.keys, done.shards) == ((), ())
    assert (there.folder / "checkpoint").read_bytes() == newest
    assert "log 2023: left as it was" in there.said


def test_the_trust_material_comes_back_and_goes_on(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    """Without the published versions the next one would be another version 1."""
    press = Press.made(sqlite_here, tmp_path)
    first = press.publish()
    press.countersign("a", first)
    made = sqlite_here.save(tmp_path / "backups")
    sqlite_here.ledger.close()
    sqlite_there.restore(made.folder)
    assert published_bytes(sqlite_there.settings, 1) == press.data(1)
    there = Press(sqlite_there, press.near)
    second = there.publish("keys after a restore", retire=())
    assert (second.version, second.previous) == (2, first.digest)
    # What is there is newer than any backup.
    (sqlite_there.settings.trust / "000001.txt").write_bytes(b"countersigned since")
    assert put_back_material(sqlite_there.settings, SystemFiles(), made.folder / "trust") == 0


def another_key(there: Place) -> None:
    spoil(there.settings.keys / "log-2023.key")


def older_log(there: Place) -> None:
    (there.folder / "checkpoint").unlink()


def open_key(there: Place) -> None:
    (there.settings.keys / "log-2023.key").chmod(0o640)


@pytest.mark.parametrize("harm", [another_key, older_log, open_key], ids=lambda f: f.__name__)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path, harm: Any
) -> None:
    here, there = sqlite_here, sqlite_there
    here.work(3)
    made = here.save(tmp_path / "backups")
    there.copy_log(here)
    harm(there)
    before = sorted(path for path in there.settings.data.rglob("*") if path.is_file())
    with pytest.raises((Conflict, ConfigError)):
        there.restore(made.folder)
    after = sorted(path for path in there.settings.data.rglob("*") if path.is_file())
    assert [path for path in after if path.name not in (".lock", "keep.lock")] == [
        path for path in before if path.name not in (".lock", "keep.lock")
    ]


def test_another_site_and_a_running_keep(here: Place, there: Place, tmp_path: Path) -> None:
    here.work()
    made = here.save(tmp_path / "backups")
    other = there.settings.model_copy(update={"site": "site-2"})
    with pytest.raises(InvalidInput, match="BIDWITNESS_SITE says site-2"):
        Site(there.index, other).restore(made.folder)
    lock = KeepLock(there.index, there.settings.data / "keep.lock")
    assert lock.acquire()
    with pytest.raises(Conflict, match="`keep` runs"):
        there.restore(made.folder)
    lock.release()
    there.restore(made.folder)


def test_a_restore_that_was_killed_is_done_again(
    here: Place, there: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.work(3)
    made = here.save(tmp_path / "backups")

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    for step in ("make_key_file", "put_back", "load_index", "_finish"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(restoring, step, die)
            there.restore(made.folder)
        # There is no index before there is a marked one.
        refuse_living_index(there.index)
    there.restore(made.folder)
    assert there.shards()[0].restored_us is not None
