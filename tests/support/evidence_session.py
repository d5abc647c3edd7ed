"""A small honest session as stored bytes and records, to be packaged and attacked.

Two streams of one run each over midnight UTC, a gap, records of other times around it; the media
are boxes with random content, which is all that the evidence looks at, unless sound is asked for.
"""

import hashlib
import io
import random
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.evidence_sound import sounding_pieces

from bidwitness.intervals import Interval
from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.chain import Link, link_of, within_heads
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.evidence.package import (
    MediaSource,
    Package,
    PackageInfo,
    StreamSource,
    write_package,
)
from bidwitness.storage.evidence.records import (
    Anchor,
    Digests,
    FileFacts,
    GapFacts,
    MediaFacts,
    Place,
    SegmentFacts,
    TrackFacts,
    first_place,
    leaf_hash,
    next_place,
    record_of,
    session_genesis,
)
from bidwitness.storage.evidence.seal import coverage_facts, heads_of
from bidwitness.storage.evidence.session_records import (
    BookingFacts,
    ClaimedFacts,
    ClaimFacts,
    CloseFacts,
    ItemFacts,
    OpenFacts,
    PlanFacts,
    SessionPlace,
    SessionRecord,
    SpanFacts,
)

SECOND = 1_000_000
# Two segments before midnight UTC, so that the session's records stand in two days.
START = 1_700_006_400 * SECOND - 20 * SECOND
LENGTH = 10 * SECOND
SITE, RECORDER, SESSION = "site-1", "rec-1", "session-1"


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def media_pieces(seed: str, fragments: int = 8) -> list[bytes]:
    """An init and fragments, as bytes."""
    random_ = random.Random(seed)
    init = box(b"ftyp", b"iso5" + bytes(4)) + box(b"moov", seed.split("/")[0].encode() * 20)
    return [init] + [
        box(b"moof", random_.randbytes(100)) + box(b"mdat", random_.randbytes(1500))
        for _ in range(fragments)
    ]


def file_facts(pieces: list[bytes]) -> dict[str, object]:
    roots = {}
    for name in ("sha256", "sm3"):
        tree = Tree(name)
        for piece in pieces:
            tree.append(piece)
        roots[name] = tree.root().hex()
    data = b"".join(pieces)
    return {
        "init": hashlib.sha256(pieces[0]).hexdigest(),
        "pieces": len(pieces),
        "root": Digests(**roots),
        "file": FileFacts(len(data), hashlib.sha256(data).hexdigest()),
    }


