"""All that a record of viewing says, as one frozen value: gathered once, then only read.

Its canonical bytes are attached to the document and can be had beside it; their SHA-256 stands on
every page. Times are µs UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.schema import to_json
from bidwitness.storage.evidence_report.facts import (
    KeyFacts,
    LogFacts,
    LotFacts,
    PlaceFacts,
    Span,
    StreamFacts,
)
from bidwitness.words import Word

FACTS_VERSION = 1
KIND = "viewing_record"


class Reread(Word):
    """What reading a file's bytes again has shown."""

    OK = "ok", "一致"
    ALTERED = "altered", "已改变"
    MISSING = "missing", "缺失"
    UNREAD = "unread", "未能读取"
    # Nothing has been stated of it yet that it could be held against.
    OPEN = "open", "尚未入库"


class Basis(Word):
    """How a grant belongs to a viewing."""

    NAMED = "named", "打开时指定"
    COUNTED = "counted", "计入查看次数"
    HELD = "held", "打开时有效"


@dataclass(frozen=True)
class ViewerFacts:
    """Who watched. ``roles`` and ``department`` are those of the time of the record."""

    user: str
    username: str
    name: str
    roles: tuple[str, ...]
    department: str
    address: str | None


@dataclass(frozen=True)
class GrantFacts:
    """A grant that the viewing stood on, or could stand on; ``register``: its row's number."""

    grant: str
    basis: str
    kind: str
    register: str | None
    reason: str
    document_no: str | None
    made: int
    made_by: str
    expires: int | None
    revoked: int | None


@dataclass(frozen=True)
class WatchedFacts:
    """The session that was watched, as it is called now."""

    session: str
    kind: str
    state: str
    lots: tuple[LotFacts, ...]
    places: tuple[PlaceFacts, ...]
    started: int | None
    ended: int | None


@dataclass(frozen=True)
class SentFacts:
    """What of one medium of a stream was sent. Without ``spans``: it was open to her, and nothing
    of it was sent. ``first`` and ``last``: when the first and the last entry of it were noted."""

    stream: str
    medium: str
    spans: tuple[Span, ...]
    first: int | None
    last: int | None


@dataclass(frozen=True)
class FileFacts:
    """A stored file of which something was sent, and what reading it again has shown.

    ``root``: of the tree over its pieces. ``day``, ``seq``, ``leaf``: its record in the chain of
    the stream. ``removed``: when it was given up by retention or disposal.
    """

    stream: str
    run: str
    run_seq: int
    media: tuple[str, ...]
    start: int | None = None
    end: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    root: str | None = None
    day: str | None = None
    seq: int | None = None
    leaf: str | None = None
    state: str = Reread.OPEN
    wrong: tuple[str, ...] = ()
    removed: int | None = None


@dataclass(frozen=True)
class CoverFacts:
    """A recorder's signed epoch in the log, which binds a stream's records of a day up to ``last``.

    Without ``origin`` there is none in the log yet.
    """

    stream: str
    day: str
    first: int
    last: int
    recorder: str | None
    epoch: int | None
    origin: str | None
    position: int | None
    at: int | None


@dataclass(frozen=True)
class TrailFacts:
    """The entries of the audit trail about the viewing, and how many the log has committed to."""

    entries: int
    first: int
    last: int
    logged: int


@dataclass(frozen=True)
class ViewingFacts:
    """The whole record. ``window``: what was opened; ``end`` is empty while the session records."""

    number: str
    made: int
    asked_by: str
    site: str
    issuer: str
    software: str
    playback: str
    opened: int
    closed: int | None
    start: int
    end: int | None
    viewer: ViewerFacts
    grants: tuple[GrantFacts, ...]
    session: WatchedFacts | None
    sent: tuple[SentFacts, ...]
    streams: tuple[StreamFacts, ...]
    files: tuple[FileFacts, ...]
    covers: tuple[CoverFacts, ...]
    log: LogFacts | None
    trail: TrailFacts
    keys: tuple[KeyFacts, ...]

    def counted(self, stream: str | None = None) -> dict[Reread, int]:
        """Say of how many files, of a stream or of all, reading again has shown what."""
        mine = [item.state for item in self.files if stream in (None, item.stream)]
        return {state: mine.count(state) for state in Reread}


def record_bytes(facts: ViewingFacts, entries: Sequence[JsonValue]) -> bytes:
    """Give the canonical bytes of a record. ``entries``: those of the audit trail, in full."""
    return canonical(
        {"v": FACTS_VERSION, "t": KIND, **to_json(facts), "audit_entries": list(entries)}
    )
