"""What recorders left that were killed: every byte against its record, every record against its
row, and every picture that is missing against the gap that states it."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select, text
from support.desk import Left
from support.recording import StoredFrame
from support.stored import decode

from bidwitness.errors import BidWitnessError
from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FPS, FRAME_US, LOOP_FRAMES, CameraSpec
from bidwitness.simulator.stamps import read_sei
from bidwitness.storage.check.index import check_index
from bidwitness.storage.evidence.merkle import SHA256, Tree
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.storage.index.database import Database, open_database
from bidwitness.storage.index.models import Record
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.storage.spool.blob import WallPoint, wall_at
from bidwitness.storage.spool.layout import LOCK
from bidwitness.words import Medium

SECOND = 1_000_000
ALLOWED_US = SECOND
# Of so many segments of a stream the pictures are decoded and their bar codes read.
DECODED = 6
PICTURE_RATE = 90_000
# A run's instants come from the least delayed picture: on a busy machine those are late themselves.
NEAR_US = SECOND // 2


@dataclass(frozen=True)
class Watched:
    """What a camera does: whether it sends to somebody, and the first frame due to the last one."""

    sending: bool
    since_frame: int


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: to whom, when (µs UTC), and the streams that the killed were recording."""

    victim: str
    at_us: int
    streams: Mapping[str, Watched]


@dataclass
class StreamLooks:
    """What was found of a stream. Losses and downtimes in µs."""

    stream: str
    segments: int = 0
    frames: int = 0
    missing: int = 0
    bars: int = 0
    sound_only: int = 0
    gap_off_us: int = 0
    losses: dict[Medium, list[int]] = field(
        default_factory=lambda: {Medium.PICTURE: [], Medium.SOUND: []}
    )
    downtimes: list[int] = field(default_factory=list)


@dataclass
class Look:
    """What was found of a site."""

    problems: list[str] = field(default_factory=list)
    streams: list[StreamLooks] = field(default_factory=list)


@dataclass(frozen=True)
class _Stored:
    """A segment with its pictures, and where its sound ends (µs UTC), if it has any."""

    facts: SegmentFacts
    frames: Sequence[StoredFrame]
    sound_us: int | None


def look_at(
    data: Path,
    streams: Mapping[str, CameraSpec],
    kills: Sequence[Kill],
    t0_us: int,
    dice: random.Random,
) -> Look:
    """Look at all that a site holds. ``dice`` choose what is decoded."""
    look = Look()
    database = open_database(f"sqlite:///{data}/index.db")
    spool = data / "spool"
    try:
        look.problems += _check_database(database, spool, streams)
    finally:
        database.close()
    for stream, spec in streams.items():
        found = StreamLooks(stream)
        look.streams.append(found)
        left = Left(spool, stream)
        try:
            problems = list(_look_at_stream(left, spec, found, kills, t0_us, dice))
        except (BidWitnessError, AssertionError) as error:
            problems = [f"cannot be read: {error}"]
        look.problems += [f"{data.name} {spec.name} {stream}: {words}" for words in problems]
    return look


def _check_database(database: Database, spool: Path, streams: Mapping[str, object]) -> list[str]:
    """The index opens, is whole, passes ``check``, and has a row for each line of each journal."""
    with database.engine.connect() as connection:
        words = connection.execute(text("PRAGMA integrity_check")).scalars().all()
    problems = [f"index: {word}" for word in words if word != "ok"]
    problems += [f"check: {found}" for found in check_index(database, spool, "recorder-1") if found]
    with database.read() as orm:
        for stream in streams:
            count = select(func.count()).where(Record.stream_id == stream)
            rows, lines = orm.scalar(count), len(Left(spool, stream).entries)
            if rows != lines:
                problems.append(f"index: {rows} rows for {lines} lines of {stream}")
    return problems


def _look_at_stream(
    left: Left,
    spec: CameraSpec,
    found: StreamLooks,
    kills: Sequence[Kill],
    t0_us: int,
    dice: random.Random,
) -> Iterator[str]:
    yield from (f"{path} was left over" for path in left.others if path.name != LOCK)
    paths = dict(zip((_place(s) for s in left.segments), left.paths, strict=True))
    stored: list[_Stored] = []
    for facts in left.segments:
        data = paths[_place(facts)].read_bytes()
        yield from _check_bytes(facts, data)
        stored.append(_read(facts, data))
    stored.sort(key=lambda segment: segment.facts.start)
    found.segments = len(stored)
    found.frames = sum(len(segment.frames) for segment in stored)
    yield from _check_intervals(left)
    yield from _check_frames(left, stored, found)
    seen = [segment for segment in stored if segment.frames]
    for segment in dice.sample(seen, min(DECODED, len(seen))):
        yield from _check_bars(segment, paths[_place(segment.facts)].read_bytes(), found)
    yield from _losses(left, stored, spec, found, kills, t0_us)


def _place(facts: SegmentFacts) -> tuple[str, int]:
    return facts.run, facts.run_seq


def _check_bytes(facts: SegmentFacts, data: bytes) -> Iterator[str]:
    """A file is what its record says, as a whole and piece by piece."""
    name = f"segment {facts.run}-{facts.run_seq}"
    if (len(data), hashlib.sha256(data).hexdigest()) != (facts.file.bytes, facts.file.sha256):
        yield f"{name}: the file is not the one that was recorded"
    tree = Tree(SHA256)
    count = sum(1 for piece in split_pieces([data]) if tree.append(piece.data))
    if (count, tree.root().hex()) != (facts.pieces, facts.root.sha256):
        yield f"{name}: its pieces are not those of its record"


