"""All that a recording evidence report says, as one frozen value: gathered once, then only read.

The canonical bytes of it lie in the report and beside it in a package; their SHA-256 stands on
every page. Times are µs UTC.
"""

import hashlib
from dataclasses import dataclass

from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.schema import to_json

FACTS_VERSION = 1
KIND = "evidence_report"  # as in a package (storage/evidence/attached.py)


@dataclass(frozen=True)
class Span:
    start: int
    end: int


@dataclass(frozen=True)
class LotFacts:
    project: str
    project_name: str
    lot: str
    lot_name: str


@dataclass(frozen=True)
class PlaceFacts:
    """A booked room: ``role`` of the booking, ``seats`` (none: the whole room)."""

    room: str
    kind: str
    role: str
    seats: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True)
class SittingFacts:
    """What the session was. ``due`` is empty where nothing had to be recorded."""

    session: str
    kind: str
    state: str
    outcome: str | None
    lots: tuple[LotFacts, ...]
    places: tuple[PlaceFacts, ...]
    planned: Span
    started: int
    ended: int
    sealed: int
    due: Span | None


@dataclass(frozen=True)
class MissingFacts:
    start: int
    end: int
    cause: str


@dataclass(frozen=True)
class MediumFacts:
    """One medium of a camera, as the close record states it. ``missing`` lists the first gaps of
    ``gaps``; ``degraded_us``: of the time without main, how much the sub-stream holds."""

    camera: str
    room: str
    stream: str
    medium: str
    due_us: int
    recorded_us: int
    degraded_us: int
    gaps: int
    missing: tuple[MissingFacts, ...]


@dataclass(frozen=True)
class TakenOffFacts:
    """Due time that another session's own claim took off a camera."""

    camera: str
    room: str
    session: str
    start: int
    end: int


@dataclass(frozen=True)
class SoundFacts:
    """How sound was stored: ``stored`` is the codec kept, ``sent`` what came from the camera.

    ``digested``: segments whose records hold the digests of the G.711 that came.
    """

    sent: str
    stored: str
    segments: int
    digested: int


@dataclass(frozen=True)
class ClockFacts:
    """``us`` of a stream's footage has times of this quality."""

    quality: str
    us: int


@dataclass(frozen=True)
class ProbeFacts:
    """What decoding a sample of a stream's files gave; ``failed`` names files that did not."""

    files: int
    tried: int
    frames: int
    failed: tuple[str, ...]


@dataclass(frozen=True)
class StreamFacts:
    """One stream's footage within the session's claims, from its records.

    ``offset``: least and greatest difference of the camera's clock from the recorder's, µs.
    ``pictures``: the codecs of the picture, as sent and stored.
    """

    stream: str
    camera: str
    room: str
    role: str
    recorders: tuple[str, ...]
    segments: int
    bytes: int
    runs: int
    first: int | None
    last: int | None
    pictures: tuple[str, ...]
    sounds: tuple[SoundFacts, ...]
    clocks: tuple[ClockFacts, ...]
    offset: tuple[int, ...]
    probe: ProbeFacts


@dataclass(frozen=True)
class RootFacts:
    """The session's last record at that time: its leaf hash binds all that came before it."""

    seq: int
    kind: str
    leaf: str


@dataclass(frozen=True)
class SeenBy:
    """Somebody outside the site who vouched for the log, and when."""

    name: str
    at: int


@dataclass(frozen=True)
class LogFacts:
    """Where the close stands in the site's log. ``covered``: epochs in the log cover all footage."""

    origin: str
    position: int
    at: int
    covered: bool
    witnesses: tuple[SeenBy, ...]
    stamps: tuple[SeenBy, ...]


@dataclass(frozen=True)
class KeyFacts:
    """A key's ``role`` (log, recorder, report), its name, and the SHA-256 that people compare."""

    role: str
    name: str
    fingerprint: str


@dataclass(frozen=True)
class StateFacts:
    """Something that befell recorder or clock in the session's time: an alarm or an event."""

    kind: str
    subject: str
    start: int
    end: int | None


@dataclass(frozen=True)
class AccessFacts:
    """What one person did to the session's footage up to now, by kind of act."""

    who: str
    action: str
    times: int
    refused: int
    first: int
    last: int


@dataclass(frozen=True)
class ReportFacts:
    """The whole report. ``issuer`` is the name of the site; ``software`` made the report."""

    number: str
    made: int
    site: str
    issuer: str
    software: str
    sitting: SittingFacts
    open_streams: tuple[str, ...]
    media: tuple[MediumFacts, ...]
    taken_off: tuple[TakenOffFacts, ...]
    streams: tuple[StreamFacts, ...]
    root: RootFacts
    log: LogFacts | None
    keys: tuple[KeyFacts, ...]
    states: tuple[StateFacts, ...]
    access: tuple[AccessFacts, ...]


def facts_bytes(facts: ReportFacts) -> bytes:
    """Give the canonical bytes of a report's facts."""
    return canonical({"v": FACTS_VERSION, "t": KIND, **to_json(facts)})


def digest_of_facts(facts: ReportFacts) -> str:
    """Give the SHA-256 of them in hex: the report's digest."""
    return hashlib.sha256(facts_bytes(facts)).hexdigest()
