"""Keys that sign, in files: one for each shard of the site's log, each recorder, each witness.

A file holds one line, ``PRIVATE+KEY+NAME+ID+KEY``, the form that tools for signed notes read.
"""

import base64
import binascii
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, InvalidInput
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.evidence.note import (
    ED25519,
    KEY_NAME,
    NoteKey,
    NoteSignature,
    cosigned_message,
    write_note,
)
from bidwitness.storage.ledger.token_keys import read_token_key

_PREFIX = "PRIVATE+KEY+"
_SEED = 32
_MISSING = "It signs what is recorded from now on: put it back from the backup."


def key_path(settings: Settings, shard: str) -> Path:
    """Give where the key of a shard of the log lies."""
    return settings.keys / f"log-{shard}.key"


class Private(Protocol):
    """A private key, wherever it lies."""

    def public_bytes(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...

    def secret(self) -> bytes: ...


class MemoryKey:
    """A private key that was read from a file and stays in memory."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    def public_bytes(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def secret(self) -> bytes:
        return self._private.private_bytes_raw()


class Signer:
    """Signs under a name, with a private key in memory or in a token.

    ``kind``: ``ED25519``, or ``COSIGNATURE`` for a witness.
    """

    def __init__(
        self, name: str, private: Ed25519PrivateKey | Private, kind: int = ED25519
    ) -> None:
        held = MemoryKey(private) if isinstance(private, Ed25519PrivateKey) else private
        self._private: Private = held
        self.key = NoteKey(name, kind, held.public_bytes())

    def sign(self, message: bytes) -> bytes:
        """Give the 64 bytes of an Ed25519 signature."""
        return self._private.sign(message)

    def note(self, text: str) -> bytes:
        """Give a signed note. ``text`` ends with a line feed."""
        signature = NoteSignature(self.key.name, self.key.id, self.sign(text.encode()))
        return write_note(text, [signature])

    def cosign(self, text: str, at_s: int) -> NoteSignature:
        """Give a witness's signature of a checkpoint, at ``at_s`` seconds UTC (cosignature/v1)."""
        data = at_s.to_bytes(8, "big") + self.sign(cosigned_message(at_s, text))
        return NoteSignature(self.key.name, self.key.id, data)

    def line(self) -> str:
        """Give the private key as it stands in its file."""
        body = bytes([self.key.kind]) + self._private.secret()
        return f"{_PREFIX}{self.key.name}+{self.key.id.hex()}+{base64.b64encode(body).decode()}\n"


def make_signer(path: Path, name: str, kind: int = ED25519) -> None:
    """Make a key file for ``name``; one that is there stays as it is.

    Raises ``ConfigError`` if it cannot be made, ``InvalidInput`` for a name no key may have.
    """
    if not KEY_NAME.fullmatch(name):
        raise InvalidInput("The name of a key has no space and no +.")
    if not path.exists():
        make_key_file(path, Signer(name, Ed25519PrivateKey.generate(), kind).line().encode())


def read_signer(path: Path, kind: int = ED25519, missing: str = _MISSING) -> Signer:
    """Read a key file, whatever its name. ``missing`` says what to do if there is none.

    Raises ``ConfigError`` if it cannot be read, is open to other users, or is damaged.
    """
    if (held_by_token := read_token_key(path, missing)) is not None:
        key, token = held_by_token
        return Signer(key.name, token, kind)
    data = read_key_file(path, missing)
    damaged = ConfigError(f"The key file {path} is damaged: put it back from the backup.")
    try:
        text = data.decode("ascii").strip()
        held, _, rest = text[len(_PREFIX) :].partition("+")
        body = base64.b64decode(rest.partition("+")[2], validate=True)
    except (ValueError, binascii.Error):
        raise damaged from None
    if not text.startswith(_PREFIX) or len(body) != 1 + _SEED or body[0] != kind:
        raise damaged
    signer = Signer(held, Ed25519PrivateKey.from_private_bytes(body[1:]), kind)
    if text != signer.line().strip():
        raise damaged
    return signer


def open_signer(path: Path, name: str, *, create: bool) -> Signer:
    """Read the key file of ``name``, made first if ``create`` and there is none.

    Raises ``ConfigError`` if it cannot be made or read, is open to other users, is damaged, or
    holds the key of another name.
    """
    if create:
        make_signer(path, name)
    signer = read_signer(path)
    if signer.key.name != name:
        raise ConfigError(
            f"The key file {path} is the key of {signer.key.name}, not of {name}: BIDWITNESS_SITE "
            "or BIDWITNESS_RECORDER was changed. Set it back, or move the key file away."
        )
    return signer
