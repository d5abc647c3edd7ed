"""The witness itself: judges, remembers, and only then cosigns."""

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, ConfigError
from bidwitness.storage.evidence.note import (
    COSIGNATURE,
    ED25519,
    Note,
    NoteKey,
    NoteSignature,
    write_note,
)
from bidwitness.storage.ledger.keys import Signer, make_signer, read_signer
from bidwitness.storage.spool.files import Files
from bidwitness.storage.witness.logs import read_logs
from bidwitness.storage.witness.memory import Memory
from bidwitness.storage.witness.protocol import (
    SIZE_TYPE,
    BadRequest,
    Refusal,
    Request,
    judge,
    read_request,
)

log = logging.getLogger(__name__)

KEY_FILE, MEMORY, LOGS = "witness.key", "memory", "logs"
NO_KEY = (
    "Make one with `bidwitness witness new-key`; if this witness has had one, do not take it from a "
    "backup without its memory (docs/witness.md)."
)
TEXT = "text/plain; charset=utf-8"
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    media_type: str = TEXT


def make_witness(folder: Path, name: str, files: Files) -> NoteKey:
    """Make a witness's key and its empty memory; give the public key.

    Raises ``ConfigError`` if there is a witness in the folder already.
    """
    if (folder / KEY_FILE).exists() or (folder / MEMORY).exists():
        raise ConfigError(f"There is a witness in {folder} already. A new key wants a new folder.")
    make_signer(folder / KEY_FILE, name, COSIGNATURE)
    signer = read_signer(folder / KEY_FILE, COSIGNATURE)
    Memory(folder / MEMORY, signer.key, files).begin()
    return signer.key


class Witness:
    """Cosigns checkpoints of the logs in ``folder/logs``. One process has it at a time."""

    def __init__(self, folder: Path, clock: Clock, files: Files) -> None:
        self._folder = folder
        self._clock = clock
        self._files = files
        # Judging and remembering are one act: of two requests at once, one sees the other's.
        self._guard = threading.Lock()
        self._signer: Signer | None = None
        self._memory: Memory | None = None
        self._logs: tuple[tuple[int, int], Mapping[str, NoteKey]] = ((0, -1), {})

    def open(self) -> None:
        """Read key and list, take the memory. Raises ``ConfigError`` and ``Conflict``."""
        signer = read_signer(self._folder / KEY_FILE, COSIGNATURE, NO_KEY)
        self.logs()
        memory = Memory(self._folder / MEMORY, signer.key, self._files)
        memory.open()
        self._signer, self._memory = signer, memory

    def close(self) -> None:
        """Let another process have the memory."""
        if self._memory is not None:
            self._memory.close()

    @property
    def key(self) -> NoteKey:
        """The public key that sites put into their trust material."""
        return self._opened()[0].key

    def logs(self) -> Mapping[str, NoteKey]:
        """Give the logs that are cosigned; a changed list is read anew.

        Raises ``ConfigError`` if it cannot be read.
        """
        path = self._folder / LOGS
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._logs[0]:
                self._logs = stamp, read_logs(path.read_text("utf-8"))
        except FileNotFoundError:
            self._logs = (0, -1), {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The list of logs {path} cannot be read: {error}.") from None
        return self._logs[1]

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request. Raises nothing for what the request holds; ``OSError`` if the memory
        cannot be written, ``DamageFound`` if it is damaged: then nothing is cosigned."""
        try:
            request = read_request(body)
        except BadRequest as error:
            return Answer(400, f"{error}\n".encode())
        key = self._known().get(request.checkpoint.origin)
        with self._guard:
            return self._judge(request, key)

    def last(self, name: str) -> bytes | None:
        """Give the last checkpoint cosigned of the log of this ``origin_hash``."""
        return self._opened()[1].last(name)

    def _judge(self, request: Request, key: NoteKey | None) -> Answer:
        signer, memory = self._opened()
        origin = request.checkpoint.origin
        held = memory.held(origin) if key is not None else None
        refusal = judge(request, key, held[0] if held is not None else None)
        if refusal is not None or key is None:
            return self._refuse(request, refusal or Refusal(404, ""))
        cosignature = signer.cosign(request.note.text, self._clock.utc_us() // _SECOND)
        kept = [*_signatures_of(request.note, key), cosignature]
        memory.remember(origin, write_note(request.note.text, kept))
        return Answer(200, cosignature.line().encode())

    def _refuse(self, request: Request, refusal: Refusal) -> Answer:
        facts = {"log": request.checkpoint.origin, "status": refusal.status, "why": refusal.why}
        if refusal.conflict:
            note = write_note(request.note.text, request.note.signatures)
            digest = hashlib.sha256(request.note.text.encode()).hexdigest()
            self._opened()[1].keep_conflict(request.checkpoint.origin, digest, note)
            log.error("a log has signed two histories", extra={"facts": facts})
        elif refusal.status in (403, 422):
            log.warning("a checkpoint was refused", extra={"facts": facts})
        media_type = SIZE_TYPE if refusal.status == 409 else TEXT
        return Answer(refusal.status, f"{refusal.why}\n".encode(), media_type)

    def _known(self) -> Mapping[str, NoteKey]:
        try:
            return self.logs()
        except BidWitnessError as error:
            # A slip of the pen in the list must not stop the logs that were in it before.
            log.error("the list of logs cannot be used", extra={"facts": {"why": error.detail}})
            return self._logs[1]

    def _opened(self) -> tuple[Signer, Memory]:
        if self._signer is None or self._memory is None:
            raise ConfigError("The witness was not opened.")
        return self._signer, self._memory


def _signatures_of(note: Note, key: NoteKey) -> list[NoteSignature]:
    """Only the log's own signature is worth remembering, once."""
    assert key.kind == ED25519
    found = [item for item in note.signatures if (item.name, item.key_id) == (key.name, key.id)]
    return found[:1]
