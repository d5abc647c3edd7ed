"""Recording real RTSP in this process: workers in threads, and what they left of each stream."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from support.desk import Left
from support.stored import decode, ffmpeg_words
from support.wait import wait_until

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.clock import SystemClock
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.source import RtspOpener
from bidwitness.recorder.status import StreamState
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.writer import LIMIT_BYTES, VolumeWriter
from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.signals import find_beeps, is_flash
from bidwitness.simulator.spec import LOOP_FRAMES
from bidwitness.simulator.stamps import FrameStamp, read_sei
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.storage.spool.blob import WallPoint, wall_at
from bidwitness.storage.spool.files import Files, SystemFiles
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

SECOND = 1_000_000


def wanted_stream(
    stream_id: str, url: str, role: StreamRole = StreamRole.MAIN, **allowed: bool
) -> WantedStream:
    """Give a wanted stream; the login stays in the address, which only tests do."""
    return WantedStream(
        stream_id=stream_id,
        camera_id=stream_id.partition("_")[0],
        camera=stream_id,
        room_id="room1",
        room="评标室一",
        role=role,
        address=url,
        username=None,
        secret=None,
        record_sound=role is StreamRole.MAIN,
        # However full the disk of the machine that runs the tests is.
        in_session=True,
        **allowed,
    )


def _dial(stream: WantedStream) -> CameraAddress:
    return parse_camera_address(stream.address).allowing(
        basic_in_clear=stream.basic_in_clear, unproven_certificate=stream.unproven_certificate
    )


@dataclass
class Recording:
    """Workers that run, by stream."""

    volume: Path
    desk: Desk
    workers: dict[str, StreamWorker]
    threads: list[threading.Thread]
    # What was said of each camera before the recording ended, where a test asked.
    states: dict[str, StreamState] = field(default_factory=dict)

    def left(self, stream: str) -> Left:
        return Left(self.volume, stream)

    def wait_for_segments(self, count: int, timeout: float = 40) -> None:
        """Wait until every stream has closed so many segments."""
        wait_until(
            lambda: all(len(self.left(stream).segments) >= count for stream in self.workers),
            timeout,
            f"{count} segments of each stream",
        )

    def stop(self) -> None:
        """Stop all workers; every segment is closed."""
        for worker in self.workers.values():
            worker.stop()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), f"{thread.name} did not stop"


@contextmanager
def recording(
    volume: Path,
    wanted: Sequence[WantedStream],
    *,
    segment_s: float = 4,
    files: Files | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> Iterator[Recording]:
    """Record until the block ends. ``files``: the disk; ``limit_bytes``: what may wait for it."""
    clock = SystemClock()
    writer = VolumeWriter(
        volume,
        files or SystemFiles(),
        clock,
        site="site-1",
        recorder="recorder-1",
        limit_bytes=limit_bytes,
    )
    desk = Desk(
        open_source=RtspOpener(clock, allow_loopback=True),
        dial=_dial,
        writer=writer,
        volume=volume,
        clock=clock,
        anchor=ClockAnchor(clock),
        segment_us=int(segment_s * SECOND),
    )
    workers = {stream.stream_id: StreamWorker(stream, desk) for stream in wanted}
    threads = [
        threading.Thread(target=worker.run, name=name, daemon=True)
        for name, worker in workers.items()
    ]
    writer.start()
    for thread in threads:
        thread.start()
    running = Recording(volume, desk, workers, threads)
    try:
        yield running
    finally:
        running.stop()
        writer.stop()


@dataclass(frozen=True)
class StoredFrame:
    """One picture in the stored bytes: what the camera said of it, and when we say it was."""

    stamp: FrameStamp
    wall_us: int


def stored_frames(left: Left) -> list[StoredFrame]:
    """Give every stored picture of a stream, in the order of the files, not decoded."""
    found: list[StoredFrame] = []
    for path, record in zip(left.paths, left.segments, strict=True):
        walls = [WallPoint(anchor.pts, anchor.recorder_us) for anchor in record.anchors]
        for piece in list(split_pieces([path.read_bytes()]))[1:]:
            if read_fragment(piece.data).track != 1:
                continue
            for sample in read_samples(piece.data):
                stamp = read_sei(piece.data[sample.offset : sample.offset + sample.size])
                assert stamp is not None, "a stored picture lacks the camera's stamp"
                found.append(StoredFrame(stamp, wall_at(walls, sample.dts + sample.cts, 90_000)))
    return found


def assert_every_frame(left: Left, reordered: int = 0) -> list[StoredFrame]:
    """Every frame number from first to last is there once; give the frames by number.

    ``reordered``: how many pictures may come after one that is shown later; they may be missing
    at the very end.
    """
    frames = sorted(stored_frames(left), key=lambda frame: frame.stamp.frame)
    frames = frames[: len(frames) - reordered]
    numbers = [frame.stamp.frame for frame in frames]
    assert numbers, "nothing was stored"
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    stated = [(gap.cause, gap.start, gap.end, gap.detail) for gap in left.gaps]
    assert not missing, f"frames {missing[:10]} ({len(missing)}) are missing; stated: {stated}"
    assert len(set(numbers)) == len(numbers), "a frame is there twice"
    return frames


def assert_every_number(left: Left, reordered: int = 0) -> int:
    """The bar codes of all pictures, decoded from the stored bytes, count on without a hole.

    Gives how many there are. For pictures that carry no stamp, and as a proof that stored ones
    can be seen. ``reordered`` as in ``assert_every_frame``.
    """
    numbers: list[int | None] = []
    for joined in joined_by_init(left):
        numbers += [read_bars(image) for _, image in decode(joined).pictures]
    numbers = numbers[: len(numbers) - reordered]
    assert numbers and numbers[0] is not None, "the first picture shows no number"
    first = numbers[0]
    assert numbers == [(first + index) % LOOP_FRAMES for index in range(len(numbers))]
    return len(numbers)


def joined_by_init(left: Left) -> list[bytes]:
    """Give the segments of a stream, those that follow one another with one init as one file."""
    files: list[bytes] = []
    before: tuple[str, str] | None = None
    for path, record in zip(left.paths, left.segments, strict=True):
        data = path.read_bytes()
        if (record.run, record.init) == before:
            files[-1] += b"".join(piece.data for piece in list(split_pieces([data]))[1:])
        else:
            files.append(data)
        before = record.run, record.init
    return files


def assert_plays(left: Left) -> None:
    """ffmpeg has nothing to say of each run's segments joined, and they leave no hole."""
    for joined in joined_by_init(left):
        words = ffmpeg_words(joined)
        assert not words, words
    for before, after in pairwise(left.segments):
        assert before.run != after.run or before.end == after.start


def sound_offsets_us(path: Path, record: SegmentFacts) -> list[int]:
    """Give for each flash in a segment how much later its beep is heard."""
    seen = decode(path.read_bytes())
    flashes = [
        at
        for (_, before), (at, image) in pairwise(seen.pictures)
        if is_flash(image) and not is_flash(before)
    ]
    (rate,) = [track.timescale for track in record.tracks if track.medium == "sound"]
    first = seen.sound[0][0]
    samples = seen.samples
    if samples.dtype != np.int16:
        samples = (samples * 32767).astype(np.int16)
    beeps = [first + index * SECOND // rate for index in find_beeps(samples, rate)]
    return [
        min((beep - flash for beep in beeps), key=abs)
        for flash in flashes
        if beeps and beeps[0] <= flash + SECOND // 2 and flash - SECOND // 2 <= beeps[-1]
    ]
