"""Sealed with a passphrase: opened by it alone, bound to what it is about, dear to guess."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.config import Settings, load_settings
from bidwitness.errors import ConfigError, DamageFound, InvalidInput
from bidwitness.storage.backup import sealing
from bidwitness.storage.backup.sealing import (
    find_passphrase,
    pack_keys,
    seal,
    unpack_keys,
    unseal,
)

WORDS = b"correct horse battery"
SEALED_AT = len(b"bidwitness sealed 1\n")


def test_it_opens_for_its_passphrase_alone() -> None:
    sealed = seal(WORDS, "keys", b"secret")
    assert b"secret" not in sealed
    assert unseal(WORDS, "keys", sealed) == b"secret"
    for passphrase, about in ((b"another one", "keys"), (WORDS, "manifest")):
        with pytest.raises(InvalidInput):
            unseal(passphrase, about, sealed)
    assert seal(WORDS, "keys", b"secret") != sealed


def test_a_guess_costs_what_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    sealed = seal(WORDS, "keys", b"secret")
    # 128 MiB: 128 · N · r.
    cost, block, lanes = sealed[SEALED_AT : SEALED_AT + 3]
    assert (128 * (1 << cost) * block, lanes) == (128 << 20, 1)
    assert unseal(WORDS, "keys", sealed) == b"secret"


def test_one_changed_bit_anywhere_is_seen() -> None:
    sealed = seal(WORDS, "keys", b"secret")
    for place in (*range(0, len(sealed), 7), len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 0x10
        with pytest.raises((InvalidInput, DamageFound)):
            unseal(WORDS, "keys", bytes(changed))


@given(st.binary(max_size=200))
def test_anything_gets_a_clear_answer(data: bytes) -> None:
    with pytest.raises((InvalidInput, DamageFound)):
        unseal(WORDS, "keys", data)
    with pytest.raises(DamageFound):
        unpack_keys(data)


def test_a_file_cannot_ask_for_all_memory() -> None:
    sealed = bytearray(seal(WORDS, "keys", b"secret"))
    sealed[SEALED_AT] = 40
    with pytest.raises(DamageFound):
        unseal(WORDS, "keys", bytes(sealed))


@pytest.mark.parametrize("name", ["../evil.key", "a/b.key", "authorized_keys", ""])
def test_keys_come_back_under_names_of_keys_only(name: str) -> None:
    assert unpack_keys(pack_keys({"log-2026.key": b"\0x"})) == {"log-2026.key": b"\0x"}
    with pytest.raises(DamageFound):
        unpack_keys(pack_keys({name: b"x"}))


def test_where_the_passphrase_comes_from(tmp_path: Path) -> None:
    def settings(**more: object) -> Settings:
        return load_settings(data=tmp_path, **more)

    file, other = tmp_path / "first", tmp_path / "second"
    file.write_bytes(b"  from a file, first line \nsecond line\n")
    other.write_bytes(b"from another file\n")
    for path in (file, other):
        path.chmod(0o600)
    both = settings(backup_passphrase_file=other, backup_passphrase="from the environment")
    assert find_passphrase(both, file) == b"from a file, first line"
    assert find_passphrase(both, None) == b"from another file"
    alone = settings(backup_passphrase="from the environment")
    assert find_passphrase(alone, None) == b"from the environment"
    with pytest.raises(ConfigError, match="--without-keys"):
        find_passphrase(settings(), None)
    with pytest.raises(InvalidInput, match="12 characters"):
        find_passphrase(settings(backup_passphrase="short"), None)
    file.write_bytes(b"\n")
    with pytest.raises(InvalidInput):
        find_passphrase(settings(), file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        find_passphrase(settings(), file)
    assert "from the environment" not in repr(alone)
    assert sealing.SHORTEST == 12
