"""What only the processes of this site can put on a row that the log is to commit to.

Whoever may write into the index with SQL can add an entry together with what will log it. The key
of the signet is not in the index: what was added by another hand lacks its impression.
"""

import hashlib
import hmac
import secrets
import threading
from pathlib import Path

from bidwitness.errors import ConfigError
from bidwitness.keyfile import make_key_file, read_key_file

KEY_BYTES = 32
_PREFIX = b"bidwitness/signet/v1\n"
# Under this name a ``Database`` gives it to its sessions.
IN_SESSION = "signet"


class Signet:
    """Impresses commitments with the key in ``key_file``, which is made at the first use."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def impress(self, commitment: str) -> str:
        """Give the impression of a commitment. Raises ``ConfigError`` for the key file."""
        return _impression(self._ready(create=True), commitment)

    def made(self, commitment: str, impression: object) -> bool:
        """Say whether an impression is ours. Raises ``ConfigError`` if the key file is not there."""
        wanted = _impression(self._ready(create=False), commitment)
        return isinstance(impression, str) and hmac.compare_digest(
            wanted.encode(), impression.encode()
        )

    @property
    def is_there(self) -> bool:
        """Whether there is a key at all; before the first entry there is none."""
        return self._key is not None or self._key_file.exists()

    def _ready(self, *, create: bool) -> bytes:
        with self._lock:
            if self._key is None:
                if create and not self._key_file.exists():
                    make_key_file(self._key_file, secrets.token_bytes(KEY_BYTES))
                self._key = _read(self._key_file)
            return self._key


def _impression(key: bytes, commitment: str) -> str:
    return hmac.new(key, _PREFIX + commitment.encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> bytes:
    key = read_key_file(
        path,
        "Without it audit entries cannot be told from rows that another hand put into the index: "
        "put it back from the backup.",
    )
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The key file {path} is damaged: it must hold {KEY_BYTES} bytes.")
    return key
