"""What a log asks a witness, in the form of C2SP's tlog-witness. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.storage.evidence.merkle import root, verify_consistency
from bidwitness.storage.evidence.note import (
    BadNote,
    Checkpoint,
    Note,
    NoteKey,
    read_checkpoint,
    read_note,
    write_note,
)

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
MAX_PROOF = 63
# A proof of 63 lines and a checkpoint with many signatures are far shorter.
MAX_REQUEST = 64 * 1024
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_HASH = 32


class BadRequest(ValueError):
    """Not a request that the protocol knows; says what does not fit."""


@dataclass(frozen=True, slots=True)
class Request:
    """``old``: what the witness is thought to have cosigned last; ``proof``: that the checkpoint
    of ``note`` continues it."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a checkpoint is not cosigned, as an HTTP status. ``size``: what was cosigned last, for a
    409. ``conflict``: the log has signed what can only be two histories."""

    status: int
    why: str
    size: int | None = None
    conflict: bool = False


def origin_hash(origin: str) -> str:
    """Give what a log is called in paths."""
    return hashlib.sha256(origin.encode()).hexdigest()


def write_request(old: int, proof: Sequence[bytes], note: Note) -> bytes:
    """Give a request's body."""
    lines = [f"old {old}", *(base64.b64encode(item).decode() for item in proof), "", ""]
    return "\n".join(lines).encode() + write_note(note.text, note.signatures)


def read_request(body: bytes) -> Request:
    """Read a request's body. Raises ``BadRequest``."""
    if len(body) > MAX_REQUEST:
        raise BadRequest("a request is not so long")
    head, blank, rest = body.partition(b"\n\n")
    lines = head.split(b"\n")
    word, _, number = lines[0].partition(b" ")
    if not blank or word != b"old" or not _SIZE.fullmatch(number.decode("ascii", "replace")):
        raise BadRequest("a request begins with `old SIZE`, proof lines and an empty line")
    if len(lines) - 1 > MAX_PROOF:
        raise BadRequest(f"a proof has at most {MAX_PROOF} lines")
    try:
        note = read_note(rest)
        checkpoint = read_checkpoint(note)
        proof = tuple(_read_hash(line) for line in lines[1:])
    except BadNote as error:
        raise BadRequest(str(error)) from None
    return Request(int(number), proof, note, checkpoint)


def _read_hash(line: bytes) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except (ValueError, binascii.Error):
        raise BadRequest("a line of the proof is not base64") from None
    if len(value) != _HASH or base64.b64encode(value) != line:
        raise BadRequest("a line of the proof is no SHA-256")
    return value


def judge(request: Request, key: NoteKey | None, held: Checkpoint | None) -> Refusal | None:
    """Say why a checkpoint is not to be cosigned; nothing if it is.

    ``key``: the log's, if it is one that is known here; ``held``: what was cosigned last of it.
    """
    new = request.checkpoint
    if key is None:
        return Refusal(404, f"The log {new.origin} is not one that is cosigned here.")
    try:
        signed = request.note.verified_by(key) is not None
    except BadNote:
        signed = False
    if not signed:
        return Refusal(403, f"The checkpoint is not signed by the key of {key.name}.")
    if request.old > new.size:
        return Refusal(400, "The old size is larger than the checkpoint's.")
    size = held.size if held is not None else 0
    if request.old != size:
        fork = held is not None and new.size == size and new.root != held.root
        return Refusal(409, f"{size}", size=size, conflict=fork)
    return _judge_growth(request, held if held is not None else Checkpoint(new.origin, 0, root([])))


def _judge_growth(request: Request, held: Checkpoint) -> Refusal | None:
    new = request.checkpoint
    if held.size == 0:
        sound = not request.proof and (new.size > 0 or new.root == root([]))
        said = "Of nothing, there is nothing to prove."
        return None if sound else Refusal(422, said)
    if verify_consistency(held.size, new.size, held.root, new.root, request.proof):
        return None
    # Of the same size, no proof could help: the log has signed two histories.
    return Refusal(
        422,
        f"The checkpoint is not shown to continue the {held.size} entries cosigned before.",
        conflict=held.size == new.size and held.root != new.root,
    )
