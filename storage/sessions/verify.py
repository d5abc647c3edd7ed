"""Verify a session: its records, the chains they point into, and every byte those name.

Nothing is written and nothing is trusted that a record says otherwise; the proof for a stranger is
the package with its own verifier, this is the house's own check.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import Conflict
from bidwitness.intervals import Interval, total
from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.chain import verify_session_chain
from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.session_records import (
    CloseFacts,
    HeadFacts,
    SessionRecord,
    SupplementFacts,
)
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import gaps_in
from bidwitness.storage.index.models import Camera, Claim, Session, Stream
from bidwitness.storage.index.models import SessionRecord as RecordRow
from bidwitness.storage.sessions.loading import load_session, standing
from bidwitness.storage.sessions.named import damage_of, files_of, heads_of
from bidwitness.words import SessionState

MAX_PROBLEMS = 100


@dataclass
class StreamFigures:
    """What was read of one stream: files and bytes that are whole, their time within the claims,
    gaps; and what is wrong."""

    stream_id: str
    camera: str
    role: str
    segments: int = 0
    bytes: int = 0
    recorded_us: int = 0
    gaps: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Verification:
    """What was found. ``problems``: of the session's own records; each stream has its own."""

    session_id: str
    sealed: bool
    records: int
    problems: list[str]
    streams: list[StreamFigures]

    @property
    def ok(self) -> bool:
        return not self.all_problems

    @property
    def all_problems(self) -> list[str]:
        """Give all that is wrong, at most a hundred lines of it."""
        found = [*self.problems, *(p for stream in self.streams for p in stream.problems)]
        return found[:MAX_PROBLEMS]


def verify_session(
    database: Database, clock: Clock, footage: Footage, session_id: str
) -> Verification:
    """Read every digest of a session again, from the store where it is stored already.

    No transaction is open while bytes are read. Raises ``NotFound``, ``Conflict`` for a session
    that still records or never will, ``StoreError`` if the store does not answer.
    """
    with database.read() as orm:
        session = load_session(orm, session_id, lock=False)
        if session.ended_us is None:
            raise Conflict(f"The session is {session.state}: there is nothing to verify yet.")
        claims = standing(session)
        records, problems = _session_records(orm, session)
        heads = _heads(records) or heads_of(orm, claims, clock.utc_us())
        streams = _figures(orm, claims)
    for head in heads:
        figures = streams.setdefault(head.stream, StreamFigures(head.stream, "", ""))
        _read(database, footage, head, _spans(claims, head.stream), figures)
    sealed = session.state not in (SessionState.RECORDING, SessionState.ENDED)
    if sealed and not any(isinstance(item, CloseFacts) for item in records):
        problems.append("the session is sealed and has no close record")
    return Verification(session_id, sealed, len(records), problems, list(streams.values()))


def _session_records(orm: Orm, session: Session) -> tuple[list[SessionRecord], list[str]]:
    rows = orm.execute(
        select(RecordRow.body, RecordRow.leaf)
        .where(RecordRow.session_id == session.id)
        .order_by(RecordRow.seq)
    ).all()
    problems: list[str] = []
    try:
        bodies = [parse(body.encode()) for body, _ in rows]
        facts, wrong = verify_session_chain(bodies)
    except BadRecord as error:
        return [], [f"a record of the session is not readable: {error}"]
    for number, (body, row) in enumerate(zip(bodies, rows, strict=True)):
        if leaf_hash(body) != row.leaf:
            problems.append(f"session {session.id}#{number} is not the record that was made")
    problems += [f"{problem.where}: {problem.detail}" for problem in wrong]
    return facts, problems


def _heads(records: Iterable[SessionRecord]) -> list[HeadFacts]:
    """Give the stretches that close and supplements name, each once."""
    named = [
        head
        for item in records
        if isinstance(item, CloseFacts | SupplementFacts)
        for head in item.heads
    ]
    return list(dict.fromkeys(named))


def _figures(orm: Orm, claims: list[Claim]) -> dict[str, StreamFigures]:
    spans = {claim.stream_id for claim in claims}
    query = (
        select(Stream, Camera)
        .join(Camera)
        .where(Stream.id.in_(spans))
        .order_by(Camera.name, Stream.role)
    )
    found: dict[str, StreamFigures] = {}
    for stream, camera in orm.execute(query):
        gaps = {
            gap.id
            for span in _spans(claims, stream.id)
            for gap in gaps_in(orm, stream.id, span.start, span.end)
        }
        found[stream.id] = StreamFigures(stream.id, camera.name, stream.role, gaps=len(gaps))
    return found


def _spans(claims: Iterable[Claim], stream_id: str) -> list[Interval]:
    return [
        Interval(claim.from_us, claim.to_us)
        for claim in claims
        if claim.stream_id == stream_id and claim.to_us is not None
    ]


def _read(
    database: Database,
    footage: Footage,
    head: HeadFacts,
    spans: list[Interval],
    figures: StreamFigures,
) -> None:
    """Read the files of one stretch, and count what is whole."""
    with database.read() as orm:
        named = files_of(orm, head, spans)
    held: list[Interval] = []
    for item in named:
        wrong = damage_of(footage, item, stored=True)
        if wrong is not None:
            figures.problems.append(wrong)
        elif item.segment is not None:
            figures.segments += 1
            figures.bytes += item.segment.bytes
            span = Interval(item.segment.from_us, item.segment.to_us)
            held += [part for claim in spans if (part := span.intersection(claim))]
    figures.recorded_us += total(held)
