"""Packages to measure with: made footage with true records, chains and roots, no camera needed.

A stream is 4 Mbit/s of picture in fragments of half a second and sound in fragments of 0.4 s, a file
a minute, as the recorder writes them. What lies in the fragments of picture is random bytes, for
nothing looks at them but hashes; the sound is G.711 made FLAC by the recorder's own code, because
the verifier turns it back.
"""

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bidwitness.intervals import Interval
from bidwitness.recorder.sound import FlacTrack, SoundChunk
from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.chain import Link, link_of
from bidwitness.storage.evidence.footage import media_path
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
    G711Facts,
    MediaFacts,
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
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.g711 import ALAW

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
SESSION = "benchmark"
PICTURE_BYTES, SOUND_BYTES = 250_000, 2_400
PICTURES_A_MINUTE, SOUNDS_A_MINUTE = 120, 150


@dataclass(frozen=True)
class Footage:
    """A stream's chain and, beside it, its stored files in the order of their records."""

    stream: str
    records: list[dict[str, JsonValue]]
    files: list[Path]

    @property
    def links(self) -> list[Link]:
        return [link_of(record) for record in self.records]


def make_footage(
    folder: Path, streams: int, minutes: int, *, bytes_a_picture: int = PICTURE_BYTES
) -> list[Footage]:
    """Write the files of some streams and give their records."""
    pool = os.urandom(4 * (PICTURE_BYTES + SOUND_BYTES))
    return [
        _stream(folder / f"camera-{number}", f"camera-{number}", minutes, bytes_a_picture, pool)
        for number in range(streams)
    ]


def _stream(folder: Path, name: str, minutes: int, picture: int, pool: bytes) -> Footage:
    folder.mkdir(parents=True)
    made = Footage(name, [], [])
    for minute in range(minutes):
        path = folder / f"{minute:04d}.mp4"
        facts = _segment(path, made, minute, picture, pool)
        made.records.append(record_of(facts))
        made.files.append(path)
    return made


def _segment(path: Path, made: Footage, minute: int, picture: int, pool: bytes) -> SegmentFacts:
    start = START + minute * 60 * SECOND
    place = (
        next_place(made.records[-1], start, "recorder")
        if made.records
        else first_place("site", "recorder", made.stream, start)
    )
    trees = {name: Tree(name) for name in ("sha256", "sm3")}
    whole = hashlib.sha256()
    init = b""
    with path.open("xb") as out:
        for piece in _pieces(made.stream, minute, picture, pool):
            init = init or piece
            out.write(piece)
            whole.update(piece)
            for tree in trees.values():
                tree.append(piece)
        size = out.tell()
    digests = tuple((chunk.g711 or b"").hex() for chunk in _sounds())
    return SegmentFacts(
        place=place,
        run="run-1",
        run_seq=minute,
        init=hashlib.sha256(init).hexdigest(),
        tracks=(
            TrackFacts(1, "picture", "avc1.64001f", 90_000),
            TrackFacts(2, "sound", "flac", 8_000, ALAW),
        ),
        media=(
            MediaFacts(1, minute * 5_400_000, 5_400_000, 1_500),
            MediaFacts(2, minute * 480_000, 480_000, SOUNDS_A_MINUTE),
        ),
        wall=(start, start + 60 * SECOND),
        anchors=tuple(
            Anchor((minute * 60 + at) * 90_000, start + at * SECOND, at, start + at * SECOND)
            for at in range(0, 60, 5)
        ),
        quality="camera",
        pieces=trees["sha256"].size,
        root=Digests(trees["sha256"].root().hex(), trees["sm3"].root().hex()),
        file=FileFacts(size, whole.hexdigest()),
        g711=G711Facts(ALAW, digests, ((),) * SOUNDS_A_MINUTE),
    )


def _pieces(stream: str, minute: int, picture: int, pool: bytes) -> Iterator[bytes]:
    yield _box(b"ftyp", b"iso5" + bytes(4)) + _box(b"moov", stream.encode() * 60)
    pictures = sounds = 0
    for number in range(PICTURES_A_MINUTE + SOUNDS_A_MINUTE):
        # Their times alternate as 0.5 s and 0.4 s do.
        if number * 4 // 9 != (number - 1) * 4 // 9:
            start = (minute * 271 + number) * 977 % (len(pool) - picture)
            sample = Sample(pool[start : start + picture], 45_000, True)
            dts = minute * 5_400_000 + pictures * 45_000
            yield write_fragment(number, 1, dts, [sample])
            pictures += 1
        else:
            chunk = _sounds()[sounds]
            samples = chunk.samples if picture >= SOUND_BYTES else [Sample(b"-", 3_200, True)]
            yield write_fragment(number, 2, minute * 480_000 + chunk.dts, samples)
            sounds += 1


@cache
def _sounds() -> tuple[SoundChunk, ...]:
    """Give a minute of a quiet room's sound as the recorder stores it."""
    codes = np.random.default_rng(1).integers(0, 0x30, 60 * 8_000, dtype=np.uint8)
    track = FlacTrack(ALAW, 8_000, 1)
    return tuple(track.push((codes ^ 0x55).tobytes(), 0, 0))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def write_bag(target: Path, footage: Sequence[Footage], minutes: int) -> Package:
    """Write a sealed session of all of it as a package, as an export does."""
    claim = Interval(START, START + minutes * 60 * SECOND)
    session = _session_records(footage, claim)
    streams = [
        StreamSource(
            made.stream,
            made.stream,
            [canonical(record) for record in made.records],
            [
                MediaSource(link.facts, lambda path=path: path.open("rb"))
                for link, path in zip(made.links, made.files, strict=True)
                if isinstance(link.facts, SegmentFacts)
            ],
        )
        for made in footage
    ]
    info = PackageInfo(SESSION, "a benchmark", "nobody", START, "to measure")
    return write_package(
        target,
        info,
        session_record_lines=[canonical(record) for record in session],
        streams=streams,
    )


def media_files(bag: Path, footage: Sequence[Footage]) -> list[Path]:
    """Give the files that the bag (a folder) holds of the footage."""
    return [
        bag / media_path(link.facts.place, link.facts.start)
        for made in footage
        for link in made.links
    ]


def _session_records(footage: Sequence[Footage], claim: Interval) -> list[dict[str, JsonValue]]:
    records: list[dict[str, JsonValue]] = []

    def add(make: type[SessionRecord], *facts: object) -> None:
        prev = leaf_hash(records[-1]).hex() if records else session_genesis(SESSION)
        place = SessionPlace("site", SESSION, len(records), prev, claim.end)
        records.append(record_of(make(place, *facts)))

    booking = BookingFacts("room", (), claim.start, claim.end, "main")
    item = ItemFacts("project", "-", None, None)
    planned = (claim.start, claim.end)
    add(PlanFacts, "evaluation", (item,), (booking,), planned, None, None)
    add(OpenFacts, claim.start, None, None)
    for made in footage:
        add(ClaimFacts, made.stream, made.stream, "own", claim.start, claim.end, None, None)
    add(
        CloseFacts,
        claim.start,
        claim.end,
        "completed",
        tuple(ClaimedFacts(m.stream, m.stream, "own", claim.start, claim.end) for m in footage),
        tuple(head for made in footage for head in heads_of(made.links, [claim])),
        tuple(SpanFacts(made.stream, claim.start, claim.end) for made in footage),
        tuple(
            coverage_facts(made.stream, medium, [claim], [link.facts for link in made.links])
            for made in footage
            for medium in ("picture", "sound")
        ),
    )
    return records
