"""The records of a stream and of a session, in their final canonical form.

Facts go in as frozen dataclasses, plain objects come out; ``check_record`` reads them back from
bytes of unknown origin. Every field is described in docs/evidence-format.md.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeAlias

from bidwitness.storage.evidence.canonical import (
    BadRecord,
    JsonValue,
    canonical,
    check_value,
    parse,
    parse_unbounded,
)
from bidwitness.storage.evidence.merkle import hash_leaf
from bidwitness.storage.evidence.schema import (
    Count,
    Day,
    Hex32,
    Micros,
    Name,
    Positive,
    Text,
    Ticks,
    Word,
    from_json,
    to_json,
)
from bidwitness.storage.evidence.session_records import (
    AmendFacts,
    CancelFacts,
    ClaimFacts,
    CloseFacts,
    ConditionFacts,
    OpenFacts,
    PlanFacts,
    SessionRecord,
    SupplementFacts,
)

VERSION = 1
_HEX_DIGITS = b"0123456789abcdef"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_day(instant_us: int) -> str:
    """Give the UTC day ``YYYYMMDD`` of an instant."""
    return (_EPOCH + timedelta(microseconds=instant_us)).strftime("%Y%m%d")


def utc_text(instant_us: int) -> str:
    """Give an instant as ``YYYY-MM-DDTHH:MM:SS.mmmZ``, rounded down."""
    at = _EPOCH + timedelta(microseconds=instant_us)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


@dataclass(frozen=True)
class Place:
    """Where a record stands in the chain of its stream and UTC day.

    ``seq`` counts from 0 within the day. ``prev`` is the leaf hash of the stream's previous
    record, of an earlier day too, or ``genesis(stream, day)`` if none is known.
    """

    site: Name
    recorder: Name
    stream: Name
    day: Day
    seq: Count
    prev: Hex32


@dataclass(frozen=True)
class TrackFacts:
    """A track as the init declares it; ``source_codec`` is what the camera sent, if another."""

    id: Positive
    medium: Word
    codec: Name
    timescale: Positive
    source_codec: Name | None = None


@dataclass(frozen=True)
class MediaFacts:
    """What a segment holds of one track: first decode time and length in ticks, samples."""

    track: Positive
    dts: Ticks
    dur: Count
    frames: Count


@dataclass(frozen=True)
class Anchor:
    """One tie between media time and clocks: ``pts`` in ticks of the first track listed."""

    pts: Ticks
    camera_us: Micros | None
    mono_us: Count
    recorder_us: Micros


@dataclass(frozen=True)
class Digests:
    """The same bytes or tree under both hashes."""

    sha256: Hex32
    sm3: Hex32


@dataclass(frozen=True)
class FileFacts:
    bytes: Positive
    sha256: Hex32


@dataclass(frozen=True)
class G711Facts:
    """What the camera sent as G.711, by sound fragment, in the order of the file.

    ``negative_zeros``: for µ-law the positions, within the fragment's samples, of the second
    zero that FLAC cannot tell from the first; for A-law as many empty lists.
    """

    codec: Word
    sha256: tuple[Hex32, ...]
    negative_zeros: tuple[tuple[Count, ...], ...]

    def __post_init__(self) -> None:
        if len(self.negative_zeros) != len(self.sha256):
            raise BadRecord("g711: needs one list of negative zeros for each digest")


@dataclass(frozen=True)
class SegmentFacts:
    """One closed file of a stream."""

    T: ClassVar[str] = "segment"
    place: Place
    run: Name
    run_seq: Count
    init: Hex32
    tracks: tuple[TrackFacts, ...]
    media: tuple[MediaFacts, ...]
    wall: tuple[Micros, Micros]
    anchors: tuple[Anchor, ...]
    quality: Word
    pieces: Positive
    root: Digests
    file: FileFacts
    g711: G711Facts | None = None

    def __post_init__(self) -> None:
        _check_time(self.place, *self.wall)
        ids = [track.id for track in self.tracks]
        used = [media.track for media in self.media]
        if not ids or len(set(ids)) != len(ids):
            raise BadRecord("tracks: at least one, each with its own id")
        if len(set(used)) != len(used) or not set(used) <= set(ids):
            raise BadRecord("media: one entry a track, of tracks that are listed")

    @property
    def start(self) -> int:
        return self.wall[0]

    @property
    def end(self) -> int:
        return self.wall[1]


@dataclass(frozen=True)
class GapFacts:
    """An interval without footage, and why. ``medium``: ``picture``, ``sound``, ``screen`` or
    ``all``."""

    T: ClassVar[str] = "gap"
    place: Place
    cause: Word
    medium: Word
    start: Micros
    end: Micros
    detail: Text | None = None

    def __post_init__(self) -> None:
        _check_time(self.place, self.start, self.end)


StreamRecord: TypeAlias = SegmentFacts | GapFacts
Record: TypeAlias = StreamRecord | SessionRecord

_KINDS: dict[str, type[Record]] = {
    kind.T: kind
    for kind in (
        SegmentFacts,
        GapFacts,
        PlanFacts,
        AmendFacts,
        CancelFacts,
        OpenFacts,
        ClaimFacts,
        ConditionFacts,
        CloseFacts,
        SupplementFacts,
    )
}


def _check_time(place: Place, start: int, end: int) -> None:
    if end <= start:
        raise BadRecord("the end must be after the start")
    # Later is right: a gap found after midnight stands in the new day's chain.
    if place.day < utc_day(start):
        raise BadRecord(f"day: {place.day} is before the record's own start")


def segment_record(facts: SegmentFacts) -> dict[str, JsonValue]:
    """Give a segment's record. Raises ``BadRecord`` (a ``ValueError``) for facts out of bounds."""
    return record_of(facts)


