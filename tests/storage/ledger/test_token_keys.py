"""Keys in a token: a real PKCS#11 module makes them, signs, and gives none of them away.

In processes of their own: a module is loaded once a process, with the tokens there were then.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.softhsm import softhsm_address

from bidwitness.errors import ConfigError, InvalidInput
from bidwitness.storage.evidence.note import ED25519, NoteKey, read_key, read_note
from bidwitness.storage.ledger.keys import read_signer
from bidwitness.storage.ledger.token_keys import read_address

NAME = "site-1/log/2026"
_SIGN = """
import sys
from pathlib import Path
from bidwitness.storage.ledger.keys import open_signer
signer = open_signer(Path(sys.argv[1]), sys.argv[2], create=True)
for _ in range(3):
    note = signer.note("site-1/log/2026\\n3\\nAAAA\\n")
sys.stdout.buffer.write(note)
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return softhsm_address(tmp_path / "hsm", monkeypatch)


def run(*words: str, code: str = "") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *(("-c", code) if code else ("-m", "bidwitness")), *words]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, env=os.environ)


def test_a_log_is_signed_by_a_key_that_never_left_its_token(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDWITNESS_DATA", str(tmp_path / "data"))
    made = run("log-key", "--pkcs11", address, "--shard", "2026")
    assert made.returncode == 0, made.stderr.decode()
    key = read_key(made.stdout.decode().strip())
    assert key.name == NAME
    path = tmp_path / "data" / "keys" / "log-2026.key"
    assert path.stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in path.read_bytes()
    signed = run(str(path), NAME, code=_SIGN)
    assert signed.returncode == 0, signed.stderr.decode()
    assert read_note(signed.stdout).verified_by(key) == 0
    # Neither a second key of this name, nor another in its place.
    again = run("log-key", "--pkcs11", address, "--shard", "2026")
    assert again.returncode == InvalidInput.exit_code
    path.unlink()
    again = run("log-key", "--pkcs11", address, "--shard", "2026")
    assert (again.returncode, b"already" in again.stderr) == (InvalidInput.exit_code, True)


def test_a_wrong_pin_and_an_absent_token_are_said(tmp_path: Path, address: str) -> None:
    key = NoteKey(NAME, ED25519, bytes(32))
    path = tmp_path / "log.key"
    path.write_text(f"{key}\n{address.replace('token=bidwitness', 'token=other;object=x')}\n")
    path.chmod(0o600)
    told = run(str(path), NAME, code=_SIGN)
    assert b"The token other does not answer" in told.stderr
    pin = Path(address.rpartition("=")[2])
    pin.write_text("654321\n")
    path.write_text(f"{key}\n{address.replace('token=bidwitness', 'token=bidwitness;object=x')}\n")
    told = run(str(path), NAME, code=_SIGN)
    assert b"is not the token's" in told.stderr
    pin.chmod(0o644)
    assert b"can be read by other users" in run(str(path), NAME, code=_SIGN).stderr


@pytest.mark.parametrize(
    "bad",
    [
        "", "pkcs11:", "pkcs11:token=a", "pkcs11:token=a?module-path=/m", "file:/x",
        "pkcs11:token=a;what=b?module-path=/m&pin-source=/p",
        "pkcs11:token=a?module-path=/m&pin-source=/p&pin-value=1",
    ],
)  # fmt: skip
def test_an_address_that_lacks_something_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="pkcs11:token="):
        read_address(bad, "label")


def test_an_address_reads_back() -> None:
    held = read_address("pkcs11:token=my%20hsm?module-path=/m.so&pin-source=file:/p", NAME)
    assert (held.token, held.label, held.pin_file) == ("my hsm", NAME, Path("/p"))
    assert read_address(str(held)) == held


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    path.write_text("what\npkcs11:token=a\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        read_signer(path)
