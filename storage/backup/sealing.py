"""Seals what is secret in a backup with a passphrase: scrypt, then AES-256-GCM.

The keys would lie beside what they protect; sealed, whoever has the backup alone has no key. The
manifest's digest is sealed too: so nobody without the passphrase can change a backup unseen.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, DamageFound, InvalidInput
from bidwitness.keyfile import read_key_file

SHORTEST = 12
KEY_SUFFIXES = (".key", ".pem")
_MAGIC = b"bidwitness sealed 1\n"
_SALT, _NONCE, _KEY, _TAG = 16, 12, 32, 16
# 128 MiB and some tenths of a second for each guess. They stand in the file: later ones may cost more.
_COST, _BLOCK, _LANES = 17, 8, 1
_MOST = (21, 16, 4)


def find_passphrase(settings: Settings, path: Path | None) -> bytes:
    """Give the passphrase: the first line of ``path``, else what the settings say.

    Raises ``ConfigError`` if there is none or its file is open to others, ``InvalidInput`` if it is
    too short.
    """
    file = path or settings.backup_passphrase_file
    if file is not None:
        lines = read_key_file(file, "Write the backup's passphrase into it.").splitlines()
        said = lines[0].strip() if lines else b""
    elif settings.backup_passphrase is not None:
        said = settings.backup_passphrase.get_secret_value().strip().encode()
    else:
        raise ConfigError(
            "The keys in a backup are sealed with a passphrase: name its file (--passphrase-file, "
            "BIDWITNESS_BACKUP_PASSPHRASE_FILE), set BIDWITNESS_BACKUP_PASSPHRASE, or say "
            "--without-keys."
        )
    if len(said) < SHORTEST:
        raise InvalidInput(f"The passphrase of a backup must have {SHORTEST} characters or more.")
    return said


def seal(passphrase: bytes, about: str, data: bytes) -> bytes:
    """Encrypt ``data``, bound to what it is about."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    head = _MAGIC + bytes((_COST, _BLOCK, _LANES)) + salt + nonce
    return head + AESGCM(_derived(passphrase, head)).encrypt(nonce, data, head + about.encode())


def unseal(passphrase: bytes, about: str, sealed: bytes) -> bytes:
    """Decrypt. Raises ``DamageFound`` if it is not sealed, ``InvalidInput`` for another passphrase
    or if it was changed."""
    size = len(_MAGIC) + 3 + _SALT + _NONCE
    head, costs = sealed[:size], tuple(sealed[len(_MAGIC) : len(_MAGIC) + 3])
    fits = len(sealed) >= size + _TAG and sealed.startswith(_MAGIC)
    if not fits or any(not 1 <= cost <= most for cost, most in zip(costs, _MOST, strict=True)):
        raise DamageFound(f"What is sealed in the backup ({about}) is damaged.")
    try:
        cipher = AESGCM(_derived(passphrase, head))
        return cipher.decrypt(head[-_NONCE:], sealed[size:], head + about.encode())
    except InvalidTag:
        raise InvalidInput(
            f"The passphrase is not the one of this backup, or its {about} were changed."
        ) from None


def gather_keys(folder: Path) -> dict[str, bytes]:
    """Give all key files of a folder by name. Raises ``ConfigError`` if one is open to others."""
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        path.name: read_key_file(path, "It was there just now.")
        for path in present
        if path.suffix in KEY_SUFFIXES and path.is_file()
    }


def pack_keys(keys: Mapping[str, bytes]) -> bytes:
    """Give key files as one text."""
    return json.dumps({k: base64.b64encode(v).decode() for k, v in keys.items()}).encode()


def unpack_keys(data: bytes) -> dict[str, bytes]:
    """Give key files by name. Raises ``DamageFound``."""
    try:
        found = {str(k): base64.b64decode(v, validate=True) for k, v in json.loads(data).items()}
    except (ValueError, TypeError, AttributeError):
        raise DamageFound("The keys in the backup are damaged.") from None
    if any(Path(name).name != name or Path(name).suffix not in KEY_SUFFIXES for name in found):
        raise DamageFound("The keys in the backup have names that no key has.")
    return found


def _derived(passphrase: bytes, head: bytes) -> bytes:
    cost, block, lanes = head[len(_MAGIC) : len(_MAGIC) + 3]
    salt = head[len(_MAGIC) + 3 : -_NONCE]
    return Scrypt(salt=salt, length=_KEY, n=1 << cost, r=block, p=lanes).derive(passphrase)
