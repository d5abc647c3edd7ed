"""The records of a session: planned, opened, claimed, closed; each points to the one before.

They hold no digest of media: they point into the chains of the session's streams.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from bidwitness.storage.evidence.schema import Count, Day, Hex32, Micros, Name, Text, Word


@dataclass(frozen=True)
class SessionPlace:
    """Where a record stands in its session's own chain; ``at`` is when it was written."""

    site: Name
    session: Name
    seq: Count
    prev: Hex32
    at: Micros


@dataclass(frozen=True)
class ItemFacts:
    project: Text
    lot: Text
    start: Micros | None
    end: Micros | None


@dataclass(frozen=True)
class BookingFacts:
    room: Name
    seats: tuple[Name, ...]
    start: Micros
    end: Micros
    role: Word


@dataclass(frozen=True)
class PlanFacts:
    """What a session was planned to be."""

    T: ClassVar[str] = "plan"
    place: SessionPlace
    kind: Word
    items: tuple[ItemFacts, ...]
    bookings: tuple[BookingFacts, ...]
    planned: tuple[Micros, Micros]
    by: Name | None
    reason: Text | None


@dataclass(frozen=True)
class AmendFacts(PlanFacts):
    """The whole plan anew, after a change."""

    T: ClassVar[str] = "amend"


@dataclass(frozen=True)
class CancelFacts:
    T: ClassVar[str] = "cancel"
    place: SessionPlace
    by: Name | None
    reason: Text


@dataclass(frozen=True)
class OpenFacts:
    """The session records from ``started`` on; ``by`` is null if the clockwork started it."""

    T: ClassVar[str] = "open"
    place: SessionPlace
    started: Micros
    by: Name | None
    takes_over: Name | None


@dataclass(frozen=True)
class ClaimFacts:
    """A claim made or changed: the last record of a claim id is the one that counts.

    ``end`` is null while open. ``withdrawn``: since when it counts no more; ``moved_to`` names the
    session that has the footage from then on.
    """

    T: ClassVar[str] = "claim"
    place: SessionPlace
    claim: Name
    stream: Name
    klass: Word
    start: Micros
    end: Micros | None
    by: Name | None
    reason: Text | None
    moved_from: Name | None = None
    moved_to: Name | None = None
    withdrawn: Micros | None = None


@dataclass(frozen=True)
class ConditionFacts:
    T: ClassVar[str] = "condition"
    place: SessionPlace
    condition: Word
    since: Micros
    by: Name | None
    reason: Text | None
    document: Text | None


@dataclass(frozen=True)
class ClaimedFacts:
    """A claim as it stands at the close."""

    claim: Name
    stream: Name
    klass: Word
    start: Micros
    end: Micros


@dataclass(frozen=True)
class HeadFacts:
    """A stretch of a stream's chain: records ``first`` to ``last`` of a day; ``head`` is the
    leaf hash of the last."""

    stream: Name
    day: Day
    first: Count
    last: Count
    head: Hex32


@dataclass(frozen=True)
class CoverageFacts:
    """What was due of a medium of a stream, what is recorded, and in sub-stream only."""

    stream: Name
    medium: Word
    due_us: Count
    recorded_us: Count
    degraded_us: Count


@dataclass(frozen=True)
class SpanFacts:
    """A time in which a stream had to be recorded for the session."""

    stream: Name
    start: Micros
    end: Micros


@dataclass(frozen=True)
class CloseFacts:
    """The seal: what the session holds, by pointers into the chains of its streams.

    ``heads`` cover every record that concerns a claim, in stretches without a hole.
    """

    T: ClassVar[str] = "close"
    place: SessionPlace
    started: Micros
    ended: Micros
    outcome: Word
    claims: tuple[ClaimedFacts, ...]
    heads: tuple[HeadFacts, ...]
    due: tuple[SpanFacts, ...]
    coverage: tuple[CoverageFacts, ...]


@dataclass(frozen=True)
class SupplementFacts:
    """What became known after the close, as when a recorder was out of reach."""

    T: ClassVar[str] = "supplement"
    place: SessionPlace
    reason: Text
    heads: tuple[HeadFacts, ...]
    coverage: tuple[CoverageFacts, ...]


SessionRecord: TypeAlias = (
    PlanFacts
    | AmendFacts
    | CancelFacts
    | OpenFacts
    | ClaimFacts
    | ConditionFacts
    | CloseFacts
    | SupplementFacts
)