@dataclass
class Stream:
    """A stream's chain and its stored files."""

    id: str
    records: list[dict[str, JsonValue]] = field(default_factory=list)
    files: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    # What its camera sends as sound, if that is to be real.
    sound: str | None = None

    def place(self, start_us: int) -> Place:
        if not self.records:
            return first_place(SITE, RECORDER, self.id, start_us)
        return next_place(self.records[-1], start_us, RECORDER)

    def segment(self, index: int, run: str = "run-1", run_seq: int | None = None) -> None:
        start = START + index * LENGTH
        place = self.place(start)
        pieces, stated = (
            sounding_pieces(self.sound, index)
            if self.sound
            else (media_pieces(f"{self.id}/{index}"), None)
        )
        number = index if run_seq is None else run_seq
        facts = SegmentFacts(
            place=place,
            run=run,
            run_seq=number,
            tracks=(
                TrackFacts(1, "picture", "avc1.64001f", 90_000),
                TrackFacts(2, "sound", "flac", 8_000, self.sound or "pcm_alaw"),
            ),
            media=(
                MediaFacts(1, index * 900_000, 900_000, 250),
                MediaFacts(2, index * 80_000, 80_000, 25),
            ),
            wall=(start, start + LENGTH),
            anchors=(Anchor(index * 900_000, None, 5, start),),
            quality="arrival",
            g711=stated,
            **file_facts(pieces),
        )
        self.records.append(record_of(facts))
        self.files[place.day, place.seq] = pieces

    def gap(self, start_us: int, end_us: int, cause: str = "offline", medium: str = "all") -> None:
        facts = GapFacts(self.place(start_us), cause, medium, start_us, end_us)
        self.records.append(record_of(facts))

    @property
    def links(self) -> list[Link]:
        return [link_of(record) for record in self.records]

    def media(
        self, links: list[Link], keep: dict[int, Collection[int]] | None = None
    ) -> list[MediaSource]:
        """Sources of the segments among ``links``; ``keep`` by the segment's number."""
        return [
            MediaSource(
                link.facts,
                lambda key=link.key: io.BytesIO(b"".join(self.files[key])),
                (keep or {}).get((link.facts.start - START) // LENGTH),
            )
            for link in links
            if isinstance(link.facts, SegmentFacts)
        ]


class Session:
    """Chains a session's records."""

    def __init__(self) -> None:
        self.records: list[dict[str, JsonValue]] = []

    def place(self, at_us: int) -> SessionPlace:
        last = leaf_hash(self.records[-1]).hex() if self.records else session_genesis(SESSION)
        return SessionPlace(SITE, SESSION, len(self.records), last, at_us)

    def add(self, facts: SessionRecord) -> None:
        self.records.append(record_of(facts))


def make_stream(stream_id: str, sound: str | None = None) -> Stream:
    """Ten segments; in place of the sixth (number 5) an outage."""
    stream = Stream(stream_id, sound=sound)
    for index in range(10):
        if index == 5:
            stream.gap(START + 5 * LENGTH, START + 6 * LENGTH)
        elif index < 5:
            stream.segment(index)
        else:
            stream.segment(index, "run-2", index - 6)
    return stream


# From within segment 1 to within segment 8.
CLAIM = Interval(START + LENGTH + 3 * SECOND, START + 9 * LENGTH - 2 * SECOND)


def make_session(streams: list[Stream], claim: Interval = CLAIM, *, sealed: bool = True) -> Session:
    """A session that claims ``claim`` of every stream, from plan to close."""
    session = Session()
    booking = BookingFacts("room-1", (), claim.start, claim.end, "main")
    item = ItemFacts("朝公资-2026-001", "-", None, None)
    session.add(
        PlanFacts(
            session.place(START),
            "opening",
            (item,),
            (booking,),
            (claim.start, claim.end),
            "user-1",
            None,
        )
    )
    session.add(OpenFacts(session.place(claim.start), claim.start, None, None))
    for number, stream in enumerate(streams):
        for end in (None, claim.end):
            at = session.place(end or claim.start)
            session.add(
                ClaimFacts(at, f"claim-{number}", stream.id, "own", claim.start, end, None, None)
            )
    if sealed:
        session.add(close_of(session, streams, claim))
    return session


def close_of(session: Session, streams: list[Stream], claim: Interval) -> CloseFacts:
    heads = [head for stream in streams for head in heads_of(stream.links, [claim])]
    coverage = []
    for stream in streams:
        facts = [link.facts for link in within_heads(stream.links, heads)]
        coverage += [coverage_facts(stream.id, m, [claim], facts) for m in ("picture", "sound")]
    return CloseFacts(
        session.place(claim.end + SECOND),
        claim.start,
        claim.end,
        "completed",
        tuple(
            ClaimedFacts(f"claim-{number}", stream.id, "own", claim.start, claim.end)
            for number, stream in enumerate(streams)
        ),
        tuple(heads),
        tuple(SpanFacts(stream.id, claim.start, claim.end) for stream in streams),
        tuple(coverage),
    )


def make_package(
    target: Path,
    streams: list[Stream],
    session: Session,
    *,
    keep: dict[int, Collection[int]] | None = None,
    claim: Interval = CLAIM,
    log_files: Mapping[str, bytes] | None = None,
) -> Package:
    """Package the session: the records that its claim concerns, and their files."""
    sources = []
    for stream in streams:
        links = within_heads(stream.links, heads_of(stream.links, [claim]))
        named = {link.key for link in links}
        lines = [
            canonical(record)
            for record, link in zip(stream.records, stream.links, strict=True)
            if link.key in named
        ]
        media = stream.media(links, keep)
        sources.append(StreamSource(stream.id, f"开标一室 {stream.id}", lines, media))
    info = PackageInfo(
        SESSION, "朝公资-2026-001 · - · 开标", "朝阳市公共资源交易中心", START, "测试"
    )
    return write_package(
        target,
        info,
        session_record_lines=[canonical(record) for record in session.records],
        streams=sources,
        log_files=log_files,
    )
