"""Signed notes and checkpoints, in the forms of C2SP: signed-note, tlog-checkpoint and
tlog-cosignature."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bidwitness.storage.evidence.ed25519 import KEY_BYTES, SIGNATURE_BYTES, ed25519_verifies

ED25519, COSIGNATURE = 0x01, 0x04
MAX_NOTE = 100_000
MAX_SIGNATURES = 64
# The year 2200: later is no time at which anybody has signed.
_LATEST_S = 7_258_118_400
_DASH = "— "
KEY_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_ORIGIN = re.compile(r"[^\x00-\x1f]+")


class BadNote(ValueError):
    """Not a signed note, checkpoint or key as C2SP defines them; says what does not fit."""


def from_base64(text: str) -> bytes:
    """Give the bytes of a text in the one form that base64 has for them. Raises ``BadNote``."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadNote("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote("not the one base64 form of these bytes")
    return data


@dataclass(frozen=True)
class NoteKey:
    """A public key with its name and kind (``ED25519`` or ``COSIGNATURE``)."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name, line feed, kind, key)."""
        head = self.name.encode() + b"\n" + bytes([self.kind])
        return hashlib.sha256(head + self.public).digest()[:4]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key in hex: what people compare."""
        return hashlib.sha256(self.public).hexdigest()

    def __str__(self) -> str:
        body = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{body}"


def read_key(text: str) -> NoteKey:
    """Read a public key as C2SP writes them (vkey). Raises ``BadNote``."""
    # Base64 may hold a plus.
    name, found, rest = text.partition("+")
    key_id, also, body = rest.partition("+")
    if not found or not also or not KEY_NAME.fullmatch(name):
        raise BadNote("a key is NAME+ID+KEY")
    data = from_base64(body)
    if len(data) != 1 + KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
        raise BadNote(f"{name}: only Ed25519 keys are known here")
    key = NoteKey(name, data[0], data[1:])
    if key.id.hex() != key_id:
        raise BadNote(f"{name}: the key's id is not that of the key")
    return key


@dataclass(frozen=True)
class NoteSignature:
    """A signature line: ``data`` is what follows the key's id."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        """Give the line as it stands in a note."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A text and the signatures under it, none of them checked yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def verified_by(self, key: NoteKey) -> int | None:
        """Look for a good signature of ``key``: its time in seconds UTC, 0 if it states none.

        Gives nothing if there is none. Raises ``BadNote`` if there is one that is wrong.
        """
        found: int | None = None
        for signature in self.signatures:
            if (signature.name, signature.key_id) != (key.name, key.id):
                continue
            at, message, data = 0, self.text.encode(), signature.data
            if key.kind == COSIGNATURE:
                at = int.from_bytes(data[:8], "big")
                if at > _LATEST_S:
                    raise BadNote(f"the cosignature of {key.name} is of no time")
                message, data = cosigned_message(at, self.text), data[8:]
            if len(data) != SIGNATURE_BYTES or not ed25519_verifies(key.public, message, data):
                raise BadNote(f"the signature of {key.name} is wrong")
            found = at if found is None else min(found, at)
        return found


def cosigned_message(at_s: int, text: str) -> bytes:
    """Give what a witness signs of a checkpoint's text (cosignature/v1)."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def read_note(data: bytes, most: int = MAX_NOTE) -> Note:
    """Read a signed note of at most so many bytes. Raises ``BadNote``."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadNote("a note is UTF-8") from None
    if len(data) > most or any(ord(c) < 32 and c != "\n" for c in whole):
        raise BadNote("a note is short and holds no control characters")
    head, blank, tail = whole.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise BadNote("a note is a text, an empty line, and signatures")
    return Note(head + "\n", tuple(map(_read_signature, lines)))


def _read_signature(line: str) -> NoteSignature:
    name, found, body = line[len(_DASH) :].partition(" ")
    if not line.startswith(_DASH) or not found or not KEY_NAME.fullmatch(name):
        raise BadNote("a line of signature is a dash, a name and base64")
    data = from_base64(body)
    if len(data) <= 4:
        raise BadNote("a signature is too short")
    return NoteSignature(name, data[:4], data[4:])


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself: its origin, how many entries, and their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Give the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def read_checkpoint(note: Note) -> Checkpoint:
    """Read the text of a note as a checkpoint. Raises ``BadNote``."""
    lines = note.text.split("\n")
    if lines.pop() or len(lines) < 3 or not all(map(_ORIGIN.fullmatch, lines)):
        raise BadNote("a checkpoint is an origin, a size and a root")
    if not _SIZE.fullmatch(lines[1]):
        raise BadNote("the size of a checkpoint is no number")
    root = from_base64(lines[2])
    if len(root) != 32:
        raise BadNote("the root of a checkpoint is no SHA-256")
    return Checkpoint(lines[0], int(lines[1]), root)


def write_note(text: str, signatures: Iterable[NoteSignature]) -> bytes:
    """Give a note's bytes."""
    return (text + "\n" + "".join(signature.line() for signature in signatures)).encode()
