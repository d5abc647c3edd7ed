"""One question to one witness over HTTP: what it answered, whatever it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from bidwitness.clock import Clock
from bidwitness.storage.evidence.note import BadNote, Note, NoteKey, NoteSignature, read_note
from bidwitness.storage.witness.protocol import PATH, write_request

TIMEOUT_S = 5.0
MAX_ANSWER = 16 * 1024
_SECOND = 1_000_000
# No tree is so large.
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A witness: its name in the settings, its key, its address."""

    name: str
    key: NoteKey
    url: str


@dataclass(frozen=True, slots=True)
class Cosigned:
    """It cosigned."""

    signature: NoteSignature


@dataclass(frozen=True, slots=True)
class Stale:
    """It has cosigned another size last."""

    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It says that the log does not continue what it has cosigned."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing came of it; it is worth trying again."""

    why: str


Answer: TypeAlias = Cosigned | Stale | Refused | Failed


class Asker:
    """Asks witnesses. ``transport`` stands in for the network in tests."""

    def __init__(self, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._clock = clock
        self._transport = transport

    def ask(self, witness: Asked, old: int, proof: Sequence[bytes], note: Note) -> Answer:
        """Ask for a cosignature of ``note``. Never raises; takes little more than ``TIMEOUT_S``."""
        try:
            status, body = self._post(
                witness.url.rstrip("/") + PATH, write_request(old, proof, note)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Failed(f"does not answer ({type(error).__name__})")
        return read_answer(witness.key, note, status, body)

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        began = self._clock.monotonic_us()
        answer = bytearray()
        with (
            httpx.Client(
                timeout=TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                transport=self._transport,
            ) as client,
            client.stream("POST", url, content=body) as response,
        ):
            for part in response.iter_raw():
                answer += part
                if len(answer) > MAX_ANSWER:
                    raise httpx.RemoteProtocolError("the answer is too long")
                if self._clock.monotonic_us() - began > TIMEOUT_S * _SECOND:
                    raise httpx.ReadTimeout("the answer comes too slowly")
            return response.status_code, bytes(answer)


def read_answer(key: NoteKey, note: Note, status: int, body: bytes) -> Answer:
    """Say what an answer means. Pure."""
    if status == 200:
        return _read_cosignature(key, note, body)
    if status == 409:
        text = body.strip().decode("ascii", "replace")
        good = text.isdecimal() and len(text) <= _DIGITS
        return Stale(int(text)) if good else Failed("answers 409 without a size")
    if status == 422:
        return Refused("says that the log does not continue what it has cosigned")
    if status == 404:
        return Failed("does not know this log: give it the site's trust material")
    if status == 403:
        return Failed("does not know the key of this log: give it the site's trust material")
    return Failed(f"answers {status}")


def _read_cosignature(key: NoteKey, note: Note, body: bytes) -> Answer:
    try:
        answer = read_note(f"{note.text}\n".encode() + body)
        if answer.text != note.text or answer.verified_by(key) is None:
            return Failed("answers without its cosignature")
    except BadNote as error:
        return Failed(f"answers what is no cosignature: {error}")
    mine = (item for item in answer.signatures if (item.name, item.key_id) == (key.name, key.id))
    return Cosigned(next(mine))
