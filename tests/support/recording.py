"""Recording real RTSP in this process: workers in threads, and what they left of each stream."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from support.desk import Left
from support.stored import decode, ffmpeg_words
from support.wait import wait_until

from bidwitness.addresses import parse_camera_address
from bidwitness.clock import SystemClock
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.source import RtspOpener
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.simulator.signals import find_beeps, is_flash
from bidwitness.simulator.stamps import FrameStamp, read_sei
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.storage.spool.blob import WallPoint, wall_at
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

SECOND = 1_000_000


def wanted_stream(stream_id: str, url: str, role: StreamRole = StreamRole.MAIN) -> WantedStream:
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
    )


@dataclass
class Recording:
    """Workers that run, by stream."""

    volume: Path
    desk: Desk
    workers: dict[str, StreamWorker]
    threads: list[threading.Thread]

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
    volume: Path, wanted: Sequence[WantedStream], *, segment_s: float = 4
) -> Iterator[Recording]:
    """Record until the block ends."""
    clock = SystemClock()
    writer = VolumeWriter(volume, SystemFiles(), clock, site="site-1", recorder="recorder-1")
    desk = Desk(
        open_source=RtspOpener(clock, allow_loopback=True),
        dial=lambda stream: parse_camera_address(stream.address),
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
    assert not missing, f"frames {missing[:10]} are missing"
    assert len(set(numbers)) == len(numbers), "a frame is there twice"
    return frames


def assert_plays(left: Left) -> None:
    """ffmpeg has nothing to say of any segment, nor of each run's segments joined."""
    runs: dict[str, bytes] = {}
    for path, record in zip(left.paths, left.segments, strict=True):
        data = path.read_bytes()
        pieces = [piece.data for piece in split_pieces([data])]
        known = runs.get(record.run)
        assert known is None or known.startswith(pieces[0]), "the init changed within a run"
        runs[record.run] = data if known is None else known + b"".join(pieces[1:])
    for joined in runs.values():
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