def _read(facts: SegmentFacts, data: bytes) -> _Stored:
    walls = [WallPoint(anchor.pts, anchor.recorder_us) for anchor in facts.anchors]
    frames: list[StoredFrame] = []
    for piece in split_pieces([data]):
        if piece.is_init or read_fragment(piece.data).track != 1:
            continue
        for sample in read_samples(piece.data):
            stamp = read_sei(piece.data[sample.offset : sample.offset + sample.size])
            assert stamp is not None, "a stored picture lacks the camera's stamp"
            at_us = wall_at(walls, sample.dts + sample.cts, PICTURE_RATE)
            frames.append(StoredFrame(stamp, at_us))
    scales = {track.id: track.timescale for track in facts.tracks}
    ends = [
        wall_at(walls, (m.dts + m.dur) * PICTURE_RATE // scales[m.track], PICTURE_RATE)
        for m in facts.media
        if m.track == 2
    ]
    return _Stored(facts, frames, ends[0] if ends else None)


def _whole_gaps(left: Left) -> list[GapFacts]:
    return [gap for gap in left.gaps if gap.medium == "all"]


def _check_intervals(left: Left) -> Iterator[str]:
    """From the first instant to the last, each belongs to a segment or to a gap, never to both."""
    segments = left.segments
    inside = [
        gap
        for gap in _whole_gaps(left)
        if any(s.start < gap.start and gap.end < s.end for s in segments)
    ]
    items = [*segments, *(gap for gap in _whole_gaps(left) if gap not in inside)]
    for before, after in pairwise(sorted(items, key=lambda item: (item.start, item.end))):
        if after.start > before.end + 1:
            yield f"nothing is said of {before.end} to {after.start}"
        elif after.start < before.end - 1:
            yield f"{after.T} from {after.start} begins before the {before.T} until {before.end}"


def _check_frames(left: Left, stored: Sequence[_Stored], found: StreamLooks) -> Iterator[str]:
    """Every missing picture lies in a gap, and no gap is longer than what is missing."""
    gaps = _whole_gaps(left)
    for segment in stored:
        for before, after in pairwise(segment.frames):
            if after.stamp.frame != before.stamp.frame + 1:
                yield from _check_hole(before, after, gaps, found, "in a segment")
    seen = [segment for segment in stored if segment.frames]
    # A kill may come between a run's first sound and its first picture.
    found.sound_only = len(stored) - len(seen)
    for one, other in pairwise(seen):
        before, after = one.frames[-1], other.frames[0]
        if after.stamp.frame <= before.stamp.frame:
            yield f"frame {after.stamp.frame} is stored again after {before.stamp.frame}"
        elif one.facts.run != other.facts.run or after.stamp.frame != before.stamp.frame + 1:
            yield from _check_hole(before, after, gaps, found, "between segments")


def _check_hole(
    before: StoredFrame,
    after: StoredFrame,
    gaps: Sequence[GapFacts],
    found: StreamLooks,
    where: str,
) -> Iterator[str]:
    missing = after.stamp.frame - before.stamp.frame - 1
    found.missing += missing
    mine = [gap for gap in gaps if gap.end > before.wall_us and gap.start < after.wall_us]
    stated = sum(gap.end - gap.start for gap in mine)
    off = abs(stated - missing * FRAME_US)
    if missing and not mine:
        yield f"{missing} frames after {before.stamp.frame} are missing {where}, and no gap says so"
    elif off > NEAR_US:
        yield f"gaps of {stated} µs for {missing} frames after {before.stamp.frame}"
    else:
        found.gap_off_us = max(found.gap_off_us, off)


def _check_bars(segment: _Stored, data: bytes, found: StreamLooks) -> Iterator[str]:
    """What can be seen in the pictures is what their stamps say."""
    seen = [read_bars(image) for _, image in decode(data).pictures]
    said = [frame.stamp.frame % LOOP_FRAMES for frame in segment.frames]
    found.bars += len(seen)
    if seen != said:
        yield f"segment {segment.facts.run}-{segment.facts.run_seq} shows other numbers"


def _losses(
    left: Left,
    stored: Sequence[_Stored],
    spec: CameraSpec,
    found: StreamLooks,
    kills: Sequence[Kill],
    t0_us: int,
) -> Iterator[str]:
    for kill in kills:
        watched = kill.streams.get(left.stream)
        if watched is None or not watched.sending:
            continue
        before = [s for s in stored if s.frames and s.frames[0].stamp.utc_us <= kill.at_us]
        last = before[-1] if before else None
        pictures = [f.stamp.utc_us for f in last.frames] if last is not None else []
        ends = {Medium.PICTURE: max((at for at in pictures if at <= kill.at_us), default=0)}
        if ends[Medium.PICTURE] < t0_us + watched.since_frame * FRAME_US:
            # Nothing of this connection was kept: it has sent since its first key frame.
            ends = {Medium.PICTURE: t0_us + _first_key(spec, watched.since_frame) * FRAME_US}
        elif last is not None and last.sound_us is not None:
            ends[Medium.SOUND] = last.sound_us
        for medium, until_us in ends.items():
            loss = max(0, kill.at_us - until_us)
            found.losses[medium].append(loss)
            if loss > ALLOWED_US:
                yield f"the {kill.victim} killed at {kill.at_us} lost {loss} µs of {medium}"
    found.downtimes += [gap.end - gap.start for gap in _whole_gaps(left)]


def _first_key(spec: CameraSpec, frame: int) -> int:
    """Give the number of the first key frame from ``frame`` on."""
    while frame % LOOP_FRAMES % (spec.gop_seconds * FPS):
        frame += 1
    return frame
