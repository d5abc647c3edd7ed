"""A token in software (SoftHSM2), of the test's own."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.needs import absent

PIN = "123456"
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def softhsm_address(folder: Path, patch: pytest.MonkeyPatch, token: str = "bidwitness") -> str:
    """Make a token; give its ``pkcs11:`` address. Skips or fails where SoftHSM is missing."""
    module = next((path for path in _MODULES if Path(path).exists()), None)
    program = shutil.which("softhsm2-util")
    if module is None or program is None:
        absent("SoftHSM2 (softhsm2)")
        raise AssertionError("absent() did not end the test")
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    patch.setenv("SOFTHSM2_CONF", str(conf))
    words = ["--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", PIN]
    subprocess.run([program, *words], check=True, capture_output=True, timeout=30)
    pin = folder / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    return f"pkcs11:token={token}?module-path={module}&pin-source={pin}"
