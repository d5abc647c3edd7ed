"""Look at recorded footage as a sceptic would: from the stored bytes, frame by frame."""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import av
import numpy as np
from sqlalchemy import select
from support.stored import ffmpeg_words, look_at

from bidwitness.simulator.signals import find_beeps, is_flash
from bidwitness.simulator.stamps import FrameStamp, read_sei
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Camera, FragmentTable, Segment, Stream
from bidwitness.storage.spool.blob import decode_table

SECOND = 1_000_000


@dataclass(frozen=True)
class StoredFrame:
    """One picture in the stored bytes: what the camera said of it, and when we say it was."""

    stamp: FrameStamp
    wall_us: int


@dataclass(frozen=True)
class Examiner:
    """Reads what an installation has stored."""

    database: Database
    footage: Footage

    def streams(self) -> dict[str, str]:
        """Give each stream's id by ``camera/role``."""
        with self.database.read() as orm:
            rows = orm.execute(select(Camera.name, Stream.role, Stream.id).join(Stream.camera))
            return {f"{name}/{role.value}": stream for name, role, stream in rows}

    def segments(self, stream: str) -> list[Segment]:
        with self.database.read() as orm:
            query = select(Segment).where(Segment.stream_id == stream)
            return list(orm.scalars(query.order_by(Segment.from_us)))

    def bytes_of(self, segment: Segment) -> bytes:
        return b"".join(self.footage.open_stream(segment))

    def frames(self, stream: str) -> Iterator[StoredFrame]:
        """Give every stored picture of a stream in order."""
        for segment in self.segments(stream):
            with self.database.read() as orm:
                table = decode_table(orm.get_one(FragmentTable, segment.id).body)
            with av.open(io.BytesIO(self.bytes_of(segment))) as container:
                video = container.streams.video[0]
                for packet in container.demux(video):
                    if packet.pts is None:
                        continue
                    stamp = read_sei(bytes(packet))
                    assert stamp is not None, "a stored picture has lost its stamp"
                    yield StoredFrame(stamp, table.wall_of(1, packet.pts))

    def assert_every_frame(self, stream: str) -> list[StoredFrame]:
        """Every frame number from the first to the last is there, once, in order."""
        frames = list(self.frames(stream))
        numbers = [frame.stamp.frame for frame in frames]
        assert numbers, "nothing was stored"
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        return frames

    def assert_joins(self, stream: str) -> None:
        """The segments of each run concatenate without a word from ffmpeg."""
        runs: dict[str, list[Segment]] = defaultdict(list)
        for segment in self.segments(stream):
            runs[segment.run_id].append(segment)
        for segments in runs.values():
            bodies = [self.bytes_of(segment) for segment in segments]
            with self.database.read() as orm:
                sizes = [
                    decode_table(orm.get_one(FragmentTable, s.id).body).fragments[0].offset
                    for s in segments
                ]
            joined = bodies[0][: sizes[0]] + b"".join(
                body[size:] for body, size in zip(bodies, sizes, strict=True)
            )
            assert ffmpeg_words(joined) == ""

    def sound_offsets_us(self, segment: Segment) -> list[int]:
        """Give beep minus flash for each full second of a segment that has both."""
        decoded = look_at(self.bytes_of(segment), is_flash)
        if not decoded.sound:
            return []
        pairs = pairwise(decoded.pictures)
        flashes = [at for (_, before), (at, now) in pairs if now and not before]
        rate = 8000
        start = decoded.sound[0][0]
        samples = np.asarray(decoded.samples, np.int16)
        beeps = [start + onset * SECOND // rate for onset in find_beeps(samples, rate)]
        if not beeps:
            return []
        nearest = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
        return [offset for offset in nearest if abs(offset) < SECOND // 2]
