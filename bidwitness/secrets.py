"""Keep other people's passwords (the cameras') unreadable in the index.

AES-256-GCM under a key that lies in a file of its own, so that a copy of the index alone gives
nothing away. Each sealed text is bound to what it belongs to and opens nowhere else.
"""

import secrets
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bidwitness.errors import ConfigError, DamageFound
from bidwitness.keyfile import make_key_file, read_key_file

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


class SecretBox:
    """Seals and opens short texts with the key in ``key_file``.

    The key is made at the first ``seal`` (mode 0600, in a folder of mode 0700) and read at the
    first use, not before.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._lock = threading.Lock()
        self._cipher: AESGCM | None = None

    def seal(self, text: str, about: str) -> bytes:
        """Encrypt ``text``, bound to ``about`` (``"camera:ID"``).

        Raises ``ConfigError`` if the key file cannot be made, read, or is open to others.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ready(create=True).encrypt(nonce, text.encode(), about.encode())
        return VERSION + nonce + sealed

    def open(self, sealed: bytes, about: str) -> str:
        """Decrypt what ``seal`` gave for the same ``about``.

        Raises ``ConfigError`` as ``seal`` does, or if there is no key; ``DamageFound`` if the
        bytes were changed, belong to something else or were sealed with another key.
        """
        cipher = self._ready(create=False)
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if sealed[:1] != VERSION or len(nonce) != NONCE_BYTES:
                raise InvalidTag
            return cipher.decrypt(nonce, body, about.encode()).decode()
        except InvalidTag:
            raise DamageFound(
                f"The stored password of {about} cannot be decrypted with {self._key_file.name}: "
                "the key file is not the one it was sealed with. Put the right key file back, "
                "or enter the password again."
            ) from None

    def _ready(self, *, create: bool) -> AESGCM:
        with self._lock:
            if self._cipher is None:
                if create and not self._key_file.exists():
                    make_key_file(self._key_file, secrets.token_bytes(KEY_BYTES))
                self._cipher = AESGCM(_read_key(self._key_file))
            return self._cipher


def _read_key(path: Path) -> bytes:
    key = read_key_file(
        path,
        "Without it the stored camera passwords cannot be read: put it back from the backup, or "
        "enter the passwords again.",
    )
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The key file {path} is damaged: it must hold {KEY_BYTES} bytes.")
    return key
