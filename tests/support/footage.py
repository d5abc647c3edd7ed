"""Really coded footage in a spool and an index, frame by frame as a recorder would leave it.

Every picture spells its number, so a test can say which frames reached a viewer.
"""

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
from support.clips import TICK, Clip, CodedPicture, aac_packets, make_clip, picture_number

from bidwitness.ids import new_id
from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.records import (
    Anchor,
    Digests,
    FileFacts,
    MediaFacts,
    Place,
    SegmentFacts,
    TrackFacts,
    first_place,
    leaf_hash,
    next_place,
    record_of,
    utc_day,
)
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import FragmentTable, Init, Record, Run, Segment
from bidwitness.storage.media.boxes import read_init, split_pieces
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import TrackSpec, write_init
from bidwitness.storage.media.nal import parse_access_unit, picture_config
from bidwitness.storage.spool.blob import Fragment, SegmentTable, WallPoint, encode_table
from bidwitness.storage.spool.journal import encode_line
from bidwitness.storage.spool.layout import SegmentName, journal_path, segment_path
from bidwitness.storage.spool.table import (
    AnchorPoint,
    OpenFragment,
    OpenHeader,
    encode_anchor,
    encode_fragment,
    encode_header,
)
from bidwitness.words import ClockQuality, Medium

SECOND = 1_000_000
FPS = 25
FRAME_US = SECOND // FPS
# As many different pictures as the bars can spell in a test's time.
FRAMES = 1500
SIZE = 64
AAC_RATE = 16_000
AAC_BLOCK = 1024
SITE = "site-1"
RECORDER = "recorder-1"


@cache
def _aac() -> tuple[bytes, list[bytes]]:
    return aac_packets()


def _clip(gop: int) -> Clip:
    return make_clip(frames=FRAMES, gop=gop, size=SIZE)


