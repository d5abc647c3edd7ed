"""Other people's passwords are kept unreadable, bound to what they belong to."""

import threading
from pathlib import Path

import pytest

from bidwitness.errors import ConfigError, DamageFound
from bidwitness.secrets import SecretBox


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "secrets.key"


def test_what_is_sealed_opens_again_elsewhere_and_only_for_the_same(key_file: Path) -> None:
    box = SecretBox(key_file)
    assert not key_file.exists()  # a constructor touches nothing
    sealed = box.seal("密码 p@ss", "camera:a")
    assert b"p@ss" not in sealed and sealed != box.seal("密码 p@ss", "camera:a")
    assert SecretBox(key_file).open(sealed, "camera:a") == "密码 p@ss"
    with pytest.raises(DamageFound, match="camera:b"):
        box.open(sealed, "camera:b")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in key_file.parent.iterdir()] == ["secrets.key"]


@pytest.mark.parametrize("at", [0, 1, 12, 13, -1])
def test_changed_bytes_do_not_open(key_file: Path, at: int) -> None:
    box = SecretBox(key_file)
    sealed = bytearray(box.seal("secret", "x"))
    sealed[at] ^= 1
    with pytest.raises(DamageFound) as caught:
        box.open(bytes(sealed), "x")
    assert "secret" not in caught.value.detail.replace("secrets.key", "")
    with pytest.raises(DamageFound):
        box.open(b"", "x")


def test_another_key_does_not_open(key_file: Path, tmp_path: Path) -> None:
    sealed = SecretBox(key_file).seal("secret", "x")
    other = SecretBox(tmp_path / "other.key")
    other.seal("", "")
    with pytest.raises(DamageFound, match="key file"):
        other.open(sealed, "x")


def test_what_is_wrong_with_the_key_file_is_said(key_file: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        SecretBox(key_file).open(b"\x01" + bytes(40), "x")
    SecretBox(key_file).seal("", "")
    key_file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        SecretBox(key_file).seal("", "")
    key_file.chmod(0o600)
    key_file.write_bytes(b"short")
    with pytest.raises(ConfigError, match="damaged"):
        SecretBox(key_file).seal("", "")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        SecretBox(tmp_path / "file" / "keys" / "secrets.key").seal("", "")


def test_processes_that_start_together_share_one_key(key_file: Path) -> None:
    boxes = [SecretBox(key_file) for _ in range(8)]
    sealed: list[bytes] = []
    threads = [
        threading.Thread(target=lambda b=box: sealed.append(b.seal("s", "x"))) for box in boxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [SecretBox(key_file).open(s, "x") for s in sealed] == ["s"] * 8
