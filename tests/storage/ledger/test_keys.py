"""Key files: made once, refused when others may read them, damaged, or of another name."""

from pathlib import Path

import pytest

from bidwitness.errors import ConfigError
from bidwitness.storage.evidence.note import read_checkpoint, read_key, read_note
from bidwitness.storage.ledger.keys import open_signer

NAME = "site-1/log/2026"


def test_a_key_is_made_once_and_signs_notes(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.key"
    first = open_signer(path, NAME, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = open_signer(path, NAME, create=True)
    assert again.key == first.key == read_key(str(first.key))
    note = read_note(again.note(f"{NAME}\n0\n{'A' * 43}=\n"))
    assert note.verified_by(first.key) == 0
    assert read_checkpoint(note).origin == NAME


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.key"
    open_signer(path, NAME, create=True)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        open_signer(path, NAME, create=True)


def test_a_missing_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="put it back from the backup"):
        open_signer(tmp_path / "log.key", NAME, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_another_name(tmp_path: Path) -> None:
    open_signer(tmp_path / "log.key", NAME, create=True)
    with pytest.raises(ConfigError, match=r"is the key of site-1/log/2026, not of site-2"):
        open_signer(tmp_path / "log.key", "site-2/log/2026", create=True)


@pytest.mark.parametrize("at", [0, 14, 20, 40, 70])
def test_a_damaged_key(tmp_path: Path, at: int) -> None:
    path = tmp_path / "log.key"
    open_signer(path, NAME, create=True)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        open_signer(path, NAME, create=True)