@dataclass
class Reel:
    """Records one stream from ``start_us`` on: 25 pictures a second, a key frame every ``gop``.

    Frame ``n`` is shown at ``start_us`` + n × 40 ms, whatever run or segment it is in. ``skip``
    makes a hole and a new run. ``clip``: other pictures than the small ones that spell numbers.
    """

    index: Database
    spool: Path
    stream_id: str
    start_us: int
    gop: int = 25
    sound: bool = True
    clip: Clip | None = None
    run: str = field(default_factory=new_id)
    run_seq: int = 0
    frame: int = 0
    _began: int = 0
    _open: "_Writing | None" = None
    _last: dict[str, JsonValue] | None = None

    def segment(self, seconds: int) -> Segment:
        """Record ``seconds`` into one segment, close it and commit it."""
        self.write(seconds)
        return self.close()

    def segments(self, seconds: int, each: int = 10) -> list[Segment]:
        return [self.segment(min(each, seconds - done)) for done in range(0, seconds, each)]

    def write(self, seconds: float) -> None:
        """Record so long into the open segment, which other processes can read at once."""
        if self._open is None:
            self._open = _Writing(self, self._init())
        self._open.write(round(seconds * FPS))

    def close(self, *, commit: bool = True) -> Segment:
        """Close the open segment; without ``commit`` no row tells of it yet."""
        assert self._open is not None
        segment = self._open.close()
        self._open = None
        self.run_seq += 1
        self._journal(segment)
        if commit:
            self.commit(segment)
        return segment

    def commit(self, segment: Segment) -> None:
        with self.index.write() as orm:
            if orm.get(Run, segment.run_id) is None:
                orm.add(
                    Run(
                        id=segment.run_id,
                        stream_id=self.stream_id,
                        recorder=RECORDER,
                        started_us=segment.from_us,
                    )
                )
            if orm.get(Init, segment.init_id) is None:
                body = self._init()
                tracks = [
                    {"id": t.id, "medium": t.medium, "codec": t.codec, "timescale": t.timescale}
                    for t in read_init(body)
                ]
                orm.add(Init(id=segment.init_id, body=body, tracks=tracks))
            facts = segment.__dict__["reel_record"]
            record = Record(
                stream_id=self.stream_id,
                day=int(facts["day"]),
                seq=int(facts["seq"]),
                kind="segment",
                leaf=leaf_hash(facts),
                body=canonical(facts).decode(),
            )
            orm.add(record)
            orm.flush()
            segment.record_id = record.id
            orm.add(segment)
            orm.flush()
            table: SegmentTable = segment.__dict__["reel_table"]
            orm.add(FragmentTable(segment_id=segment.id, body=encode_table(table)))

    def _journal(self, segment: Segment) -> None:
        """Make the segment's evidence record, chained to the last one, and write it down."""
        if self._last is None:
            place = first_place(SITE, RECORDER, self.stream_id, segment.from_us)
        else:
            place = next_place(self._last, segment.from_us, RECORDER)
        record = record_of(self._facts(place, segment))
        table: SegmentTable = segment.__dict__["reel_table"]
        facts: dict[str, JsonValue] = {
            "path": segment.spool_path,
            "init_size": len(self._init()),
            "run_started_us": self.start_us,
            "table": base64.b64encode(encode_table(table)).decode(),
        }
        with journal_path(self.spool, self.stream_id, place.day).open("ab") as journal:
            journal.write(encode_line(record, facts))
        segment.__dict__["reel_record"] = self._last = record

    def _facts(self, place: Place, segment: Segment) -> SegmentFacts:
        table: SegmentTable = segment.__dict__["reel_table"]
        assert segment.spool_path is not None
        data = (self.spool / segment.spool_path).read_bytes()
        pieces = [piece.data for piece in split_pieces([data])]
        roots = {
            name: root([hash_leaf(piece, name) for piece in pieces], name).hex()
            for name in ("sha256", "sm3")
        }
        tracks = read_init(pieces[0])
        media = []
        for track in tracks:
            mine = table.of_track(track.id)
            if mine:
                length = mine[-1].end - mine[0].dts
                media.append(MediaFacts(track.id, mine[0].dts, length, len(mine)))
        wall = table.walls[0]
        return SegmentFacts(
            place=place,
            run=segment.run_id,
            run_seq=segment.run_seq,
            init=segment.init_id,
            tracks=tuple(TrackFacts(t.id, t.medium, t.codec, t.timescale) for t in tracks),
            media=tuple(media),
            wall=(segment.from_us, segment.to_us),
            anchors=(Anchor(wall.ticks, None, 0, wall.wall_us),),
            quality=segment.quality,
            pieces=segment.pieces,
            root=Digests(roots["sha256"], roots["sm3"]),
            file=FileFacts(segment.bytes, segment.sha256.hex()),
        )

    def skip(self, seconds: float) -> None:
        """Record nothing for so long; a new run follows."""
        assert self._open is None
        self.frame += round(seconds * FPS)
        self.run, self.run_seq = new_id(), 0
        self._began = self.frame

    @property
    def now_us(self) -> int:
        """The end of what has been recorded."""
        return self.start_us + self.frame * FRAME_US

    @property
    def pictures(self) -> tuple[CodedPicture, ...]:
        """The pictures, which come round again."""
        return (self.clip or _clip(self.gop)).pictures

    def _init(self) -> bytes:
        unit = parse_access_unit(self.pictures[0].data, "h264")
        config = picture_config(unit.sets, "h264")
        tracks = [
            TrackSpec(
                *(1, Medium.PICTURE, "avc1", 90_000, config.record),
                width=config.width,
                height=config.height,
            )
        ]
        if self.sound:
            asc, _ = _aac()
            tracks.append(TrackSpec(2, Medium.SOUND, "mp4a", AAC_RATE, asc, channels=1))
        return write_init(tracks)


