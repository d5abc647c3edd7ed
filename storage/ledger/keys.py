"""Keys that sign, in files: one for each shard of the site's log, one for each recorder.

A file holds one line, ``PRIVATE+KEY+NAME+ID+KEY``, the form that tools for signed notes read.
"""

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bidwitness.errors import ConfigError
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.evidence.note import ED25519, NoteKey, NoteSignature, write_note

_PREFIX = "PRIVATE+KEY+"
_SEED = 32


class Signer:
    """Signs under a name, with a private key that stays in memory."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key = NoteKey(name, ED25519, private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Give the 64 bytes of an Ed25519 signature."""
        return self._private.sign(message)

    def note(self, text: str) -> bytes:
        """Give a signed note. ``text`` ends with a line feed."""
        signature = NoteSignature(self.key.name, self.key.id, self.sign(text.encode()))
        return write_note(text, [signature])


def open_signer(path: Path, name: str, *, create: bool) -> Signer:
    """Read the key file of ``name``, made first if ``create`` and there is none.

    Raises ``ConfigError`` if it cannot be made or read, is open to other users, is damaged, or
    holds the key of another name.
    """
    if create and not path.exists():
        make_key_file(path, _line(name, Ed25519PrivateKey.generate()).encode())
    missing = "It signs what is recorded from now on: put it back from the backup."
    data = read_key_file(path, missing)
    damaged = ConfigError(f"The key file {path} is damaged: put it back from the backup.")
    try:
        text = data.decode("ascii").strip()
        held, _, rest = text[len(_PREFIX) :].partition("+")
        body = base64.b64decode(rest.partition("+")[2], validate=True)
    except (ValueError, binascii.Error):
        raise damaged from None
    if not text.startswith(_PREFIX) or len(body) != 1 + _SEED or body[0] != ED25519:
        raise damaged
    private = Ed25519PrivateKey.from_private_bytes(body[1:])
    if held != name:
        raise ConfigError(
            f"The key file {path} is the key of {held}, not of {name}: BIDWITNESS_SITE or "
            "BIDWITNESS_RECORDER was changed. Set it back, or move the key file away."
        )
    if text != _line(held, private).strip():
        raise damaged
    return Signer(held, private)


def _line(name: str, private: Ed25519PrivateKey) -> str:
    signer = Signer(name, private)
    body = base64.b64encode(bytes([ED25519]) + private.private_bytes_raw()).decode()
    return f"{_PREFIX}{name}+{signer.key.id.hex()}+{body}\n"
