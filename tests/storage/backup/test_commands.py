"""`bidwitness backup`, `restore` and `confirm-log`, as somebody at a terminal has them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.backups import PASSPHRASE, spoil

from bidwitness.errors import ConfigError, Conflict, DamageFound
from bidwitness.storage.backup.commands import backup, restore
from bidwitness.storage.ledger.commands import confirm_log

Place = Any


@pytest.fixture
def passphrase(sqlite_here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIDWITNESS_DATA", str(sqlite_here.settings.data))
    monkeypatch.setenv("BIDWITNESS_DATABASE", str(sqlite_here.index.engine.url))
    path = tmp_path / "passphrase"
    path.write_bytes(PASSPHRASE)
    path.chmod(0o600)
    return path


def test_from_the_backup_to_a_log_that_goes_on(
    sqlite_here: Place,
    passphrase: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sqlite_here.work(3)
    with pytest.raises(ConfigError, match="--passphrase-file"):
        backup(tmp_path / "backups")
    backup(tmp_path / "backups", passphrase)
    (folder,) = (tmp_path / "backups").glob("site-1-*")
    assert str(folder) in capsys.readouterr().out
    restore(folder, passphrase, verify=True)
    said = capsys.readouterr().out
    assert "site-1, made" in said
    assert "Restored" not in said
    with pytest.raises(Conflict):
        restore(folder, passphrase)
    sqlite_here.ledger.close()
    monkeypatch.setenv("BIDWITNESS_DATABASE", f"sqlite:///{tmp_path}/new.db")
    monkeypatch.setenv("BIDWITNESS_BACKUP_PASSPHRASE_FILE", str(passphrase))
    restore(folder)
    assert "confirm-log" in capsys.readouterr().out
    confirm_log("the log was never lost")
    said = capsys.readouterr().out
    assert "goes on from its 5 entries" in said
    assert "rests on your word" in said


def test_a_backup_without_a_whole_log_is_made_and_fails(
    sqlite_here: Place, passphrase: Path, tmp_path: Path
) -> None:
    sqlite_here.work(3)
    spoil(sqlite_here.folder / "tile/0/000.p/5")
    with pytest.raises(DamageFound, match="The backup is made, but the log 2023 is damaged"):
        backup(tmp_path / "backups", passphrase)
    (folder,) = (tmp_path / "backups").glob("site-1-*")
    restore(folder, passphrase, verify=True)
    shutil.rmtree(folder / "log")
    with pytest.raises(DamageFound, match="The backup lacks log"):
        restore(folder, passphrase, verify=True)