def gap_record(facts: GapFacts) -> dict[str, JsonValue]:
    """Give a gap's record. Raises ``BadRecord`` (a ``ValueError``) for facts out of bounds."""
    return record_of(facts)


def record_of(facts: Record) -> dict[str, JsonValue]:
    """Give any record by its facts. Raises ``BadRecord`` for facts out of bounds."""
    record: dict[str, JsonValue] = {"v": VERSION, "t": facts.T, **to_json(facts)}
    check_record(record)
    return record


def check_record(obj: object) -> Record:
    """Read a record of unknown origin: every key known, every value within bounds.

    Raises ``BadRecord`` (a ``ValueError``) naming the path of what does not fit; never anything
    else, whatever it is given.
    """
    if not isinstance(obj, dict):
        raise BadRecord("$: an object is needed")
    check_value(obj)
    return _read(obj)


def read_record(line: bytes) -> Record:
    """Read a record from its canonical bytes, of unknown origin. Raises ``BadRecord``."""
    rest, digests = _sound_apart(line) or (line, ())
    try:
        # Every number in a record is bounded by its declaration, and so is the depth.
        facts = _read(parse_unbounded(rest))
    except BadRecord:
        return _read(parse(line))
    if not digests:
        return facts
    if isinstance(facts, SegmentFacts) and facts.g711 is not None and not facts.g711.sha256:
        sound = G711Facts(facts.g711.codec, digests, ((),) * len(digests))
        return replace(facts, g711=sound)
    return _read(parse(line))


def _sound_apart(line: bytes) -> tuple[bytes, tuple[str, ...]] | None:
    """Give a line with nothing in the two lists of its sound, and the digests that stood in one.

    Nothing if they are not there, or not in the one form that needs no reading: nine tenths of a
    record are these lists, and taking them apart as JSON would cost as much. Where quotes stand as they
    are looked for here, JSON can have nothing but these keys and lists, so what is left is canonical
    exactly if the line is.
    """
    zeros = line.find(b'","negative_zeros":[', line.find(b'"g711":{"codec":"')) + 20
    digests = line.find(b'],"sha256":["', zeros)
    end = line.find(b'"]}', digests)
    if zeros < 20 or min(digests, end) < 0:
        return None
    listed = line[digests + 13 : end]
    more = listed.count(b",")
    plain = line[zeros:digests] == b"[]" + b",[]" * more
    if not plain or listed.translate(None, _HEX_DIGITS) != b'","' * more:
        return None
    found = tuple(listed.decode("ascii").split('","'))
    if set(map(len, found)) != {64}:
        return None
    return line[:zeros] + line[digests : digests + 12] + line[end + 1 :], found


def _read(obj: Mapping[str, object]) -> Record:
    rest = dict(obj)
    version, kind = rest.pop("v", None), rest.pop("t", None)
    if isinstance(version, bool) or version != VERSION:
        raise BadRecord("$.v: this version is not known")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadRecord("$.t: this kind of record is not known")
    facts: Record = from_json(_KINDS[kind], rest)
    return facts


def leaf_hash(record: Mapping[str, JsonValue]) -> bytes:
    """Give ``SHA-256(0x00 ‖ canonical)``: the record's leaf, and what the next one points to."""
    return hash_leaf(canonical(record))


def genesis(stream: str, day: str) -> str:
    """Give the ``prev`` of a record before which the recorder knows of none, in hex."""
    head = {"v": VERSION, "t": "genesis", "stream": stream, "day": day}
    return hashlib.sha256(canonical(head)).hexdigest()


def session_genesis(session: str) -> str:
    """Give the ``prev`` of a session's first record, in hex."""
    head = {"v": VERSION, "t": "genesis", "session": session}
    return hashlib.sha256(canonical(head)).hexdigest()


def first_place(site: str, recorder: str, stream: str, start_us: int) -> Place:
    """Give the place of a stream's very first record."""
    day = utc_day(start_us)
    return Place(site, recorder, stream, day, 0, genesis(stream, day))


def next_place(record: Mapping[str, JsonValue], start_us: int, recorder: str) -> Place:
    """Give the place after ``record`` (a stream's newest) for one that starts at ``start_us``.

    A chain's day never goes back, so that one order holds whatever the clock did.
    """
    facts = check_record(dict(record))
    if not isinstance(facts, SegmentFacts | GapFacts):
        raise BadRecord("only records of a stream have a next place")
    last = facts.place
    day = max(last.day, utc_day(start_us))
    seq = last.seq + 1 if day == last.day else 0
    return Place(last.site, recorder, last.stream, day, seq, leaf_hash(record).hex())