class _Writing:
    """One segment being written: its ``.part`` and its ``.table``."""

    def __init__(self, reel: Reel, init: bytes) -> None:
        self.reel = reel
        self.name = SegmentName(reel.now_us, reel.run, reel.run_seq)
        day = utc_day(reel.now_us)
        self.path = segment_path(reel.stream_id, day, self.name)
        file = reel.spool / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        self.part, self.table_file = file.with_suffix(".part"), file.with_suffix(".table")
        self.init = init
        self.init_id = hashlib.sha256(init).hexdigest()
        self.part.write_bytes(init)
        tracks = read_init(init)
        header = OpenHeader(
            stream=reel.stream_id,
            run=reel.run,
            run_seq=reel.run_seq,
            run_started_us=reel.start_us,
            init=self.init_id,
            init_size=len(init),
            tracks=tuple((t.id, str(t.medium), t.codec, t.timescale) for t in tracks),
        )
        self.timescales = header.timescales
        self.fragments: list[Fragment] = []
        self.offset = len(init)
        # Times run on within a run, from the run's first frame.
        self.wall = WallPoint(self._ticks(reel.frame), reel.now_us)
        anchor = AnchorPoint(self.wall.ticks, 0, self.wall.wall_us, None)
        self.table_file.write_bytes(encode_header(header) + encode_anchor(anchor))
        self.block = self._first_block()

    def _ticks(self, frame: int) -> int:
        return (frame - self.reel._began) * TICK

    def _first_block(self) -> int:
        """The first block of sound that begins in this segment."""
        samples = (self.reel.frame - self.reel._began) * AAC_RATE // FPS
        return -(-samples // AAC_BLOCK)

    def write(self, frames: int) -> None:
        """Write fragments of at most half a second, cut at key frames."""
        reel = self.reel
        pictures = reel.pictures
        end = reel.frame + frames
        while reel.frame < end:
            first = reel.frame
            last = min(first + 12, end, first - first % reel.gop + reel.gop)
            samples = [
                Sample(
                    parse_access_unit(pictures[n % len(pictures)].data, "h264").body,
                    TICK,
                    n % reel.gop == 0,
                )
                for n in range(first, last)
            ]
            self._append(1, self._ticks(first), samples, first % reel.gop == 0)
            reel.frame = last
            if reel.sound:
                self._sound((last - reel._began) * AAC_RATE // FPS)

    def _sound(self, until: int) -> None:
        _, packets = _aac()
        blocks = range(self.block, until // AAC_BLOCK)
        if blocks:
            samples = [Sample(packets[n % len(packets)], AAC_BLOCK, True) for n in blocks]
            self._append(2, self.block * AAC_BLOCK, samples, True)
            self.block = blocks.stop

    def _append(self, track: int, dts: int, samples: list[Sample], key: bool) -> None:
        data = write_fragment(len(self.fragments) + 1, track, dts, samples)
        duration = sum(sample.duration for sample in samples)
        place = Fragment(track, self.offset, len(data), dts, duration, key)
        with self.part.open("ab") as file:
            file.write(data)
        wall = self.reel.now_us
        entry = encode_fragment(OpenFragment(place, len(samples), wall, bytes(32)))
        with self.table_file.open("ab") as file:
            file.write(entry)
        self.fragments.append(place)
        self.offset += len(data)

    def close(self) -> Segment:
        data = self.part.read_bytes()
        table = SegmentTable(self.timescales, (self.wall,), tuple(self.fragments))
        self.part.rename(self.part.with_suffix(".mp4"))
        self.table_file.unlink()
        segment = Segment(
            stream_id=self.reel.stream_id,
            run_id=self.reel.run,
            run_seq=self.reel.run_seq,
            init_id=self.init_id,
            from_us=self.name.start_us,
            to_us=self.reel.now_us,
            quality=ClockQuality.ARRIVAL,
            bytes=len(data),
            pieces=len(self.fragments) + 1,
            sha256=hashlib.sha256(data).digest(),
            recorder=RECORDER,
            spool_path=self.path,
        )
        segment.__dict__["reel_table"] = table
        return segment


def numbers_in(data: bytes) -> list[int]:
    """Decode every picture of a file and give the numbers they spell, in order."""
    with av.open(io.BytesIO(data)) as container:
        return [
            picture_number(frame.to_ndarray(format="gray8")) for frame in container.decode(video=0)
        ]


def seconds_of_sound(data: bytes) -> float:
    """Decode the sound of a file and say how long it is."""
    with av.open(io.BytesIO(data)) as container:
        frames: Iterator[av.AudioFrame] = container.decode(audio=0)
        return sum(frame.samples / frame.sample_rate for frame in frames)
